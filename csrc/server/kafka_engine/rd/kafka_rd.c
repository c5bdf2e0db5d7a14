#include "server/kafka_engine/rd/kafka_rd.h"

#include <stdio.h>

/* A code that is not listed is INTERNAL: nothing says that a retry helps. */
static const struct {
  rd_kafka_resp_err_t code;
  enum uk_error error;
} rows[] = {
  {RD_KAFKA_RESP_ERR_NO_ERROR, UK_OK},

  {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, UK_E_NOT_FOUND},
  {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, UK_E_NOT_FOUND},
  {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, UK_E_NOT_FOUND},

  {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, UK_E_FORBIDDEN},
  {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, UK_E_FORBIDDEN},
  {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, UK_E_FORBIDDEN},
  {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, UK_E_FORBIDDEN},

  {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, UK_E_TOO_LARGE},
  {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, UK_E_TOO_LARGE},

  {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_CONFIG, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_REQUEST, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_RECORD, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, UK_E_BAD_REQUEST},
  {RD_KAFKA_RESP_ERR__NO_OFFSET, UK_E_BAD_REQUEST},

  {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, UK_E_CONFLICT},
  {RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, UK_E_CONFLICT},

  {RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED, UK_E_TOO_MANY},
  {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, UK_E_TOO_MANY},

  {RD_KAFKA_RESP_ERR__TIMED_OUT, UK_E_GATEWAY_TIMEOUT},
  {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, UK_E_GATEWAY_TIMEOUT},
  {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, UK_E_GATEWAY_TIMEOUT},
  {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, UK_E_GATEWAY_TIMEOUT},
  {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, UK_E_GATEWAY_TIMEOUT},
  {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, UK_E_GATEWAY_TIMEOUT},

  {RD_KAFKA_RESP_ERR__TRANSPORT, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__RESOLVE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__AUTHENTICATION, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__SSL, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__FATAL, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__FENCED, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__DESTROY, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__PURGE_QUEUE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, UK_E_GATEWAY_TIMEOUT},
  {RD_KAFKA_RESP_ERR__QUEUE_FULL, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__WAIT_COORD, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__STATE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__NODE_UPDATE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR__NOENT, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_INVALID_MSG, UK_E_UNAVAILABLE}, /* damaged in transit */
  {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_NOT_CONTROLLER, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, UK_E_UNAVAILABLE},
  {RD_KAFKA_RESP_ERR_REASSIGNMENT_IN_PROGRESS, UK_E_UNAVAILABLE},
  /* Not the user's choice: too few brokers are up for a new topic. */
  {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, UK_E_UNAVAILABLE},
};

enum uk_error uk_kafka_error(rd_kafka_resp_err_t code)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].code == code)
      return rows[i].error;
  }
  return UK_E_INTERNAL;
}

/* librdkafka's own codes that end a request which a broker may have received. */
static bool is_loss(rd_kafka_resp_err_t code)
{
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__DESTROY ||
         code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

enum uk_error uk_kafka_error_of_change(rd_kafka_resp_err_t code)
{
  return is_loss(code) ? UK_E_GATEWAY_TIMEOUT : uk_kafka_error(code);
}

void uk_kafka_fail_change(struct uk_operation *operation, rd_kafka_resp_err_t code,
                          const char *text, const char *what)
{
  enum uk_error error = uk_kafka_error_of_change(code);
  uk_operation_fail(operation, error, "%s: %s%s", what, uk_kafka_reason(code, text),
                    error == UK_E_GATEWAY_TIMEOUT ? "; it " UK_MAY_BE_DONE : "");
}

const char *uk_kafka_reason(rd_kafka_resp_err_t code, const char *text)
{
  if (code == RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT)
    return UK_HEADER_SESSION_TIMEOUT ": the Kafka cluster does not accept a session this long "
                                     "(group.min.session.timeout.ms, group.max.session.timeout.ms)";
  return text != NULL ? text : rd_kafka_err2str(code);
}

void uk_kafka_fail(struct uk_operation *operation, rd_kafka_resp_err_t code, const char *what)
{
  uk_operation_fail(operation, uk_kafka_error(code), "%s: %s", what, uk_kafka_reason(code, NULL));
}

const char *uk_kafka_place(char *text, size_t size, struct uk_slice topic, int32_t partition)
{
  if (partition < 0)
    snprintf(text, size, "topic \"%.*s\"", (int)topic.length, topic.data);
  else
    snprintf(text, size, "topic \"%.*s\" partition %d", (int)topic.length, topic.data,
             (int)partition);
  return text;
}

struct uk_kafka_name uk_kafka_name(struct uk_slice topic)
{
  struct uk_kafka_name name;
  size_t length = topic.length <= UK_TOPIC_NAME_MAX ? topic.length : UK_TOPIC_NAME_MAX;
  if (length > 0)
    memcpy(name.text, topic.data, length);
  name.text[length] = '\0';
  return name;
}

bool uk_kafka_code_passes(rd_kafka_resp_err_t code)
{
  enum uk_error error = uk_kafka_error(code);
  return error == UK_OK || error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT;
}

/* FNV-1a. */
uint64_t uk_kafka_hash(struct uk_slice topic, int32_t partition)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < topic.length; i++)
    hash = (hash ^ (unsigned char)topic.data[i]) * UINT64_C(0x100000001b3);
  hash = (hash ^ (uint32_t)partition) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 32;
}
