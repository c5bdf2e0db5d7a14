/* engine: what keeps the records. Handlers know this interface and no engine behind it.
 *
 * Every operation is asynchronous. A caller fills an operation, submits it through the method of
 * its name and leaves it alone (with all that it points to) until `done` is called: exactly once,
 * from any thread, possibly before the method returns. An engine never blocks the caller for
 * longer than a look into memory or the page cache: what must wait (for a disk sync, for records,
 * for a turn) waits inside the engine and holds no thread.
 *
 * When `done` is called, `error` says how it ended. With UK_OK the out fields are filled; otherwise
 * `message` holds a text for the user that names the topic, partition, field or range at fault, and
 * nothing was changed. `deadline` is honoured for waiting; an operation whose deadline has passed
 * is still done once if it need not wait. */
#ifndef UK_ENGINE_H
#define UK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/protocol.h"
#include "common/slice.h"

enum { UK_MESSAGE_SIZE = 512 }; /* room for a text that names a topic of 249 characters */

/* What every operation says of a topic that does not exist, for its length and bytes. Handlers keep
 * internal topics (uk_topic_name_internal) from the engine with the same text. */
#define UK_NO_TOPIC "topic \"%.*s\" does not exist"

/* UNAVAILABLE and NO_MEMORY promise that nothing was done: the request may be sent again. What may
 * have been done all the same is GATEWAY_TIMEOUT, and its text says so, mostly in these words. */
#define UK_MAY_BE_DONE "may have been carried out"

struct uk_operation {
  /* The caller's. */
  void (*done)(struct uk_operation *operation);
  void *context;    /* what `done` and the callbacks of an operation need */
  int64_t deadline; /* milliseconds of uk_clock_monotonic; the longest wait for records or answer */

  /* The outcome. */
  enum uk_error error;
  char message[UK_MESSAGE_SIZE]; /* NUL-terminated; "" = uk_error_text(error) */

  /* The engine's, while the operation is in its hands. */
  struct uk_operation *next, *previous;
  void *engine_data;
};

/* Sets the outcome and formats the message (cut at UK_MESSAGE_SIZE); does not call `done`. */
void uk_operation_fail(struct uk_operation *operation, enum uk_error error, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

struct uk_record_header {
  struct uk_slice key;
  struct uk_slice value;
};

struct uk_record {
  struct uk_slice topic;
  int32_t partition; /* produce: -1 = by key hash, or spread where there is no key */
  int64_t offset;    /* produce: out */
  int64_t timestamp; /* milliseconds since the epoch; produce: -1 = the server's clock, filled in */
  enum uk_error error; /* produce: out, see there */
  const char *reason;  /* for people, static; with an error */
  bool has_key;
  bool has_value; /* false: a null value, a tombstone */
  struct uk_slice key;
  struct uk_slice value;
  const struct uk_record_header *headers;
  size_t header_count;
};

/* Appends the records. Done after they are durable. Fails with NOT_FOUND for a topic that is not there
 * and may not be created, BAD_REQUEST for a partition that the topic has not (the message says which
 * record, counted from 0, when there are several), UNAVAILABLE for a full disk.
 *
 * An engine whose records come to their ends one by one sets `error` and `reason` of each and lets
 * uk_produce_conclude (produce_outcome.h) say how the whole ended. With `each` an error is not that of
 * all: records with UK_OK are stored, with the out fields filled. Without it none is known to be. */
struct uk_produce {
  struct uk_operation operation;
  struct uk_record *records; /* out: partition, offset, timestamp of each */
  size_t count;              /* >= 1 */
  bool each;                 /* out */
};

struct uk_topic_partition_offset {
  struct uk_slice topic;
  int32_t partition;
  int64_t offset;
};

/* Where the records of a fetch or consume go. The engine calls `record` for one record after another,
 * from one thread at a time, before `done`; the bytes live only during the call. `record` returns
 * false when it does not take this record: the batch is full, the record is not part of it, the
 * engine stops there. It takes at least the first. */
struct uk_sink {
  bool (*record)(struct uk_operation *operation, const struct uk_record *record);
  /* Asked once, before the first record: false when the client has gone, and then the operation ends with
   * CANCELLED, no record is taken and no position moves. NULL: not asked. */
  bool (*is_client_alive)(struct uk_operation *operation);
};

/* Reads from each position on; waits for the first record when all positions are at their ends.
 * BAD_REQUEST, with the range in the message, for an offset below the first kept or negative. */
struct uk_fetch {
  struct uk_operation operation;
  const struct uk_topic_partition_offset *positions;
  size_t count; /* >= 1 */
  struct uk_sink sink;
};

struct uk_consumer_settings {
  bool auto_commit;
  int32_t auto_commit_interval; /* milliseconds */
  enum uk_offset_reset offset_reset;
  int32_t session_timeout; /* milliseconds without a request after which the instance is closed */
};

/* What a consume says where the reset is `none`. Of a topic (length, bytes), its partition (int), and
 * offsets (long long); the first %s is "committed offset", or "position" for an instance that was
 * reading already. */
#define UK_RESET_IS_NONE ", and the auto offset reset is none"
#define UK_RESET_NO_OFFSET "no committed offset for topic \"%.*s\" partition %d" UK_RESET_IS_NONE
#define UK_RESET_OUT_OF_RANGE                                                                      \
  "the %s %lld of topic \"%.*s\" partition %d is out of range %lld to %lld" UK_RESET_IS_NONE

/* Consumes for an instance of a group; creates the instance when it is not alive (settings count
 * only then); changes its subscription when the topics differ. No records by the deadline is UK_OK
 * with none. NOT_FOUND for an unknown topic, TOO_MANY past the limit of instances, BAD_REQUEST for
 * reset `none` without a committed offset.
 *
 * With `create` a topic that does not exist is created first, where the engine creates topics at
 * all, with its number of partitions; the consume then waits for the first message of that topic. */
struct uk_consume {
  struct uk_operation operation;
  struct uk_slice group, instance;
  bool create; /* the credentials permit a produce, which would create the topics too */
  const struct uk_slice *topics;
  size_t topic_count; /* >= 1, no name twice */
  struct uk_consumer_settings settings;
  struct uk_sink sink;
  uint64_t delivery; /* out: the number of this delivery of the instance, 0 when no records */
};

/* Commits each offset as given, or with count 0 the position after the last record that was
 * consumed. NOT_FOUND without a live instance. */
struct uk_commit {
  struct uk_operation operation;
  struct uk_slice group, instance;
  const struct uk_topic_partition_offset *offsets;
  size_t count;
};

/* The group's committed offsets; -1 where there is none. The instance need not live. */
struct uk_committed {
  struct uk_operation operation;
  struct uk_slice group;
  struct uk_topic_partition_offset *offsets; /* out: offset of each */
  size_t count;
};

/* Closes the instance. NOT_FOUND when it is not alive. */
struct uk_delete_consumer {
  struct uk_operation operation;
  struct uk_slice group, instance;
};

/* Calls `owned` for each live instance and topic that it holds partitions of, sorted by group, instance, topic;
 * once with an empty topic and no partitions for an instance that holds none. Before `done`. */
struct uk_consumers {
  struct uk_operation operation;
  void (*owned)(struct uk_operation *operation, struct uk_slice group, struct uk_slice instance,
                struct uk_slice topic, const int32_t *partitions, size_t count);
};

enum { UK_TIMESTAMP_EARLIEST = -2, UK_TIMESTAMP_LATEST = -1 };

/* For each partition the earliest offset whose timestamp is >= the given one, else the end offset. */
struct uk_offsets {
  struct uk_operation operation;
  int64_t timestamp;                         /* or one of the two above */
  struct uk_topic_partition_offset *offsets; /* out: offset of each */
  size_t count;
};

/* Calls `topic` for each topic, sorted by name, before `done`. */
struct uk_topics {
  struct uk_operation operation;
  void (*topic)(struct uk_operation *operation, struct uk_slice name, int32_t partitions);
};

/* -1 = the engine's default; retention -1 = keep for ever. CONFLICT when the topic exists with other settings;
 * creating it again with the same settings is UK_OK. */
struct uk_create_topic {
  struct uk_operation operation;
  struct uk_slice topic;
  int32_t partitions; /* out: as created */
  bool created;       /* out: false when it was there already */
  bool has_retention_ms, has_retention_bytes;
  int64_t retention_ms, retention_bytes; /* bytes are of one partition, as Kafka's */
};

/* Whether what was asked fits the topic that is there; otherwise the operation fails with CONFLICT. What was not asked is
 * not looked at. */
bool uk_create_topic_fits(struct uk_create_topic *operation, int32_t partitions,
                          int64_t retention_ms, int64_t retention_bytes);

/* Removes the topic, its records and the groups' offsets in it. NOT_FOUND when it is not there. */
struct uk_delete_topic {
  struct uk_operation operation;
  struct uk_slice topic;
};

struct uk_engine;

struct uk_engine_methods {
  const char *name; /* "log" or "kafka", as /health shows it */
  void (*produce)(struct uk_engine *engine, struct uk_produce *operation);
  void (*fetch)(struct uk_engine *engine, struct uk_fetch *operation);
  void (*consume)(struct uk_engine *engine, struct uk_consume *operation);
  void (*commit)(struct uk_engine *engine, struct uk_commit *operation);
  void (*committed)(struct uk_engine *engine, struct uk_committed *operation);
  void (*delete_consumer)(struct uk_engine *engine, struct uk_delete_consumer *operation);
  void (*consumers)(struct uk_engine *engine, struct uk_consumers *operation);
  void (*offsets)(struct uk_engine *engine, struct uk_offsets *operation);
  void (*topics)(struct uk_engine *engine, struct uk_topics *operation);
  void (*create_topic)(struct uk_engine *engine, struct uk_create_topic *operation);
  void (*delete_topic)(struct uk_engine *engine, struct uk_delete_topic *operation);

  /* What became of the response that carried this delivery. When it could not be written as a whole, and nothing
   * newer was asked of the instance since, its records are delivered again. Returns at once. */
  void (*response_finished)(struct uk_engine *engine, struct uk_slice group,
                            struct uk_slice instance, uint64_t delivery, bool complete);

  /* UK_OK or UNAVAILABLE, with a text (NUL-terminated, "" when well) in `detail`. */
  enum uk_error (*health)(struct uk_engine *engine, char *detail, size_t size);

  /* Every waiting operation ends now as if its deadline had come, and no later one waits. */
  void (*drain)(struct uk_engine *engine);

  /* Frees the engine. Called once, with no operation in its hands. */
  void (*close)(struct uk_engine *engine);
};

/* First member of every engine. */
struct uk_engine {
  const struct uk_engine_methods *methods;
};

#endif
