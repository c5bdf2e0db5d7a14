/* for: kafka_rd.c
 *
 * How codes map to errors, and how a place is named. kafka_matrix_test shows what the codes of
 * brokers become at each endpoint. */
#include "server/kafka_engine/rd/kafka_rd.h"

#include "check.h"

/* A lost request that changes something may have been executed. */
static void each_of_librdkafkas_codes_is_an_error(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    enum uk_error error, of_change;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR, UK_OK, UK_OK},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, UK_E_NOT_FOUND, UK_E_NOT_FOUND},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, UK_E_NOT_FOUND, UK_E_NOT_FOUND},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, UK_E_BAD_REQUEST, UK_E_BAD_REQUEST},
    {RD_KAFKA_RESP_ERR__NO_OFFSET, UK_E_BAD_REQUEST, UK_E_BAD_REQUEST},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, UK_E_GATEWAY_TIMEOUT, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, UK_E_GATEWAY_TIMEOUT, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, UK_E_GATEWAY_TIMEOUT, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, UK_E_GATEWAY_TIMEOUT, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__TRANSPORT, UK_E_UNAVAILABLE, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__DESTROY, UK_E_UNAVAILABLE, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__RESOLVE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__SSL, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__FATAL, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__FENCED, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__STATE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__NODE_UPDATE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__NOENT, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__BAD_MSG, UK_E_INTERNAL, UK_E_INTERNAL},
    {RD_KAFKA_RESP_ERR__FAIL, UK_E_INTERNAL, UK_E_INTERNAL},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, UK_E_GATEWAY_TIMEOUT, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_operation operation = {.error = UK_OK};
    if (!CHECK_EQ_INT(uk_kafka_error(rows[i].code), rows[i].error) ||
        !CHECK_EQ_INT(uk_kafka_error_of_change(rows[i].code), rows[i].of_change))
      fprintf(stderr, "  of %s\n", rd_kafka_err2name(rows[i].code));
    uk_kafka_fail_change(&operation, rows[i].code, "why", "what");
    CHECK_EQ_INT(operation.error, rows[i].of_change);
    CHECK_EQ_STR(operation.message, rows[i].of_change == UK_E_GATEWAY_TIMEOUT
                                      ? "what: why; it " UK_MAY_BE_DONE
                                      : "what: why");
  }
}

#define E(name) RD_KAFKA_RESP_ERR_##name

static void each_code_of_a_broker_is_an_error(void)
{
  static const struct {
    enum uk_error error;
    rd_kafka_resp_err_t codes[32]; /* up to the first 0 */
  } rows[] = {
    {UK_E_NOT_FOUND, {E(UNKNOWN_TOPIC_OR_PART)}},
    {UK_E_FORBIDDEN,
     {E(TOPIC_AUTHORIZATION_FAILED), E(GROUP_AUTHORIZATION_FAILED), E(CLUSTER_AUTHORIZATION_FAILED),
      E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)}},
    {UK_E_TOO_LARGE, {E(MSG_SIZE_TOO_LARGE), E(RECORD_LIST_TOO_LARGE)}},
    {UK_E_BAD_REQUEST,
     {E(TOPIC_EXCEPTION), E(INVALID_PARTITIONS), E(INVALID_REPLICA_ASSIGNMENT), E(INVALID_CONFIG),
      E(INVALID_REQUEST), E(POLICY_VIOLATION), E(INVALID_TIMESTAMP), E(INVALID_RECORD),
      E(UNSUPPORTED_FOR_MESSAGE_FORMAT), E(INVALID_SESSION_TIMEOUT), E(INVALID_GROUP_ID),
      E(OFFSET_OUT_OF_RANGE), E(INVALID_COMMIT_OFFSET_SIZE)}},
    {UK_E_CONFLICT, {E(TOPIC_ALREADY_EXISTS), E(INCONSISTENT_GROUP_PROTOCOL)}},
    {UK_E_TOO_MANY, {E(GROUP_MAX_SIZE_REACHED), E(THROTTLING_QUOTA_EXCEEDED)}},
    {UK_E_GATEWAY_TIMEOUT,
     {E(REQUEST_TIMED_OUT), E(NETWORK_EXCEPTION), E(NOT_ENOUGH_REPLICAS_AFTER_APPEND)}},
    {UK_E_UNAVAILABLE,
     {E(SASL_AUTHENTICATION_FAILED),   E(LEADER_NOT_AVAILABLE),         E(NOT_LEADER_FOR_PARTITION),
      E(BROKER_NOT_AVAILABLE),         E(REPLICA_NOT_AVAILABLE),        E(INVALID_MSG),
      E(COORDINATOR_LOAD_IN_PROGRESS), E(COORDINATOR_NOT_AVAILABLE),    E(NOT_COORDINATOR),
      E(NOT_ENOUGH_REPLICAS),          E(KAFKA_STORAGE_ERROR),          E(NOT_CONTROLLER),
      E(REBALANCE_IN_PROGRESS),        E(ILLEGAL_GENERATION),           E(UNKNOWN_MEMBER_ID),
      E(FENCED_INSTANCE_ID),           E(OUT_OF_ORDER_SEQUENCE_NUMBER), E(UNKNOWN_PRODUCER_ID),
      E(INVALID_PRODUCER_EPOCH),       E(UNSTABLE_OFFSET_COMMIT),       E(OFFSET_NOT_AVAILABLE),
      E(FENCED_LEADER_EPOCH),          E(UNKNOWN_LEADER_EPOCH),         E(REASSIGNMENT_IN_PROGRESS),
      E(INVALID_REPLICATION_FACTOR)}},
    {UK_E_INTERNAL, {E(UNKNOWN), E(CONCURRENT_TRANSACTIONS), E(UNSUPPORTED_VERSION)}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (const rd_kafka_resp_err_t *code = rows[i].codes; *code != E(NO_ERROR); code++) {
      if (!CHECK_EQ_INT(uk_kafka_error(*code), rows[i].error))
        fprintf(stderr, "  of %s\n", rd_kafka_err2name(*code));
    }
  }
}

/* Those are worth another try. */
static void some_codes_pass(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    bool passes;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR, true},
    {RD_KAFKA_RESP_ERR__TRANSPORT, true},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, true},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, true},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, false},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, false},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, false},
    {RD_KAFKA_RESP_ERR_UNKNOWN, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    CHECK_EQ_INT(uk_kafka_code_passes(rows[i].code), rows[i].passes);
}

static void a_failure_says_what_and_why(void)
{
  struct uk_operation operation = {.error = UK_OK};
  uk_kafka_fail(&operation, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "topic \"t\"");
  CHECK_EQ_INT(operation.error, UK_E_NOT_FOUND);
  CHECK_EQ_STR(operation.message, "topic \"t\": Broker: Unknown topic or partition");
  CHECK_EQ_STR(uk_kafka_reason(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "said"), "said");
  /* Names the user's own setting, whatever librdkafka's text says. */
  CHECK(strncmp(uk_kafka_reason(RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, "said"),
                UK_HEADER_SESSION_TIMEOUT, strlen(UK_HEADER_SESSION_TIMEOUT)) == 0);
}

static void a_place_is_named(void)
{
  char text[UK_KAFKA_PLACE_SIZE], name[UK_TOPIC_NAME_MAX + 2];
  CHECK_EQ_STR(uk_kafka_place(text, sizeof text, uk_slice_text("t"), 0), "topic \"t\" partition 0");
  CHECK_EQ_STR(uk_kafka_place(text, sizeof text, uk_slice_text("t"), -1), "topic \"t\"");
  memset(name, 'x', sizeof name);
  const char *longest =
    uk_kafka_place(text, sizeof text, uk_slice_of(name, UK_TOPIC_NAME_MAX), INT32_MAX);
  CHECK_EQ_STR(longest + strlen(longest) - strlen("x\" partition 2147483647"),
               "x\" partition 2147483647");
}

static void a_name_has_room(void)
{
  char name[UK_TOPIC_NAME_MAX + 2];
  memset(name, 'x', sizeof name);
  static const size_t lengths[] = {0, 1, UK_TOPIC_NAME_MAX - 1, UK_TOPIC_NAME_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    CHECK_EQ_INT(strlen(uk_kafka_name(uk_slice_of(name, lengths[i])).text), lengths[i]);
  CHECK_EQ_INT(strlen(uk_kafka_name(uk_slice_of(name, UK_TOPIC_NAME_MAX + 1)).text),
               UK_TOPIC_NAME_MAX);
}

/* A slice ends with its length, not with a NUL. */
static void a_hash_is_of_the_name_and_the_partition(void)
{
  uint64_t hash = uk_kafka_hash(uk_slice_text("ab"), 3);
  CHECK(uk_kafka_hash(uk_slice_of("abc", 2), 3) == hash);
  CHECK(uk_kafka_hash(uk_slice_text("abc"), 3) != hash);
  CHECK(uk_kafka_hash(uk_slice_text("ba"), 3) != hash);
  CHECK(uk_kafka_hash(uk_slice_text("ab"), 4) != hash);
  CHECK(uk_kafka_hash(uk_slice_text("a\xff"), 0) != uk_kafka_hash(uk_slice_text("a\xfe"), 0));
}

int main(void)
{
  CHECK_RUN(each_of_librdkafkas_codes_is_an_error);
  CHECK_RUN(each_code_of_a_broker_is_an_error);
  CHECK_RUN(some_codes_pass);
  CHECK_RUN(a_failure_says_what_and_why);
  CHECK_RUN(a_place_is_named);
  CHECK_RUN(a_name_has_room);
  CHECK_RUN(a_hash_is_of_the_name_and_the_partition);
  return check_end();
}
