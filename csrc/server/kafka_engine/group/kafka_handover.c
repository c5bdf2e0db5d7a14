#include "server/kafka_engine/group/kafka_handover.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/cluster/kafka_starts.h"

enum {
  READ_TIMEOUT = 2000, /* milliseconds */
  START_TIMEOUT = 500  /* the same for starts: then librdkafka looks for them itself */
};

/* A query under way, which may outlive the member. */
struct handover_query {
  struct uk_kafka_committed_query committed;
  struct uk_kafka_starts starts; /* list NULL: none is asked about */
  struct uk_kafka_blocking *blocking;
  struct uk_kafka_late_answer late;
};

static struct handover_query *query_of(struct uk_kafka_late_answer *late)
{
  return (struct handover_query *)((char *)late - offsetof(struct handover_query, late));
}

static void free_query(struct uk_kafka_late_answer *late)
{
  struct handover_query *query = query_of(late);
  if (query->committed.list != NULL)
    rd_kafka_topic_partition_list_destroy(query->committed.list);
  if (query->starts.list != NULL)
    rd_kafka_topic_partition_list_destroy(query->starts.list);
  free(query);
}

static void starts_arrived(struct uk_kafka_query *query)
{
  struct uk_kafka_starts *starts = (struct uk_kafka_starts *)query;
  struct handover_query *handover =
    (struct handover_query *)((char *)starts - offsetof(struct handover_query, starts));
  uk_kafka_late_answer_arrive(&handover->late);
}

static void drop_committed(rd_kafka_topic_partition_list_t *starts,
                           const rd_kafka_topic_partition_list_t *committed)
{
  for (int i = 0; i < committed->cnt; i++) {
    const rd_kafka_topic_partition_t *at = &committed->elems[i];
    if (at->offset >= 0)
      rd_kafka_topic_partition_list_del(starts, at->topic, at->partition);
  }
}

static void answered(struct uk_kafka_query *base)
{
  struct handover_query *query = (struct handover_query *)base;
  struct uk_kafka_starts *starts = &query->starts;
  bool asks = base->code == RD_KAFKA_RESP_ERR_NO_ERROR && starts->list != NULL;
  if (asks)
    drop_committed(starts->list, query->committed.list);
  if (!asks || starts->list->cnt == 0) {
    uk_kafka_late_answer_arrive(&query->late);
    return;
  }
  starts->work.query.deadline = uk_clock_monotonic() + START_TIMEOUT;
  uk_kafka_starts_ask(starts, query->blocking);
}

bool uk_kafka_handover_ask(struct uk_kafka_group_member *member,
                           struct uk_kafka_late_answer **handover,
                           const rd_kafka_topic_partition_list_t *list,
                           rd_kafka_topic_partition_list_t *starts, int64_t now)
{
  const struct uk_kafka_groups_parts *parts = &member->groups->parts;
  struct handover_query *query = calloc(1, sizeof *query);
  if (query == NULL) {
    if (starts != NULL)
      rd_kafka_topic_partition_list_destroy(starts);
    return false;
  }
  query->committed = (struct uk_kafka_committed_query){
    .work.query = {.deadline = now + READ_TIMEOUT, .then = answered},
    .list = rd_kafka_topic_partition_list_copy(list)};
  query->starts = (struct uk_kafka_starts){.work.query.then = starts_arrived,
                                           .control = parts->control,
                                           .topics = parts->topics,
                                           .list = starts};
  query->blocking = parts->blocking;
  memcpy(query->committed.group, member->group.data, member->group.length);
  for (int i = 0; i < list->cnt; i++)
    query->committed.list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
  uk_kafka_late_answer_init(&query->late, &member->task, free_query);
  *handover = &query->late;
  uk_kafka_committed_read(parts->committed, &query->committed);
  return true;
}

bool uk_kafka_handover_take(struct uk_kafka_late_answer **handover,
                            struct uk_kafka_handed_over *handed_over)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(handover);
  if (late == NULL)
    return false;
  struct handover_query *query = query_of(late);
  *handed_over = (struct uk_kafka_handed_over){.code = query->committed.work.query.code,
                                               .committed = query->committed.list,
                                               .starts = query->starts.list};
  for (int i = 0;
       handed_over->code != RD_KAFKA_RESP_ERR_NO_ERROR && i < handed_over->committed->cnt; i++)
    handed_over->committed->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
  query->committed.list = query->starts.list = NULL;
  uk_kafka_late_answer_release(late);
  return true;
}

void uk_kafka_handover_drop(struct uk_kafka_late_answer **handover)
{
  uk_kafka_late_answer_drop(handover);
}
