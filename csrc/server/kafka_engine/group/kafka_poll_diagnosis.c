#include "server/kafka_engine/group/kafka_poll_diagnosis.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum {
  /* Milliseconds in which a broker reports records or the end of a partition; besides, twice the
   * time that it waits for records: a request for other partitions may be under way. */
  SILENCE = 2000,
  JOIN_TIME = 5000,    /* milliseconds in which a group admits a member */
  REFRESH = 1000,      /* milliseconds between two queries about the topics */
  QUERY_TIMEOUT = 500, /* milliseconds in which a group's coordinator answers */
};

static int64_t fetch_wait(const struct uk_kafka_group_member *member)
{
  char text[24] = "";
  size_t size = sizeof text;
  rd_kafka_conf_get(rd_kafka_conf(member->handle), "fetch.wait.max.ms", text, &size);
  return atoi(text);
}

/* A broker should have reported something by now. */
static bool is_late(const struct uk_kafka_group_member *member, int64_t now)
{
  return member->handle != NULL && now >= member->waiting_since + SILENCE + 2 * fetch_wait(member);
}

/* A partition whose broker should have reported something by now, or NULL. */
static const struct uk_kafka_assigned_partition *
find_silent(const struct uk_kafka_group_member *member, int64_t now)
{
  const struct uk_kafka_assigned_partitions *partitions = &member->partitions;
  if (!is_late(member, now))
    return NULL;
  for (size_t i = 0; i < partitions->count; i++) {
    if (partitions->all[i].assigned && !partitions->all[i].ended)
      return &partitions->all[i];
  }
  return NULL;
}

/* A partition without a leader, or NULL. */
static const struct uk_kafka_assigned_partition *
find_leaderless(const struct uk_kafka_group_member *member)
{
  for (size_t i = 0; i < member->partitions.count; i++) {
    const struct uk_kafka_assigned_partition *partition = &member->partitions.all[i];
    if (partition->assigned &&
        uk_kafka_topics_leaderless(member->groups->parts.topics,
                                   uk_slice_text(partition->topic.text), partition->number))
      return partition;
  }
  return NULL;
}

static bool is_outside(const struct uk_kafka_group_member *member, int64_t now)
{
  if (now < member->waiting_since + JOIN_TIME || member->leaving.until != 0)
    return false;
  char id[UK_KAFKA_MEMBER_SIZE];
  return member->handle == NULL || uk_kafka_member_id(member->handle, id, sizeof id)[0] == '\0';
}

/* Either the group takes long to admit the member, or it has no coordinator. A query to the
 * coordinator shows which. */
struct coordinator_query {
  struct uk_committed committed;
  struct uk_topic_partition_offset offset;
  struct uk_kafka_request *request;
};

static void answered(struct uk_operation *operation)
{
  struct coordinator_query *query = operation->context;
  struct uk_kafka_request *request = query->request;
  if (operation->error != UK_OK)
    uk_operation_fail(request->operation,
                      operation->error == UK_E_GATEWAY_TIMEOUT ? UK_E_UNAVAILABLE
                                                               : operation->error,
                      "%s", operation->message);
  free(query);
  uk_kafka_request_done(request);
}

static void ask_coordinator(struct uk_kafka_request *request, int64_t now)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  struct coordinator_query *query = calloc(1, sizeof *query);
  if (query == NULL) {
    request->operation->error = UK_E_NO_MEMORY;
    uk_kafka_request_done(request);
    return;
  }
  *query = (struct coordinator_query){.committed = {.operation = {.done = answered,
                                                                  .context = query,
                                                                  .deadline = now + QUERY_TIMEOUT},
                                                    .group = consume->group,
                                                    .offsets = &query->offset,
                                                    .count = 1},
                                      .offset = {.topic = consume->topics[0]},
                                      .request = request};
  uk_kafka_committed_ask(request->groups->parts.committed, &query->committed);
}

/* Fails the operation because of a partition, unless it is NULL. */
static bool fail_at(struct uk_operation *operation,
                    const struct uk_kafka_assigned_partition *partition, enum uk_error error,
                    const char *what)
{
  char place[UK_KAFKA_PLACE_SIZE];
  if (partition != NULL)
    uk_operation_fail(
      operation, error, "%s %s",
      uk_kafka_place(place, sizeof place, uk_slice_text(partition->topic.text), partition->number),
      what);
  return partition != NULL;
}

void uk_kafka_poll_diagnosis_end(const struct uk_kafka_group_member *member,
                                 struct uk_kafka_request *request, int64_t now)
{
  char detail[UK_MESSAGE_SIZE];
  if (uk_kafka_topics_contact(member->groups->parts.topics, detail, sizeof detail) != UK_OK) {
    uk_operation_fail(request->operation, UK_E_UNAVAILABLE, "%s", detail);
  } else if (member->awaits_offsets && is_late(member, now)) {
    uk_operation_fail(request->operation, UK_E_GATEWAY_TIMEOUT,
                      "group \"%s\": its coordinator did not answer in time", member->group.data);
  } else if (!fail_at(request->operation, find_leaderless(member), UK_E_UNAVAILABLE,
                      "has no leader") &&
             !fail_at(request->operation, find_silent(member, now), UK_E_GATEWAY_TIMEOUT,
                      "did not answer in time") &&
             is_outside(member, now)) {
    ask_coordinator(request, now);
    return;
  }
  uk_kafka_request_done(request);
}

void uk_kafka_poll_diagnosis_refresh(struct uk_kafka_group_member *member, int64_t now)
{
  if (uk_list_is_empty(&member->consumes) || now < member->next_refresh)
    return;
  member->next_refresh = now + REFRESH;
  for (size_t i = 0; i < member->subscription.count; i++)
    uk_kafka_topics_refresh(member->groups->parts.topics,
                            uk_slice_text(member->subscription.topics[i].text));
}
