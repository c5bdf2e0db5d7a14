/* log_topics: the topics of the log in memory, with the bounds of their partitions.
 *
 * One thread, the writer, changes the table; any thread asks it. What others see (the topics that are
 * visible, `first` and `end`) changes under the table's mutex, after the commit that makes it so. The fields that
 * are the writer's alone it reads and changes without the mutex. */
#ifndef UK_LOG_TOPICS_H
#define UK_LOG_TOPICS_H

#include <pthread.h>

#include "server/engine/engine.h"

enum { UK_LOG_TOPICS_MAX = 10000, UK_LOG_KEEP_FOR_EVER = -1 };

/* One record of the transaction under way. */
struct uk_log_staged {
  struct uk_record *record;
  struct uk_log_partition *partition;
  struct uk_log_staged *next; /* in its partition, in order */
};

struct uk_log_partition {
  int64_t first, end; /* of the kept offsets: first <= end. Seen by all */

  /* The writer's. */
  struct uk_log_topic *topic;
  int32_t index;
  int64_t
    latest; /* the greatest timestamp that the partition ever had, INT64_MIN before the first */
  uint64_t position;               /* bytes of all batches that it ever had */
  int64_t next_first, next_latest; /* as they are to be after the transaction under way */
  uint64_t next_position;
  struct uk_log_staged *staged, *last_staged; /* NULL between transactions */
  struct uk_log_partition *next_touched;
};

struct uk_log_topic {
  uint64_t id; /* never used again, nor is that of a deleted topic */
  char name[UK_TOPIC_NAME_MAX + 1];
  size_t name_length;
  bool visible; /* false while the transaction that creates it is under way */
  int64_t retention_ms, retention_bytes; /* UK_LOG_KEEP_FOR_EVER or >= 0 */
  int64_t created;                       /* milliseconds since the epoch */

  /* The writer's. */
  int32_t sticky;                    /* the partition of records without a key */
  int32_t sticky_left;               /* how many more of them it takes before the next one's turn */
  struct uk_log_topic *next_created; /* in the transaction under way */

  int32_t partition_count;
  struct uk_log_partition partitions[];
};

struct uk_log_topics {
  pthread_mutex_t mutex;
  struct uk_log_topic **sorted; /* by name, invisible ones included */
  size_t count, capacity;
};

static inline struct uk_slice uk_log_topic_name(const struct uk_log_topic *topic)
{
  return uk_slice_of(topic->name, topic->name_length);
}

bool uk_log_topics_init(struct uk_log_topics *topics); /* false: no mutex to be had */
void uk_log_topics_free(struct uk_log_topics *topics);

/* A topic outside any table, invisible, with empty partitions; NULL when memory is out. free() frees it. */
struct uk_log_topic *uk_log_topic_new(struct uk_slice name, int32_t partitions);

/* The writer's calls. find sees invisible topics too. add takes the topic, false (topic not taken) when memory
 * is out; remove frees it. */
struct uk_log_topic *uk_log_topics_find(struct uk_log_topics *topics, struct uk_slice name);
bool uk_log_topics_add(struct uk_log_topics *topics, struct uk_log_topic *topic);
void uk_log_topics_remove(struct uk_log_topics *topics, struct uk_log_topic *topic);

/* Anybody's. */
struct uk_log_bounds {
  uint64_t topic_id;
  int32_t partitions;
  bool exists; /* the partition, not only the topic */
  int64_t first, end;
};

/* False when there is no such topic. */
bool uk_log_topics_look_up(struct uk_log_topics *topics, struct uk_slice name, int32_t partition,
                           struct uk_log_bounds *bounds);

/* Sorted by name; the mutex is held meanwhile. */
void uk_log_topics_each(struct uk_log_topics *topics,
                        void (*each)(void *argument, struct uk_slice name, int32_t partitions),
                        void *argument);

#endif
