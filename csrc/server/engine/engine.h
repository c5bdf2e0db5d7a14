/* engine: stores and delivers records. Handlers know this interface, never the engine behind it.
 *
 * Every operation is asynchronous. The caller zeroes an operation, fills in its fields, and submits
 * it through the method of the same name. Until the engine calls `done`, the caller leaves the
 * operation and everything it points to alone. The engine calls `done` exactly once, from any
 * thread, possibly before the method returns. A method never blocks for longer than an access to
 * memory or the page cache: an operation that must wait (for a disk sync, for records, for an
 * earlier request) waits inside the engine and occupies no thread.
 *
 * When the engine calls `done`, `error` is the result. With UK_OK, the out fields are set.
 * Otherwise nothing was changed, and `message` is a text for the user that names the topic,
 * partition, field or range at fault. `deadline` limits waiting only: an operation that need not
 * wait is carried out once even when its deadline has passed. */
#ifndef UK_ENGINE_H
#define UK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/list.h"
#include "common/protocol.h"
#include "common/slice.h"

enum { UK_MESSAGE_SIZE = 512 }; /* room for a text that names a topic of 249 characters */

/* The message for a topic that does not exist; takes the name's length and bytes. Handlers give the
 * same answer for internal topics (uk_topic_name_internal), which never reach an engine. */
#define UK_NO_TOPIC "topic \"%.*s\" does not exist"

/* UNAVAILABLE and NO_MEMORY promise that nothing was done: the client may retry. If the operation
 * may have been carried out, the error is GATEWAY_TIMEOUT and its text says so, usually in these
 * words. */
#define UK_MAY_BE_DONE "may have been carried out"

/* The message of a commit or deletion whose deadline came before that was known. */
#define UK_RESPONSE_UNKNOWN                                                                        \
  "the last response of this consumer instance is still being sent: try again when it has ended"

struct uk_operation {
  /* Set by the caller. */
  void (*done)(struct uk_operation *operation);
  /* May be NULL. The engine calls it at most once, before `done` and from any thread, when it
   * cannot tell when that will be: the disk does not answer. `message`, valid during the call,
   * tells the user so, and that the operation may have been carried out. Until `done`, everything
   * belongs to the engine as before. May not wait for the engine. */
  void (*late)(struct uk_operation *operation, const char *message);
  void *context;    /* for `done` and the operation's callbacks */
  int64_t deadline; /* uk_clock_monotonic, milliseconds: wait for records or an answer until then */

  /* The outcome; UK_OK and "" when submitted. */
  enum uk_error error;
  char message[UK_MESSAGE_SIZE]; /* NUL-terminated; "" = uk_error_text(error) */

  bool expired; /* use uk_operation_expire and uk_operation_is_expired */

  /* The engine's own, until it calls `done`. */
  struct uk_link link;
  void *engine_data;
};

/* From now on the operation waits no longer, as if its deadline had come. Any thread may call. */
static inline void uk_operation_expire(struct uk_operation *operation)
{
  __atomic_store_n(&operation->expired, true, __ATOMIC_RELEASE);
}

static inline bool uk_operation_is_expired(const struct uk_operation *operation)
{
  return __atomic_load_n(&operation->expired, __ATOMIC_ACQUIRE);
}

/* The operation may not wait at the time `now`: it has expired, or its deadline has come. */
static inline bool uk_operation_is_over(const struct uk_operation *operation, int64_t now)
{
  return operation->deadline <= now || uk_operation_is_expired(operation);
}

/* Sets the error and formats the message, truncated to UK_MESSAGE_SIZE. Does not call `done`. */
void uk_operation_fail(struct uk_operation *operation, enum uk_error error, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

struct uk_record_header {
  struct uk_slice key;
  struct uk_slice value;
};

struct uk_record {
  struct uk_slice topic;
  int32_t partition; /* produce: -1 = by the key's hash, or spread when there is no key */
  int64_t offset;    /* produce: out */
  int64_t timestamp; /* milliseconds since the epoch; produce: -1 = the server's clock, filled in */
  enum uk_error error; /* produce: out, see there */
  const char *reason;  /* static text for the user, when there is an error */
  bool has_key;
  bool has_value; /* false: a null value, a tombstone */
  struct uk_slice key;
  struct uk_slice value;
  const struct uk_record_header *headers;
  size_t header_count;
};

/* Identifies a produce, so that it can be repeated: an engine keeps the outcome of a produce that
 * stored something, for the window of the server, and gives it to the next produce with the same
 * user and key, which stores nothing. */
struct uk_produce_key {
  struct uk_slice user;
  struct uk_slice key;     /* 1 to UK_IDEMPOTENCY_KEY_MAX visible ASCII characters; empty: none */
  uint8_t fingerprint[16]; /* of the request: another one with the same key is UNPROCESSABLE */
};

/* Appends the records; done once they are durable. Fails with NOT_FOUND if a topic does not exist
 * and may not be created, BAD_REQUEST if a topic has no such partition (with several records the
 * message says which one, counted from 0), and UNAVAILABLE if the disk is full.
 *
 * An engine that learns the outcome of each record separately sets the `error` and `reason` of
 * every record and calls uk_produce_conclude (produce_outcome.h) for the overall result. If it sets
 * `each`, the error does not apply to every record: those with UK_OK are stored and their out
 * fields are set. Without `each`, no record is known to be stored.
 *
 * With a key, the operation first waits for the outcome of an earlier one with the same key. If
 * that stored all records, this one gets its results and is `replayed`; if it stored some, this one
 * stores the others; if that cannot be learned, the error is GATEWAY_TIMEOUT, and nothing is
 * appended. */
struct uk_produce {
  struct uk_operation operation;
  struct uk_record *records; /* out: partition, offset, timestamp of each */
  size_t count;              /* >= 1 */
  struct uk_produce_key key;
  bool each;     /* out */
  bool replayed; /* out: the results are those of an earlier operation with this key */
};

struct uk_topic_partition_offset {
  struct uk_slice topic;
  int32_t partition;
  int64_t offset;
};

/* Receives the records of a fetch or consume. The engine calls `record` for one record after
 * another, from one thread at a time, before `done`; the bytes are valid only during the call.
 * `record` returns false to reject a record because the batch is full; the engine then stops before
 * that record. The first record is never rejected for its size: if it is rejected, memory is out,
 * and the operation ends with NO_MEMORY. */
struct uk_sink {
  bool (*record)(struct uk_operation *operation, const struct uk_record *record);
  /* Called once, before the first record. If it returns false, the operation ends with CANCELLED:
   * no record is delivered and no position moves. NULL: do not check. */
  bool (*is_client_alive)(struct uk_operation *operation);
};

/* Reads from each position on. If every position is at the end of its partition, waits for the
 * first new record. BAD_REQUEST, with the valid range in the message, for a negative offset or one
 * below the first that is kept. */
struct uk_fetch {
  struct uk_operation operation;
  const struct uk_topic_partition_offset *positions;
  size_t count; /* >= 1 */
  struct uk_sink sink;
};

/* What is known so far of a response that delivers a batch. */
enum uk_response_outcome {
  UK_RESPONSE_FAILED,  /* its client has not got all of it */
  UK_RESPONSE_WRITTEN, /* in full; nothing says that it did not arrive */
  UK_RESPONSE_PENDING  /* it is on its way */
};

struct uk_consumer_settings {
  bool auto_commit;
  int32_t auto_commit_interval; /* milliseconds */
  enum uk_offset_reset offset_reset;
  int32_t session_timeout; /* milliseconds without a request after which the instance is closed */
};

/* A batch is what one response delivers: its records, in their order. Until its client acknowledges
 * it, it is outstanding, and can be delivered again under the same ID. What an operation says about
 * the batches of its instance: */
enum uk_acknowledgement_kind {
  /* As every request in the plain contract: the last response arrived, unless its write failed. An
   * operation whose last response is still being written waits for that. */
  UK_ACKNOWLEDGE_WRITTEN,
  UK_ACKNOWLEDGE_NONE, /* the client holds nothing: what is outstanding is delivered again */
  UK_ACKNOWLEDGE_BATCH /* the batch with this ID arrived */
};

/* The ID must be that of the last batch delivered or of the last one acknowledged; for any other,
 * the operation ends with CONFLICT and has no effect. An instance that is not alive has neither. If
 * the ID is that of the last one acknowledged, what is outstanding is delivered again. */
struct uk_acknowledgement {
  enum uk_acknowledgement_kind kind;
  struct uk_slice batch; /* the ID */
  /* Also commit the position after each partition's last record in the batch, before anything else.
   * Commits nothing if the batch was acknowledged before, and moves no commit back. */
  bool commit;
};

/* Room for a batch's ID: at most 64 visible ASCII characters, unique within group and instance for
 * ever, and NUL. */
enum { UK_BATCH_ID_SIZE = 65 };

/* Messages of a consume whose reset is `none`. They take a topic (length, bytes), its partition
 * (int) and offsets (long long). The first %s is "committed offset", or "position" if the instance
 * was already reading. */
#define UK_RESET_IS_NONE ", and the auto offset reset is none"
#define UK_RESET_NO_OFFSET "no committed offset for topic \"%.*s\" partition %d" UK_RESET_IS_NONE
#define UK_RESET_OUT_OF_RANGE                                                                      \
  "the %s %lld of topic \"%.*s\" partition %d is out of range %lld to %lld" UK_RESET_IS_NONE

/* Consumes for one instance of a group. Creates the instance if it is not alive; only then do the
 * settings count. Changes its subscription if the topics differ. UK_OK without records if none
 * arrive by the deadline, or if it is not known by then what became of the last response. NOT_FOUND
 * for an unknown topic, TOO_MANY above the limit of instances, BAD_REQUEST for reset `none` without
 * a committed offset.
 *
 * With `create`, and if the engine creates topics at all, a missing topic is created first with the
 * engine's default number of partitions. The consume then waits for the topic's first record.
 *
 * If a batch is outstanding and neither acknowledged nor ended, it alone is delivered, with
 * `redelivered` set before the first record: the sink takes all its records, regardless of its
 * limits. Records that are no longer kept, or of partitions that the instance no longer holds, are
 * left out; if none is left, the batch ends and the consume continues.
 *
 * `commits` are applied, durably, before anything is read; they never move a commit back. Each
 * names a partition of an existing topic, not necessarily one of `topics`. A partition that another
 * live instance holds is skipped. So is one whose topic was created again, as far as the engine
 * sees that, until new records of it are acknowledged; the log engine also skips an offset beyond
 * the partition's end. They do not change where the instance reads on, unless it does not know that
 * yet. Records below a commit are not delivered again. */
struct uk_consume {
  struct uk_operation operation;
  struct uk_slice group, instance;
  bool create; /* the credentials permit producing, which would create the topics anyway */
  const struct uk_slice *topics;
  size_t topic_count; /* >= 1, no name twice */
  struct uk_consumer_settings settings;
  struct uk_acknowledgement acknowledgement;
  const struct uk_topic_partition_offset *commits;
  size_t commit_count;
  bool *skipped; /* out: of each commit; the caller provides zeroed memory */
  struct uk_sink sink;
  bool redelivered;  /* out: see above */
  uint64_t delivery; /* out: this delivery's number within the instance, 0 without records */
  char batch[UK_BATCH_ID_SIZE]; /* out: the ID of the batch, "" without records */
};

/* Commits each offset as given, or, with count 0, the position after the last consumed record of
 * each partition. NOT_FOUND if the instance is not alive; UNAVAILABLE if it is not known by the
 * deadline what became of the instance's last response. */
struct uk_commit {
  struct uk_operation operation;
  struct uk_slice group, instance;
  struct uk_acknowledgement acknowledgement; /* carried out first */
  const struct uk_topic_partition_offset *offsets;
  size_t count;
  bool nothing; /* count is 0: commits nothing besides what the acknowledgement does */
};

/* Reads the group's committed offsets; -1 where nothing is committed. No instance need be alive. */
struct uk_committed {
  struct uk_operation operation;
  struct uk_slice group;
  struct uk_topic_partition_offset *offsets; /* out: offset of each */
  size_t count;
};

/* Closes the instance. With auto-commit, what was delivered is committed first: a deletion
 * acknowledges the last response as a consume does, unless that response failed. Errors as for a
 * commit. */
struct uk_delete_consumer {
  struct uk_operation operation;
  struct uk_slice group, instance;
  struct uk_acknowledgement acknowledgement; /* carried out first */
};

/* Before `done`, calls `owned` once for each live instance and each topic of which the instance
 * holds partitions, sorted by group, instance and topic. An instance without partitions gets one
 * call with an empty topic. */
struct uk_consumers {
  struct uk_operation operation;
  void (*owned)(struct uk_operation *operation, struct uk_slice group, struct uk_slice instance,
                struct uk_slice topic, const int32_t *partitions, size_t count);
};

enum { UK_TIMESTAMP_EARLIEST = -2, UK_TIMESTAMP_LATEST = -1 };

/* Finds, for each partition, the earliest offset whose timestamp is >= `timestamp`; without such a
 * record, the end offset. */
struct uk_offsets {
  struct uk_operation operation;
  int64_t timestamp;                         /* milliseconds, or UK_TIMESTAMP_* */
  struct uk_topic_partition_offset *offsets; /* out: offset of each */
  size_t count;
};

/* Before `done`, calls `topic` for each topic, sorted by name. */
struct uk_topics {
  struct uk_operation operation;
  void (*topic)(struct uk_operation *operation, struct uk_slice name, int32_t partitions);
};

/* Creates a topic. CONFLICT if it exists with other settings; UK_OK if it exists with the same
 * ones. */
struct uk_create_topic {
  struct uk_operation operation;
  struct uk_slice topic;
  int32_t partitions; /* -1 = the engine's default; out: the actual number */
  bool created;       /* out: false if the topic already existed */
  bool has_retention_ms, has_retention_bytes;
  int64_t retention_ms, retention_bytes; /* -1 = unlimited; bytes per partition, as in Kafka */
};

/* Whether the requested settings match those of the existing topic; if not, sets the operation's
 * error to CONFLICT. Settings that were not requested are ignored. */
bool uk_create_topic_fits(struct uk_create_topic *operation, int32_t partitions,
                          int64_t retention_ms, int64_t retention_bytes);

/* Deletes the topic, its records and the offsets that groups committed in it. NOT_FOUND if it does
 * not exist. */
struct uk_delete_topic {
  struct uk_operation operation;
  struct uk_slice topic;
};

struct uk_engine;

struct uk_engine_methods {
  const char *name; /* "log" or "kafka"; shown by /health */
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

  /* Reports what became of the response that carried this delivery. The caller does so at least
   * once for each delivery: until then the instance's next consume, commit or deletion waits, at
   * most until its deadline, unless it acknowledges a batch by its ID or none. A response that was
   * WRITTEN is acknowledged by that request; the batch of one that FAILED is delivered again.
   *
   * Until it is acknowledged, a response that was WRITTEN may turn out to be PENDING still, or to
   * have FAILED; after FAILED nothing changes. One thread at a time reports on a delivery. What is
   * reported before a request is submitted counts for that request. Returns at once. */
  void (*response_finished)(struct uk_engine *engine, struct uk_slice group,
                            struct uk_slice instance, uint64_t delivery,
                            enum uk_response_outcome outcome);

  /* The caller has called uk_operation_expire: ends the operation's wait, if it waits. It may have
   * called `done` already, but the caller keeps the operation until this returns. */
  void (*fetch_expired)(struct uk_engine *engine, struct uk_fetch *operation);
  void (*consume_expired)(struct uk_engine *engine, struct uk_consume *operation);

  /* UK_OK, or UNAVAILABLE with the cause in `detail` (NUL-terminated). For UK_OK, `detail` is what
   * else is worth knowing, or "". */
  enum uk_error (*health)(struct uk_engine *engine, char *detail, size_t size);

  /* Ends every waiting operation as if its deadline had passed; later ones do not wait. */
  void (*drain)(struct uk_engine *engine);

  /* Completes what is under way, and ends the threads that do so. Precondition: no operation is
   * pending, except those that are late. False: the disk does not answer. Then the engine may not
   * be closed, and its memory and locks stay; this may be called again. NULL: closing does it. */
  bool (*finish)(struct uk_engine *engine);

  /* Frees the engine. Precondition: no operation is pending. */
  void (*close)(struct uk_engine *engine);
};

/* First member of every engine. */
struct uk_engine {
  const struct uk_engine_methods *methods;
};

#endif
