#include "server/kafka_engine/group/kafka_handover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

enum { READ_TIMEOUT = 2000 }; /* milliseconds; what is not known by then is delivered again */

static const char METADATA_PREFIX[] = "upstash-kafka: delivered up to ";

/* A query under way, which may outlive the instance. */
struct handover_query {
  struct uk_kafka_committed_query committed;
  struct uk_kafka_late_answer late;
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

static struct handover_query *query_of(struct uk_kafka_late_answer *late)
{
  return (struct handover_query *)((char *)late - offsetof(struct handover_query, late));
}

static void free_query(struct uk_kafka_late_answer *late)
{
  struct handover_query *query = query_of(late);
  if (query->committed.list != NULL)
    rd_kafka_topic_partition_list_destroy(query->committed.list);
  free(query);
}

static void answered(struct uk_kafka_query *query)
{
  uk_kafka_late_answer_arrive(&((struct handover_query *)query)->late);
}

bool uk_kafka_handover_ask(struct uk_kafka_instance *instance,
                           const rd_kafka_topic_partition_list_t *list)
{
  uk_kafka_handover_drop(instance);
  if (!instance->migrates || instance->joined || !instance->settings.auto_commit || list->cnt == 0)
    return false;
  struct handover_query *query = calloc(1, sizeof *query);
  if (query == NULL)
    return false;
  query->committed = (struct uk_kafka_committed_query){
    .work.query = {.deadline = uk_clock_monotonic() + READ_TIMEOUT, .then = answered},
    .list = rd_kafka_topic_partition_list_copy(list)};
  memcpy(query->committed.group, instance->group.data, instance->group.length);
  uk_kafka_late_answer_init(&query->late, &instance->task, free_query);
  instance->handover_answer = &query->late;
  uk_kafka_committed_read(instance->groups->parts.committed, &query->committed);
  return true;
}

rd_kafka_topic_partition_list_t *uk_kafka_handover_take(struct uk_kafka_instance *instance)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(&instance->handover_answer);
  if (late == NULL)
    return NULL;
  struct uk_kafka_committed_query *said = &query_of(late)->committed;
  rd_kafka_topic_partition_list_t *list = said->list;
  for (int i = 0; said->work.query.code != RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
    list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
  said->list = NULL;
  uk_kafka_late_answer_release(late);
  return list;
}

void uk_kafka_handover_drop(struct uk_kafka_instance *instance)
{
  uk_kafka_late_answer_drop(&instance->handover_answer);
}
