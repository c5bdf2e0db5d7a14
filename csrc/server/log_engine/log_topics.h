/* log_topics: the topics of the log in memory, with the bounds of their partitions.
 *
 * The writer thread alone changes the table; any thread reads it. What readers see (which topics
 * are visible, `first` and `end`) changes under the table's mutex, after the commit. The writer
 * uses its own fields without the mutex. */
#ifndef UK_LOG_TOPICS_H
#define UK_LOG_TOPICS_H

#include <pthread.h>

#include "common/list.h"
#include "server/engine/engine.h"

enum { UK_LOG_TOPICS_MAX = 10000, UK_LOG_KEEP_FOR_EVER = -1 };

/* Texts for what is damaged: a topic (length, bytes), and a partition (int). */
#define UK_LOG_DAMAGED_TOPIC "the settings of topic \"%.*s\" are damaged: it can only be deleted"
#define UK_LOG_DAMAGED_END                                                                         \
  "the last batch of topic \"%.*s\" partition %d is damaged: where the partition ends is not "     \
  "known, and nothing can be appended"

/* A record of the current transaction. */
struct uk_log_staged {
  struct uk_record *record;
  struct uk_log_partition *partition;
  int64_t offset;      /* that it will have */
  struct uk_link link; /* uk_log_partition.staged */
};

struct uk_log_partition {
  int64_t first, end; /* bounds of the kept offsets, first <= end; any thread may ask */
  int64_t gone;       /* batches below this may be gone, before `first` says so */
  bool damaged;       /* where it ends is not known: nothing can be appended. Set at open */

  /* The writer's. */
  struct uk_log_topic *topic;
  int32_t index;
  int64_t opened_end; /* the end when the log was opened; what lies behind it arrived since */
  int64_t latest;     /* the greatest timestamp that it ever had; INT64_MIN before the first */
  uint64_t position;  /* bytes of all batches that the partition ever had */
  int64_t next_first, next_end, next_latest; /* values after the current transaction */
  uint64_t next_position;
  uint64_t answer; /* the one that it is in (log_answer.h), and there its place */
  uint32_t answer_place;
  struct uk_list staged; /* uk_log_staged.link; empty between transactions */
  struct uk_log_partition *next_touched;
};

struct uk_log_topic {
  uint64_t id; /* never used again, not even after a deletion */
  char name[UK_TOPIC_NAME_MAX + 1];
  size_t name_length;
  bool visible;                          /* false during the transaction that creates it */
  int64_t retention_ms, retention_bytes; /* UK_LOG_KEEP_FOR_EVER or >= 0 */
  int64_t created;                       /* milliseconds since the epoch */
  uint8_t life[16];                      /* the ID of this topic's life, random */
  bool damaged; /* its row is: it has no partitions and can only be deleted. Set at open */

  /* The writer's. */
  int32_t sticky;                    /* the partition that keyless records go to */
  int32_t sticky_left;               /* keyless records before the next partition */
  struct uk_log_topic *next_created; /* in the current transaction */

  int32_t partition_count;
  struct uk_log_partition partitions[];
};

struct uk_log_topics {
  pthread_mutex_t mutex;
  struct uk_log_topic **sorted; /* by name; includes invisible topics */
  size_t count, capacity;
};

/* The next staged record of the partition; the first one after NULL. */
static inline struct uk_log_staged *uk_log_next_staged(const struct uk_log_partition *partition,
                                                       const struct uk_log_staged *after)
{
  return after == NULL ? UK_LIST_FIRST(&partition->staged, struct uk_log_staged, link)
                       : UK_LIST_NEXT(&partition->staged, after, struct uk_log_staged, link);
}

static inline struct uk_slice uk_log_topic_name(const struct uk_log_topic *topic)
{
  return uk_slice_of(topic->name, topic->name_length);
}

bool uk_log_topics_init(struct uk_log_topics *topics); /* false: the mutex cannot be created */
void uk_log_topics_free(struct uk_log_topics *topics);

/* Makes an invisible topic with empty partitions, outside any table; NULL when memory is out.
 * free() frees it. */
struct uk_log_topic *uk_log_topic_new(struct uk_slice name, int32_t partitions);

/* The writer's calls. `find` also finds invisible topics. `add` takes the topic over; false when
 * memory is out (the topic stays the caller's). `remove` frees it. */
struct uk_log_topic *uk_log_topics_find(struct uk_log_topics *topics, struct uk_slice name);
bool uk_log_topics_add(struct uk_log_topics *topics, struct uk_log_topic *topic);
void uk_log_topics_remove(struct uk_log_topics *topics, struct uk_log_topic *topic);

/* Calls for any thread. */
struct uk_log_bounds {
  uint64_t topic_id;
  int32_t partitions;
  bool exists;  /* the partition exists, not only the topic */
  bool damaged; /* the topic's row, or the partition's end */
  int64_t first, end;
  int64_t gone; /* batches below this may be gone already */
};

/* False when the topic does not exist. */
bool uk_log_topics_look_up(struct uk_log_topics *topics, struct uk_slice name, int32_t partition,
                           struct uk_log_bounds *bounds);

/* Calls `each` in the order of the names, under the mutex. */
void uk_log_topics_each(struct uk_log_topics *topics,
                        void (*each)(void *argument, struct uk_slice name, int32_t partitions),
                        void *argument);

#endif
