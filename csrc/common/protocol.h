/* protocol: endpoints, header names, defaults and limits of the REST API, for client and server. */
#ifndef UK_PROTOCOL_H
#define UK_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* Bits: a route may have several. */
enum uk_method {
  UK_GET = 1,
  UK_POST = 2,
  UK_DELETE = 4,
  UK_HEAD = 8,
  UK_OPTIONS = 16, /* accepted for every path; in no row */
  UK_OTHER_METHOD = 32
};

/* Bits. A credential has those of its permission; an endpoint names the bits of which a credential
 * must have one. */
enum uk_permission {
  UK_PERMIT_PRODUCE = 1,
  UK_PERMIT_CONSUME = 2,
  UK_PERMIT_MONITOR = 4,
  UK_PERMIT_TOPICS = 8, /* creates and deletes topics; only with FULL */
  UK_PERMIT_FULL = 15,
  UK_PERMIT_ANY = 15 /* of an endpoint: any credentials */
};

/* X(NAME, name, methods, path, permissions)
 * A segment in braces is a parameter: {name}. The client uses POST if the endpoint accepts it. */
#define UK_ENDPOINTS(X)                                                                            \
  X(PRODUCE_ONE, "produce_one", UK_GET, "/produce/{topic}/{message}", UK_PERMIT_PRODUCE)           \
  X(PRODUCE_TOPIC, "produce_topic", UK_GET | UK_POST, "/produce/{topic}", UK_PERMIT_PRODUCE)       \
  X(PRODUCE, "produce", UK_GET | UK_POST, "/produce", UK_PERMIT_PRODUCE)                           \
  X(WEBHOOK, "webhook", UK_GET | UK_POST, "/webhook", UK_PERMIT_PRODUCE)                           \
  X(CONSUME_TOPIC, "consume_topic", UK_GET, "/consume/{group}/{instance}/{topic}",                 \
    UK_PERMIT_CONSUME)                                                                             \
  X(CONSUME, "consume", UK_GET | UK_POST, "/consume/{group}/{instance}", UK_PERMIT_CONSUME)        \
  X(COMMIT, "commit", UK_GET | UK_POST, "/commit/{group}/{instance}", UK_PERMIT_CONSUME)           \
  X(DELETE_CONSUMER, "delete_consumer", UK_POST | UK_DELETE,                                       \
    "/delete-consumer/{group}/{instance}", UK_PERMIT_CONSUME)                                      \
  X(COMMITTED, "committed", UK_GET | UK_POST, "/committed/{group}/{instance}", UK_PERMIT_CONSUME)  \
  X(CONSUMERS, "consumers", UK_GET | UK_HEAD, "/consumers", UK_PERMIT_CONSUME | UK_PERMIT_MONITOR) \
  X(FETCH, "fetch", UK_GET | UK_POST, "/fetch", UK_PERMIT_CONSUME)                                 \
  X(TOPICS, "topics", UK_GET | UK_HEAD, "/topics", UK_PERMIT_ANY)                                  \
  X(OFFSETS, "offsets", UK_GET | UK_POST, "/offsets/{timestamp}", UK_PERMIT_CONSUME)               \
  X(CREATE_TOPIC, "create_topic", UK_POST, "/topics/{topic}", UK_PERMIT_TOPICS)                    \
  X(DELETE_TOPIC, "delete_topic", UK_DELETE, "/topics/{topic}", UK_PERMIT_TOPICS)                  \
  X(HEALTH, "health", UK_GET | UK_HEAD, "/health", UK_PERMIT_ANY)                                  \
  X(ROOT, "root", UK_GET | UK_HEAD, "/", UK_PERMIT_ANY)

enum uk_endpoint {
#define UK_ENDPOINT_ENUM(name, text, methods, path, permissions) UK_ENDPOINT_##name,
  UK_ENDPOINTS(UK_ENDPOINT_ENUM)
#undef UK_ENDPOINT_ENUM
    UK_ENDPOINT_COUNT
};

struct uk_endpoint_info {
  const char *name;
  unsigned methods;
  const char *path;
  unsigned permissions;
};

extern const struct uk_endpoint_info uk_endpoints[UK_ENDPOINT_COUNT];

#define UK_HEADER_AUTO_COMMIT "Kafka-Enable-Auto-Commit"
#define UK_HEADER_AUTO_COMMIT_INTERVAL "Kafka-Auto-Commit-Interval"
#define UK_HEADER_OFFSET_RESET "Kafka-Auto-Offset-Reset"
#define UK_HEADER_SESSION_TIMEOUT "Kafka-Session-Timeout-Ms"
#define UK_HEADER_ENCODING "Kafka-Encoding"
#define UK_ENCODING_BASE64 "base64"
#define UK_HEADER_IDEMPOTENCY_KEY "Idempotency-Key"
#define UK_HEADER_REPLAYED "Idempotent-Replayed"
#define UK_HEADER_BATCH "Kafka-Batch"
#define UK_HEADER_ACK "Kafka-Ack"
#define UK_ACK_NONE "none"
#define UK_HEADER_COMMIT "Kafka-Commit"
#define UK_HEADER_COMMIT_SKIPPED "Kafka-Commit-Skipped"
#define UK_REALM "upstash-kafka"

/* The headers that the script of a page may send and read: the request and response headers of
 * docs/rest-api.md. */
#define UK_CORS_REQUEST_HEADERS                                                                    \
  "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, Kafka-Ack, "            \
  "Kafka-Auto-Commit-Interval, Kafka-Auto-Offset-Reset, Kafka-Commit, Kafka-Enable-Auto-Commit, "  \
  "Kafka-Encoding, Kafka-Session-Timeout-Ms, Last-Event-ID, X-Request-Id"
#define UK_CORS_RESPONSE_HEADERS                                                                   \
  "Allow, Idempotent-Replayed, Kafka-Batch, Kafka-Commit-Skipped, Retry-After, WWW-Authenticate, " \
  "X-Request-Id"
#define UK_PREFLIGHT_SECONDS "600" /* how long a browser may cache the answer to OPTIONS */

#define UK_PRODUCED_TIMESTAMP_MAX (INT64_C(1) << 53) /* ms; Lua and JavaScript read it exactly */

/* A record can be there, so that the offset after it fits too. */
#define UK_COMMITTED_OFFSET_MAX (INT64_MAX - 1)

enum uk_offset_reset { UK_RESET_LATEST = 0, UK_RESET_EARLIEST, UK_RESET_NONE };

/* Defaults and limits. Times in milliseconds, sizes in bytes. */
enum {
  UK_CONSUME_TIMEOUT = 1000,
  UK_FETCH_TIMEOUT = 1000,
  UK_OFFSETS_TIMEOUT = 10000,
  UK_TIMEOUT_MAX = 600000,
  UK_AUTO_COMMIT_INTERVAL = 5000,
  UK_AUTO_COMMIT_INTERVAL_MAX = 86400000,
  UK_SESSION_TIMEOUT = 120000,
  UK_SESSION_TIMEOUT_MIN = 1000,
  UK_SESSION_TIMEOUT_MAX = 1800000,
  UK_TOPIC_NAME_MAX = 249,
  UK_GROUP_NAME_MAX = 255, /* also for instances */
  UK_BATCH_MESSAGES = 1000,
  UK_BATCH_MESSAGES_MAX = 100000,
  UK_BATCH_BYTES = 4 << 20, /* of the response body */
  UK_BATCH_BYTES_MAX = 64 << 20,
  UK_MESSAGE_BYTES = 1 << 20, /* key + value + headers of one message; --max-message-bytes */
  UK_HEADER_BYTES = 8 << 10,  /* request line and headers of one request; --max-header-bytes */
  UK_ORIGINS_MAX = 64,        /* origins for CORS; --cors-origin */
  UK_ORIGIN_MAX = 255,        /* bytes of an origin */
  UK_BODY_BYTES = 16 << 20,   /* request body, also when decompressed; --max-body-bytes */
  UK_HEADERS_PER_MESSAGE_MAX = 1000,
  UK_HEADERS_PER_REQUEST_MAX = 100000, /* of messages, in one request */
  UK_PARTITIONS_MAX = 1000,            /* of one topic, in the log engine */
  UK_TOPICS_PER_CONSUME_MAX = 256,
  UK_IDEMPOTENCY_KEY_MAX = 128,
  UK_IDEMPOTENCY_WINDOW = 600000,
  UK_RETRY_AFTER = 1 /* seconds, in Retry-After */
};

/* 1 to 249 characters of [A-Za-z0-9._-], neither "." nor "..". */
bool uk_topic_name_valid(struct uk_slice name);

/* True for an internal topic of Kafka or of this server; names of the latter start with
 * UK_TOPIC_OWN_PREFIX. For requests such a topic does not exist, and they cannot create it. */
bool uk_topic_name_internal(struct uk_slice name);
#define UK_TOPIC_OWN_PREFIX "__upstash_kafka_"

/* Parses the whole text as a decimal integer, optionally with a '-'. False, with `value` unchanged,
 * for any other text and for an integer that does not fit. */
bool uk_parse_int64(struct uk_slice text, int64_t *value);

#endif
