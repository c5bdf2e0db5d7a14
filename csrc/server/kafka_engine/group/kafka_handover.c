#include "server/kafka_engine/group/kafka_handover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

enum { READ_TIMEOUT = 2000 }; /* milliseconds; what is not known by then is delivered again */

static const char METADATA_PREFIX[] = "upstash-kafka: delivered up to ";

/* A question under way. Whoever comes last, the answer or the end of the instance, frees it. */
struct uk_kafka_handover {
  struct uk_kafka_committed_query query;
  struct uk_kafka_groups *groups;
  struct uk_kafka_instance *instance; /* NULL: nobody wants to know any more */
  bool answered;
};

/* Notes. */

void uk_kafka_handover_write_metadata(rd_kafka_topic_partition_t *at, int64_t position)
{
  char *text = NULL; /* librdkafka frees it with its list */
  int length = asprintf(&text, "%s%" PRId64, METADATA_PREFIX, position);
  if (length < 0)
    return;
  at->metadata = text;
  at->metadata_size = (size_t)length;
}

int64_t uk_kafka_handover_read_metadata(const rd_kafka_topic_partition_t *at)
{
  char text[sizeof METADATA_PREFIX + 20], *end;
  if (at->offset < 0 || at->metadata == NULL || at->metadata_size < sizeof METADATA_PREFIX ||
      at->metadata_size >= sizeof text ||
      memcmp(at->metadata, METADATA_PREFIX, sizeof METADATA_PREFIX - 1) != 0)
    return -1;
  memcpy(text, at->metadata, at->metadata_size);
  text[at->metadata_size] = '\0';
  const char *digits = text + sizeof METADATA_PREFIX - 1;
  int64_t position = strtoll(digits, &end, 10);
  bool good = *digits >= '0' && *digits <= '9' && *end == '\0';
  return good && position >= at->offset && position < INT64_MAX ? position : -1;
}

/* Reading them. */

static void free_handover(struct uk_kafka_handover *handover)
{
  if (handover->query.list != NULL)
    rd_kafka_topic_partition_list_destroy(handover->query.list);
  free(handover);
}

static void answered(struct uk_kafka_committed_query *query)
{
  struct uk_kafka_handover *handover = (struct uk_kafka_handover *)query;
  struct uk_kafka_groups *groups = handover->groups;
  pthread_mutex_lock(&groups->mutex);
  bool unwanted = handover->instance == NULL;
  handover->answered = true;
  if (!unwanted)
    uk_kafka_task_wake(&handover->instance->task);
  else
    free_handover(handover);
  groups->handovers--;
  pthread_cond_broadcast(&groups->empty);
  pthread_mutex_unlock(&groups->mutex);
}

bool uk_kafka_handover_ask(struct uk_kafka_instance *instance,
                           const rd_kafka_topic_partition_list_t *list)
{
  struct uk_kafka_groups *groups = instance->groups;
  uk_kafka_handover_drop(instance);
  if (!instance->migrates || instance->joined || !instance->settings.auto_commit || list->cnt == 0)
    return false;
  struct uk_kafka_handover *handover = calloc(1, sizeof *handover);
  if (handover == NULL)
    return false;
  handover->groups = groups;
  handover->instance = instance;
  handover->query =
    (struct uk_kafka_committed_query){.work.deadline = uk_clock_monotonic() + READ_TIMEOUT,
                                      .list = rd_kafka_topic_partition_list_copy(list),
                                      .then = answered};
  memcpy(handover->query.group, instance->group.data, instance->group.length);
  pthread_mutex_lock(&groups->mutex);
  groups->handovers++;
  instance->handover = handover;
  pthread_mutex_unlock(&groups->mutex);
  uk_kafka_committed_read(groups->parts.committed, &handover->query);
  return true;
}

rd_kafka_topic_partition_list_t *uk_kafka_handover_take(struct uk_kafka_instance *instance)
{
  pthread_mutex_lock(&instance->groups->mutex);
  struct uk_kafka_handover *handover = instance->handover;
  if (handover != NULL && !handover->answered)
    handover = NULL;
  if (handover != NULL)
    instance->handover = NULL;
  pthread_mutex_unlock(&instance->groups->mutex);
  if (handover == NULL)
    return NULL;
  rd_kafka_topic_partition_list_t *list = handover->query.list;
  for (int i = 0; handover->query.code != RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
    list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
  handover->query.list = NULL;
  free_handover(handover);
  return list;
}

void uk_kafka_handover_drop(struct uk_kafka_instance *instance)
{
  pthread_mutex_lock(&instance->groups->mutex);
  struct uk_kafka_handover *handover = instance->handover;
  bool over = handover != NULL && handover->answered;
  if (handover != NULL)
    handover->instance = NULL;
  instance->handover = NULL;
  pthread_mutex_unlock(&instance->groups->mutex);
  if (over)
    free_handover(handover);
}
