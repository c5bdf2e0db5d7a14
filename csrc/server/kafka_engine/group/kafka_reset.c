#include "server/kafka_engine/group/kafka_reset.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/cluster/kafka_watermarks.h"

enum { WATERMARKS_TIMEOUT = 2000 }; /* milliseconds; then the answer names no range */

/* A query under way, with the requests that wait for its answer. It may outlive the member. */
struct reset_query {
  struct uk_kafka_watermarks watermarks;
  struct uk_topic_partition_offset first, end;
  int64_t offset;
  struct uk_list requests;
  struct uk_kafka_name topic;
  const char *what;
};

/* For a cluster that does not name the range. */
static void write_out_of_range(char text[static UK_MESSAGE_SIZE], const char *what, int64_t offset,
                               struct uk_slice topic, int32_t partition)
{
  snprintf(text, UK_MESSAGE_SIZE,
           "the %s %lld of topic \"%.*s\" partition %d is out of range" UK_RESET_IS_NONE, what,
           (long long)offset, (int)topic.length, topic.data, (int)partition);
}

static void answered(struct uk_kafka_query *answered)
{
  struct reset_query *query = (struct reset_query *)answered;
  struct uk_slice topic = uk_slice_text(query->topic.text);
  char text[UK_MESSAGE_SIZE];
  if (answered->code == RD_KAFKA_RESP_ERR_NO_ERROR)
    snprintf(text, sizeof text, UK_RESET_OUT_OF_RANGE, query->what, (long long)query->offset,
             (int)topic.length, topic.data, (int)query->first.partition,
             (long long)query->first.offset, (long long)query->end.offset);
  else
    write_out_of_range(text, query->what, query->offset, topic, query->first.partition);
  uk_kafka_requests_fail(&query->requests, UK_E_BAD_REQUEST, text);
  free(query);
}

/* False: memory is out. */
static bool ask_watermarks(struct uk_kafka_group_member *member,
                           const rd_kafka_topic_partition_t *place, int64_t now)
{
  const struct uk_kafka_assigned_partition *partition =
    uk_kafka_assigned_partition_find(&member->partitions, place->topic, place->partition);
  bool reads = partition != NULL && partition->progress.committable;
  struct reset_query *query = calloc(1, sizeof *query);
  if (query == NULL)
    return false;
  query->topic = uk_kafka_name(uk_slice_text(place->topic));
  query->what = reads ? "position" : "committed offset";
  query->offset = place->offset;
  query->first = query->end = (struct uk_topic_partition_offset){
    .topic = uk_slice_text(query->topic.text), .partition = place->partition};
  uk_list_move(&query->requests, &member->consumes);
  query->watermarks = (struct uk_kafka_watermarks){
    .work.query = {.deadline = now + WATERMARKS_TIMEOUT, .then = answered},
    .control = member->groups->parts.control,
    .first = &query->first,
    .end = &query->end,
    .count = 1};
  uk_kafka_watermarks_ask(&query->watermarks, member->groups->parts.blocking);
  return true;
}

void uk_kafka_reset_fail(struct uk_kafka_group_member *member,
                         const rd_kafka_topic_partition_t *place, int64_t now)
{
  char text[UK_MESSAGE_SIZE] = "no committed offset" UK_RESET_IS_NONE;
  struct uk_slice topic = uk_slice_text(place != NULL ? place->topic : "");
  if (place != NULL && place->offset >= 0 && ask_watermarks(member, place, now))
    return;
  if (place != NULL && place->offset >= 0)
    write_out_of_range(text, "committed offset", place->offset, topic, place->partition);
  else if (place != NULL)
    snprintf(text, sizeof text, UK_RESET_NO_OFFSET, (int)topic.length, topic.data,
             (int)place->partition);
  uk_kafka_requests_fail(&member->consumes, UK_E_BAD_REQUEST, text);
}
