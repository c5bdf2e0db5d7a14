/* kafka_session: the partitions that one fetch reads through a consumer handle that it shares with
 * others. */
#ifndef UK_KAFKA_SESSION_H
#define UK_KAFKA_SESSION_H

#include "common/list.h"
#include "server/kafka_engine/fetch/kafka_position.h"
#include "server/kafka_engine/rd/kafka_event.h"

struct uk_kafka_session;

struct uk_kafka_part {
  struct uk_link link; /* the pool's: in its table of parts in use */
  struct uk_kafka_session *session;
  uint64_t hash;
  rd_kafka_topic_t *topic; /* NULL: not started, or stopped */
  int32_t partition;
  int64_t next_offset; /* after what was taken */
  bool answered;       /* its leader has answered */
  bool ended;          /* there was nothing at `next_offset` */
};

struct uk_kafka_session {
  struct uk_kafka_pooled_consumer *consumer; /* the pool's */
  rd_kafka_t *handle;
  const struct uk_kafka_settings *settings; /* the handle's */
  rd_kafka_queue_t *queue;
  struct uk_kafka_event event; /* read, but not taken yet */
  size_t first;                /* the part to start first */
  size_t started;              /* parts, including those that are not to be read */
  size_t ended;                /* parts */
  size_t stopped;              /* parts */
  size_t latest;               /* the part that was last read */
  size_t taken;                /* bytes since the last nudge */
  struct uk_link link;         /* the pool's: among parked sessions */
  int64_t expires;
  size_t count;
  struct uk_kafka_part parts[]; /* in the order of the positions: by hash */
};

/* NULL when memory runs out. The session has neither a handle nor a queue yet. It does not read
 * positions that are past. */
struct uk_kafka_session *uk_kafka_session_new(const struct uk_kafka_position *positions,
                                              size_t count);

/* True if the session reads exactly these positions, and has started them all. */
bool uk_kafka_session_fits(const struct uk_kafka_session *session,
                           const struct uk_kafka_position *positions, size_t count);

/* Starts parts until `upto` have started. False if librdkafka refuses the part at `started`; see
 * rd_kafka_last_error. */
bool uk_kafka_session_start(struct uk_kafka_session *session,
                            const struct uk_kafka_position *positions, size_t upto);

enum uk_kafka_read {
  UK_KAFKA_READ_NOTHING, /* nothing for now */
  UK_KAFKA_READ_RECORD,  /* the event's message, again and again until it is taken */
  UK_KAFKA_READ_END,     /* the end of the part */
  UK_KAFKA_READ_CODE     /* a code about the part; the event is not taken yet */
};
enum uk_kafka_read uk_kafka_session_read(struct uk_kafka_session *session,
                                         struct uk_kafka_part **part);

/* Makes librdkafka read ahead again, if anything was taken. */
void uk_kafka_session_nudge(struct uk_kafka_session *session);

/* Takes the record or code that was read. */
void uk_kafka_session_take(struct uk_kafka_session *session, struct uk_kafka_part *part);

/* Nothing more will arrive from the part. */
void uk_kafka_session_end(struct uk_kafka_session *session, struct uk_kafka_part *part);

/* Stops at most `most` parts. True once all have stopped; the session then has no queue. */
bool uk_kafka_session_stop(struct uk_kafka_session *session, size_t most);

#endif
