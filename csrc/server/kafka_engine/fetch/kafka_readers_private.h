/* kafka_readers_private: what kafka_readers.c, which lends, and kafka_readers_task.c, which tidies up, share. */
#ifndef UK_KAFKA_READERS_PRIVATE_H
#define UK_KAFKA_READERS_PRIVATE_H

#include <pthread.h>

#include "server/kafka_engine/fetch/kafka_readers.h"

enum { UK_KAFKA_PART_BUCKETS = 4096 };

struct uk_kafka_reader {
  rd_kafka_t *handle; /* NULL: the place is free */
  size_t loans;       /* kept ones too */
  int64_t idle_since; /* without loans */
  bool retired;       /* not lent any more */
};

struct uk_kafka_readers {
  struct uk_kafka_task task;
  const struct uk_kafka_settings *settings;
  struct uk_kafka_reaper *reaper;

  pthread_mutex_t mutex; /* of all below, and of what the readers have in parts and loans */
  pthread_cond_t gone;   /* `ended` was set */
  struct uk_kafka_reader readers[UK_KAFKA_READERS];
  bool making; /* somebody makes a handle, outside of the mutex */
  struct uk_kafka_part **buckets;
  struct uk_kafka_loan *kept, **kept_end; /* the oldest first */
  size_t kept_count;
  struct uk_kafka_turn *line, **line_end;
  bool closing, ended;
};

/* With the mutex held. */
void uk_kafka_readers_take_kept(struct uk_kafka_readers *readers, struct uk_kafka_loan **link);

/* What the task runs. */
void uk_kafka_readers_run(struct uk_kafka_task *task, int64_t now);

#endif
