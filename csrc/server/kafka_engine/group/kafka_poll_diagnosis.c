#include "server/kafka_engine/group/kafka_poll_diagnosis.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_leave.h"
#include "server/kafka_engine/group/kafka_request_queue.h"

enum {
  /* Milliseconds in which a partition says something, be it that it has ended; besides the time that the broker waits
   * for records, twice: a request for others may be under way. */
  SILENCE = 2000,
  SETTLE = 5000,      /* milliseconds in which a group lets an instance in, or is asked for */
  REFRESH = 1000,     /* milliseconds between two looks whether the topics' leaders are known */
  QUERY_TIMEOUT = 500 /* milliseconds in which a group's coordinator answers */
};

static int64_t fetch_wait(const struct uk_kafka_instance *instance)
{
  char text[24] = "";
  size_t size = sizeof text;
  rd_kafka_conf_get(rd_kafka_conf(instance->handle), "fetch.wait.max.ms", text, &size);
  return atoi(text);
}

/* A partition that should have said something by now, or NULL. */
static const struct uk_kafka_assigned_partition *
find_silent(const struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->handle == NULL || now < instance->asked_since + SILENCE + 2 * fetch_wait(instance))
    return NULL;
  for (size_t i = 0; i < instance->partition_count; i++) {
    if (instance->partitions[i].assigned && !instance->partitions[i].ended)
      return &instance->partitions[i];
  }
  return NULL;
}

/* A partition from which nothing can come, or NULL. */
static const struct uk_kafka_assigned_partition *
find_leaderless(const struct uk_kafka_instance *instance)
{
  for (size_t i = 0; i < instance->partition_count; i++) {
    const struct uk_kafka_assigned_partition *partition = &instance->partitions[i];
    if (partition->assigned &&
        uk_kafka_topics_leaderless(instance->groups->parts.topics,
                                   uk_slice_text(partition->topic.text), partition->number))
      return partition;
  }
  return NULL;
}

void uk_kafka_instance_refresh(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->consumes.first == NULL || now < instance->next_refresh)
    return;
  instance->next_refresh = now + REFRESH;
  for (size_t i = 0; i < instance->topic_count; i++)
    uk_kafka_topics_refresh(instance->groups->parts.topics,
                            uk_slice_text(instance->topics[i].text));
}

static bool is_outside(const struct uk_kafka_instance *instance, int64_t now)
{
  if (now < instance->asked_since + SETTLE || instance->leaves_until != 0)
    return false;
  char name[UK_KAFKA_MEMBER_SIZE];
  return instance->handle == NULL || uk_kafka_instance_member(instance, name)[0] == '\0';
}

/* Whether the group takes long, or there is nobody to let anybody in: its coordinator is asked for something. */
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

/* Fails the operation for a partition of the instance; nothing for NULL. */
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

void uk_kafka_instance_end_empty(const struct uk_kafka_instance *instance,
                                 struct uk_kafka_request *request, int64_t now)
{
  char detail[UK_MESSAGE_SIZE];
  if (uk_kafka_topics_contact(instance->groups->parts.topics, detail, sizeof detail) != UK_OK) {
    uk_operation_fail(request->operation, UK_E_UNAVAILABLE, "%s", detail);
  } else if (!fail_at(request->operation, find_leaderless(instance), UK_E_UNAVAILABLE,
                      "has no leader") &&
             !fail_at(request->operation, find_silent(instance, now), UK_E_GATEWAY_TIMEOUT,
                      "did not answer in time") &&
             is_outside(instance, now)) {
    ask_coordinator(request, now);
    return;
  }
  uk_kafka_request_done(request);
}
