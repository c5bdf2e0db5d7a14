#include "server/log_engine/log_topics.h"

#include <stdlib.h>

bool uk_log_topics_init(struct uk_log_topics *topics)
{
  *topics = (struct uk_log_topics){.sorted = NULL};
  return pthread_mutex_init(&topics->mutex, NULL) == 0;
}

void uk_log_topics_free(struct uk_log_topics *topics)
{
  for (size_t i = 0; i < topics->count; i++)
    free(topics->sorted[i]);
  free(topics->sorted);
  pthread_mutex_destroy(&topics->mutex);
}

struct uk_log_topic *uk_log_topic_new(struct uk_slice name, int32_t partitions)
{
  struct uk_log_topic *topic =
    calloc(1, sizeof *topic + (size_t)partitions * sizeof topic->partitions[0]);
  if (topic == NULL)
    return NULL;
  memcpy(topic->name, name.data, name.length);
  topic->name_length = name.length;
  topic->retention_ms = topic->retention_bytes = UK_LOG_KEEP_FOR_EVER;
  topic->sticky = -1;
  topic->partition_count = partitions;
  for (int32_t i = 0; i < partitions; i++) {
    struct uk_log_partition *partition = &topic->partitions[i];
    partition->topic = topic;
    partition->index = i;
    partition->latest = partition->next_latest = INT64_MIN;
  }
  return topic;
}

static int compare(struct uk_slice a, struct uk_slice b)
{
  size_t common = a.length < b.length ? a.length : b.length;
  int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
  return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* The index of the first topic whose name is not before `name`. */
static size_t lower_bound(const struct uk_log_topics *topics, struct uk_slice name)
{
  size_t low = 0, high = topics->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(uk_log_topic_name(topics->sorted[middle]), name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

struct uk_log_topic *uk_log_topics_find(struct uk_log_topics *topics, struct uk_slice name)
{
  size_t at = lower_bound(topics, name);
  if (at == topics->count || !uk_slice_equal(uk_log_topic_name(topics->sorted[at]), name))
    return NULL;
  return topics->sorted[at];
}

static bool make_room(struct uk_log_topics *topics)
{
  if (topics->count < topics->capacity)
    return true;
  size_t capacity = topics->capacity == 0 ? 16 : topics->capacity * 2;
  struct uk_log_topic **sorted = realloc(topics->sorted, capacity * sizeof(struct uk_log_topic *));
  if (sorted == NULL)
    return false;
  topics->sorted = sorted;
  topics->capacity = capacity;
  return true;
}

bool uk_log_topics_add(struct uk_log_topics *topics, struct uk_log_topic *topic)
{
  pthread_mutex_lock(&topics->mutex);
  bool room = make_room(topics);
  if (room) {
    size_t at = lower_bound(topics, uk_log_topic_name(topic));
    memmove(topics->sorted + at + 1, topics->sorted + at,
            (topics->count - at) * sizeof(struct uk_log_topic *));
    topics->sorted[at] = topic;
    topics->count++;
  }
  pthread_mutex_unlock(&topics->mutex);
  return room;
}

void uk_log_topics_remove(struct uk_log_topics *topics, struct uk_log_topic *topic)
{
  pthread_mutex_lock(&topics->mutex);
  size_t at = lower_bound(topics, uk_log_topic_name(topic));
  topics->count--;
  memmove(topics->sorted + at, topics->sorted + at + 1,
          (topics->count - at) * sizeof(struct uk_log_topic *));
  pthread_mutex_unlock(&topics->mutex);
  free(topic);
}

bool uk_log_topics_look_up(struct uk_log_topics *topics, struct uk_slice name, int32_t partition,
                           struct uk_log_bounds *bounds)
{
  pthread_mutex_lock(&topics->mutex);
  const struct uk_log_topic *topic = uk_log_topics_find(topics, name);
  bool found = topic != NULL && topic->visible;
  *bounds = (struct uk_log_bounds){.exists = false};
  if (found) {
    bounds->topic_id = topic->id;
    bounds->partitions = topic->partition_count;
    bounds->exists = partition >= 0 && partition < topic->partition_count;
    bounds->damaged = topic->damaged || (bounds->exists && topic->partitions[partition].damaged);
    bounds->first = bounds->exists ? topic->partitions[partition].first : 0;
    bounds->gone = bounds->exists ? topic->partitions[partition].gone : 0;
    bounds->end = bounds->exists ? topic->partitions[partition].end : 0;
  }
  pthread_mutex_unlock(&topics->mutex);
  return found;
}

void uk_log_topics_each(struct uk_log_topics *topics,
                        void (*each)(void *argument, struct uk_slice name, int32_t partitions),
                        void *argument)
{
  pthread_mutex_lock(&topics->mutex);
  for (size_t i = 0; i < topics->count; i++) {
    const struct uk_log_topic *topic = topics->sorted[i];
    if (topic->visible)
      each(argument, uk_log_topic_name(topic), topic->partition_count);
  }
  pthread_mutex_unlock(&topics->mutex);
}
