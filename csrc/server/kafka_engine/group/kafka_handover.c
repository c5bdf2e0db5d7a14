#include "server/kafka_engine/group/kafka_handover.h"

#include <stdlib.h>

enum { READ_TIMEOUT = 2000 }; /* milliseconds */

/* A query under way, which may outlive the member. */
struct handover_query {
  struct uk_kafka_committed_query committed;
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
  free(query);
}

static void answered(struct uk_kafka_query *query)
{
  uk_kafka_late_answer_arrive(&((struct handover_query *)query)->late);
}

bool uk_kafka_handover_ask(struct uk_kafka_group_member *member,
                           struct uk_kafka_late_answer **handover,
                           const rd_kafka_topic_partition_list_t *list, int64_t now)
{
  struct handover_query *query = calloc(1, sizeof *query);
  if (query == NULL)
    return false;
  query->committed = (struct uk_kafka_committed_query){
    .work.query = {.deadline = now + READ_TIMEOUT, .then = answered},
    .list = rd_kafka_topic_partition_list_copy(list)};
  memcpy(query->committed.group, member->group.data, member->group.length);
  for (int i = 0; i < list->cnt; i++)
    query->committed.list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
  uk_kafka_late_answer_init(&query->late, &member->task, free_query);
  *handover = &query->late;
  uk_kafka_committed_read(member->groups->parts.committed, &query->committed);
  return true;
}

rd_kafka_topic_partition_list_t *uk_kafka_handover_take(struct uk_kafka_late_answer **handover,
                                                        rd_kafka_resp_err_t *code)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(handover);
  if (late == NULL)
    return NULL;
  struct handover_query *query = query_of(late);
  rd_kafka_topic_partition_list_t *list = query->committed.list;
  *code = query->committed.work.query.code;
  for (int i = 0; *code != RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
    list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
  query->committed.list = NULL;
  uk_kafka_late_answer_release(late);
  return list;
}

void uk_kafka_handover_drop(struct uk_kafka_late_answer **handover)
{
  uk_kafka_late_answer_drop(handover);
}
