#include "server/kafka_engine/group/kafka_instance_empty.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_instance_leave.h"
#include "server/kafka_engine/group/kafka_instance_turns.h"

enum {
  /* Milliseconds in which a partition says something, be it that it has ended; besides the time that the broker waits
   * for records, twice: a request for others may be under way. */
  SILENCE = 2000,
  SETTLE = 5000,   /* milliseconds in which a group lets an instance in, or is asked for */
  REFRESH = 1000,  /* milliseconds between two looks whether the topics' leaders are known */
  PROBE_TIME = 500 /* milliseconds in which a group's coordinator answers */
};

static int64_t fetch_wait(const struct uk_kafka_instance *instance)
{
  char text[24] = "";
  size_t size = sizeof text;
  rd_kafka_conf_get(rd_kafka_conf(instance->handle), "fetch.wait.max.ms", text, &size);
  return atoi(text);
}

/* A partition that should have said something by now, or NULL. */
static const struct uk_kafka_slot *find_silent(const struct uk_kafka_instance *instance,
                                               int64_t now)
{
  if (instance->handle == NULL || now < instance->asked_since + SILENCE + 2 * fetch_wait(instance))
    return NULL;
  for (size_t i = 0; i < instance->slot_count; i++) {
    if (instance->slots[i].assigned && !instance->slots[i].ended)
      return &instance->slots[i];
  }
  return NULL;
}

/* A partition from which nothing can come, or NULL. */
static const struct uk_kafka_slot *find_leaderless(const struct uk_kafka_instance *instance)
{
  for (size_t i = 0; i < instance->slot_count; i++) {
    const struct uk_kafka_slot *slot = &instance->slots[i];
    if (slot->assigned &&
        uk_kafka_topics_leaderless(instance->groups->parts.topics, uk_slice_text(slot->topic.text),
                                   slot->partition))
      return slot;
  }
  return NULL;
}

void uk_kafka_instance_refresh(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->turns.first == NULL || now < instance->next_refresh)
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
struct probe {
  struct uk_committed committed;
  struct uk_topic_partition_offset offset;
  struct uk_kafka_turn *turn;
};

static void probed(struct uk_operation *operation)
{
  struct probe *probe = operation->context;
  struct uk_kafka_turn *turn = probe->turn;
  if (operation->error != UK_OK)
    uk_operation_fail(turn->operation,
                      operation->error == UK_E_GATEWAY_TIMEOUT ? UK_E_UNAVAILABLE
                                                               : operation->error,
                      "%s", operation->message);
  free(probe);
  uk_kafka_turn_done(turn);
}

static void ask_coordinator(struct uk_kafka_turn *turn, int64_t now)
{
  const struct uk_consume *consume = (const struct uk_consume *)turn->operation;
  struct probe *probe = calloc(1, sizeof *probe);
  if (probe == NULL) {
    turn->operation->error = UK_E_NO_MEMORY;
    uk_kafka_turn_done(turn);
    return;
  }
  *probe = (struct probe){
    .committed = {.operation = {.done = probed, .context = probe, .deadline = now + PROBE_TIME},
                  .group = consume->group,
                  .offsets = &probe->offset,
                  .count = 1},
    .offset = {.topic = consume->topics[0]},
    .turn = turn};
  uk_kafka_committed_ask(turn->groups->parts.committed, &probe->committed);
}

/* Fails the operation for a partition of the instance; nothing for NULL. */
static bool fail_at(struct uk_operation *operation, const struct uk_kafka_slot *slot,
                    enum uk_error error, const char *what)
{
  char place[UK_KAFKA_PLACE_SIZE];
  if (slot != NULL)
    uk_operation_fail(
      operation, error, "%s %s",
      uk_kafka_place(place, sizeof place, uk_slice_text(slot->topic.text), slot->partition), what);
  return slot != NULL;
}

void uk_kafka_instance_end_empty(const struct uk_kafka_instance *instance,
                                 struct uk_kafka_turn *turn, int64_t now)
{
  char detail[UK_MESSAGE_SIZE];
  if (uk_kafka_topics_contact(instance->groups->parts.topics, detail, sizeof detail) != UK_OK) {
    uk_operation_fail(turn->operation, UK_E_UNAVAILABLE, "%s", detail);
  } else if (!fail_at(turn->operation, find_leaderless(instance), UK_E_UNAVAILABLE,
                      "has no leader") &&
             !fail_at(turn->operation, find_silent(instance, now), UK_E_GATEWAY_TIMEOUT,
                      "did not answer in time") &&
             is_outside(instance, now)) {
    ask_coordinator(turn, now);
    return;
  }
  uk_kafka_turn_done(turn);
}
