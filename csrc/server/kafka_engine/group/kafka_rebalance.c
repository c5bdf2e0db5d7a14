#include "server/kafka_engine/group/kafka_rebalance.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_leave.h"

struct uk_kafka_assigned_partition *uk_kafka_instance_partition(struct uk_kafka_instance *instance,
                                                                const char *topic, int32_t number)
{
  for (size_t i = 0; i < instance->partition_count; i++) {
    struct uk_kafka_assigned_partition *partition = &instance->partitions[i];
    if (partition->number == number && strcmp(partition->topic.text, topic) == 0)
      return partition;
  }
  return NULL;
}

/* Without memory /consumers shows the instance without partitions. */
static void publish(struct uk_kafka_instance *instance)
{
  struct uk_kafka_assigned_partition *listed =
    calloc(instance->partition_count + 1, sizeof *listed);
  size_t count = 0;
  for (size_t i = 0; listed != NULL && i < instance->partition_count; i++) {
    if (instance->partitions[i].assigned)
      listed[count++] = instance->partitions[i];
  }
  pthread_mutex_lock(&instance->groups->mutex);
  free(instance->listed);
  instance->listed = listed;
  instance->listed_count = count;
  pthread_mutex_unlock(&instance->groups->mutex);
}

static void forward(struct uk_kafka_instance *instance, const rd_kafka_topic_partition_t *at)
{
  rd_kafka_queue_t *queue =
    rd_kafka_queue_get_partition(instance->handle, at->topic, at->partition);
  if (queue == NULL)
    return;
  rd_kafka_queue_forward(queue, instance->records);
  rd_kafka_queue_destroy(queue);
}

static void take_metadata(struct uk_kafka_assigned_partition *partition,
                          rd_kafka_topic_partition_t *at)
{
  int64_t position = uk_kafka_handover_read_metadata(at);
  if (position >= 0) {
    partition->position = partition->delivered = position;
    partition->committed = at->offset;
  }
  at->offset = position >= 0 ? position : RD_KAFKA_OFFSET_INVALID;
}

/* What is in a topic that a consume of this instance created came after that consume: where `latest`
 * begins is the first offset, however long the group takes to let the instance in. */
static bool begins_at_first(struct uk_kafka_instance *instance,
                            const rd_kafka_topic_partition_t *at)
{
  return at->offset == RD_KAFKA_OFFSET_INVALID &&
         instance->settings.offset_reset == UK_RESET_LATEST &&
         uk_name_set_has(&instance->created, uk_slice_text(at->topic));
}

/* A partition that comes back goes on where it was: nobody else had it in between, or has committed more. One that was
 * taken over goes on where its client was. False, with nothing done, when memory is out. */
static bool assign(struct uk_kafka_instance *instance, rd_kafka_topic_partition_list_t *list)
{
  struct uk_kafka_assigned_partition *partitions =
    calloc((size_t)list->cnt + 1, sizeof *partitions);
  if (partitions == NULL)
    return false;
  for (int i = 0; i < list->cnt; i++) {
    rd_kafka_topic_partition_t *at = &list->elems[i];
    const struct uk_kafka_assigned_partition *old =
      uk_kafka_instance_partition(instance, at->topic, at->partition);
    struct uk_kafka_assigned_partition *partition = &partitions[i];
    *partition =
      (struct uk_kafka_assigned_partition){.position = -1, .delivered = -1, .committed = -1};
    if (old != NULL && old->position >= 0 && !old->overridden) {
      *partition = *old;
      at->offset = partition->position;
    } else {
      take_metadata(partition, at);
      if (begins_at_first(instance, at))
        at->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    partition->topic = uk_kafka_name(uk_slice_text(at->topic));
    partition->number = at->partition;
    partition->assigned = true;
    partition->ended = false;
    forward(instance, at);
  }
  uk_name_set_clear(&instance->created);
  instance->awaits_created = false;
  free(instance->partitions);
  instance->partitions = partitions;
  instance->partition_count = (size_t)list->cnt;
  instance->asked_since = uk_clock_monotonic();
  rd_kafka_assign(instance->handle, list);
  uk_kafka_lease_joined(instance);
  return true;
}

static void revoke(struct uk_kafka_instance *instance)
{
  bool lost = rd_kafka_assignment_lost(instance->handle);
  if (instance->settings.auto_commit && !lost)
    uk_kafka_instance_commit_delivered(instance);
  uk_kafka_handover_drop(instance);
  uk_kafka_event_free(&instance->held);
  instance->held = (struct uk_kafka_event){0};
  for (size_t i = 0; i < instance->partition_count; i++)
    instance->partitions[i].assigned = false;
  if (lost)
    instance->partition_count = 0;
  rd_kafka_assign(instance->handle, NULL);
}

/* A group gives an instance that is taken over what it had before, whatever topics it names now. */
static bool is_stale(const struct uk_kafka_instance *instance,
                     const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; i < list->cnt; i++) {
    size_t j = 0;
    while (j < instance->topic_count && strcmp(instance->topics[j].text, list->elems[i].topic) != 0)
      j++;
    if (j == instance->topic_count)
      return true;
  }
  return false;
}

static int32_t count_of(const rd_kafka_topic_partition_list_t *list, const char *topic)
{
  int32_t count = 0;
  for (int i = 0; i < list->cnt; i++)
    count += strcmp(list->elems[i].topic, topic) == 0;
  return count;
}

/* Nor does it look at topics that are added: nobody would read them until the group is shared out for another reason. */
static bool is_short(const struct uk_kafka_instance *instance,
                     const rd_kafka_topic_partition_list_t *list)
{
  bool found = false;
  if (instance->group_holds == NULL)
    return false;
  for (size_t i = 0; i < instance->topic_count && !found; i++) {
    const char *topic = instance->topics[i].text;
    found = count_of(list, topic) == 0 &&
            count_of(instance->group_holds, topic) <
              uk_kafka_topics_partitions(instance->groups->parts.topics, uk_slice_text(topic));
  }
  return found;
}

static void assign_nothing(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(0);
  rd_kafka_assign(instance->handle, nothing); /* NULL would be no answer to an assignment */
  rd_kafka_topic_partition_list_destroy(nothing);
}

/* A takeover reads nothing, whatever it is given. */
static void join_for_takeover(struct uk_kafka_instance *instance)
{
  assign_nothing(instance);
  uk_kafka_lease_joined(instance);
}

/* Whoever leaves and comes back is given a share of what it names. */
static void decline(struct uk_kafka_instance *instance)
{
  assign_nothing(instance);
  uk_kafka_instance_leave(instance, uk_clock_monotonic());
}

static void take(struct uk_kafka_instance *instance, rd_kafka_topic_partition_list_t *list)
{
  const bool joins = instance->subscribed && instance->leaves_until == 0;
  if (instance->takeover)
    join_for_takeover(instance);
  else if (joins && (is_stale(instance, list) || is_short(instance, list)))
    decline(instance);
  else if (!(joins && uk_kafka_handover_ask(instance, list)) && !assign(instance, list))
    decline(instance);
}

void uk_kafka_instance_receive(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list = uk_kafka_handover_take(instance);
  if (list == NULL)
    return;
  if (!assign(instance, list))
    decline(instance);
  publish(instance);
  rd_kafka_topic_partition_list_destroy(list);
}

/* The group knows it no more: it was deleted at another server, or not heard of for a session. Once it was answered,
 * librdkafka would join anew, and what was deleted would be back. */
static bool is_forgotten(const struct uk_kafka_instance *instance)
{
  char name[UK_KAFKA_MEMBER_SIZE];
  return instance->leaves_until == 0 && rd_kafka_assignment_lost(instance->handle) &&
         uk_kafka_instance_member(instance, name)[0] == '\0';
}

void uk_kafka_instance_rebalance(struct uk_kafka_instance *instance, rd_kafka_event_t *event)
{
  if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
    take(instance, rd_kafka_event_topic_partition_list(event));
  else if (is_forgotten(instance))
    instance->lost = true;
  else
    revoke(instance);
  publish(instance);
}
