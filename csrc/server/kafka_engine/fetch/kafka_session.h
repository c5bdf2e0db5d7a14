/* kafka_session: partitions that one fetch reads through a consumer handle which it shares with others. */
#ifndef UK_KAFKA_SESSION_H
#define UK_KAFKA_SESSION_H

#include "common/list.h"
#include "server/kafka_engine/fetch/kafka_position.h"
#include "server/kafka_engine/rd/kafka_event.h"

struct uk_kafka_session;

struct uk_kafka_part {
  struct uk_link link; /* the pool's: in its table of what is in use */
  struct uk_kafka_session *session;
  uint64_t hash;
  rd_kafka_topic_t *topic; /* NULL: not started, or stopped */
  int32_t partition;
  int64_t next_offset; /* after what was taken */
  bool heard;          /* its leader has answered */
  bool ended;          /* there was nothing at `next_offset` */
};

struct uk_kafka_session {
  struct uk_kafka_pooled_consumer *consumer; /* the pool's */
  rd_kafka_t *handle;
  const struct uk_kafka_settings *settings; /* of the handle */
  rd_kafka_queue_t *queue;
  struct uk_kafka_event event; /* read, and not taken yet */
  size_t first;                /* the part that is started first */
  size_t started;              /* parts; those that are not to be read count as well */
  size_t ended;                /* parts */
  size_t stopped;              /* parts */
  size_t latest;               /* the part that was read last */
  size_t taken;                /* bytes since the last nudge */
  struct uk_link link;         /* the pool's: among those that are parked */
  int64_t expires;
  size_t count;
  struct uk_kafka_part parts[]; /* as the positions: by hash */
};

/* NULL when memory is out. Neither a handle nor a queue yet. A position that is past is not read. */
struct uk_kafka_session *uk_kafka_session_new(const struct uk_kafka_position *positions,
                                              size_t count);

/* It reads just this, and has begun with all of it. */
bool uk_kafka_session_fits(const struct uk_kafka_session *session,
                           const struct uk_kafka_position *positions, size_t count);

/* Starts parts until `upto` are. False when librdkafka refuses that at `started`, for rd_kafka_last_error. */
bool uk_kafka_session_start(struct uk_kafka_session *session,
                            const struct uk_kafka_position *positions, size_t upto);

enum uk_kafka_read {
  UK_KAFKA_READ_NOTHING, /* for now */
  UK_KAFKA_READ_RECORD,  /* the event's message: again and again, until it is taken */
  UK_KAFKA_READ_END,     /* of the part */
  UK_KAFKA_READ_CODE     /* of the part; the event is not taken yet */
};
enum uk_kafka_read uk_kafka_session_read(struct uk_kafka_session *session,
                                         struct uk_kafka_part **part);

/* Sees to it that more is read ahead, where something was taken. */
void uk_kafka_session_nudge(struct uk_kafka_session *session);

/* The record or code that was read is done with. */
void uk_kafka_session_take(struct uk_kafka_session *session, struct uk_kafka_part *part);

/* Nothing more will come of the part. */
void uk_kafka_session_end(struct uk_kafka_session *session, struct uk_kafka_part *part);

/* Stops at most that many parts. True when all are, and the session has no queue any more. */
bool uk_kafka_session_stop(struct uk_kafka_session *session, size_t most);

#endif
