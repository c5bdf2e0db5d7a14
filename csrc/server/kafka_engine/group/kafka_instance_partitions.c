#include "server/kafka_engine/group/kafka_instance_partitions.h"

#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_instance_forward.h"
#include "server/kafka_engine/group/kafka_instance_leave.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_missing_topics.h"
#include "server/kafka_engine/group/kafka_rebalance.h"
#include "server/kafka_engine/group/kafka_verification.h"

enum { PATIENCE = 1000 }; /* milliseconds that a revocation waits for the client */

static void publish(struct uk_kafka_instance *instance)
{
  struct uk_kafka_group_member *member = &instance->member;
  uk_kafka_assigned_partitions_publish(&member->partitions, &member->published,
                                       &member->groups->mutex);
}

void uk_kafka_instance_partitions_forget_group(struct uk_kafka_instance *instance)
{
  if (instance->group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(instance->group_holds);
  instance->group_holds = NULL;
}

/* It neither leaves nor stops. */
static bool is_active(const struct uk_kafka_instance *instance)
{
  return instance->state <= UK_KAFKA_SERVING;
}

static void take_partitions(struct uk_kafka_instance *instance,
                            rd_kafka_topic_partition_list_t *list,
                            rd_kafka_topic_partition_list_t *starts, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  bool first = !instance->has_joined;
  const struct uk_kafka_start from = {
    .resumes = first && instance->migrates && member->settings.auto_commit && !instance->disclaims,
    .created = &instance->created,
    .starts = starts};
  uk_kafka_missing_topics_find(member, list, &instance->created);
  if (!uk_kafka_rebalance_take(member, list, &from)) {
    uk_kafka_rebalance_refuse(member);
    (void)uk_kafka_instance_leave(instance, now);
    return;
  }
  uk_kafka_missing_topics_forget(member, list);
  uk_name_set_clear(&instance->created);
  instance->awaits_created = false;
  member->waiting_since = now;
  uk_kafka_instance_partitions_forget_group(instance);
  uk_kafka_lease_joined(member, first);
  member->awaits_offsets = false;
  instance->has_joined = true;
  if (is_active(instance))
    instance->state = UK_KAFKA_SERVING;
}

/* Asks where the partitions start. False: memory is out. */
static bool ask_handover(struct uk_kafka_instance *instance,
                         const rd_kafka_topic_partition_list_t *list, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  uk_kafka_missing_topics_find(member, list, &instance->created);
  return uk_kafka_handover_ask(member, &instance->handover, list,
                               uk_kafka_rebalance_starts(member, list, &instance->created), now);
}

static void use_partitions(struct uk_kafka_instance *instance,
                           rd_kafka_topic_partition_list_t *list, int64_t now)
{
  uk_kafka_handover_drop(&instance->handover);
  if (is_active(instance) && !uk_kafka_rebalance_knows(&instance->member, list) &&
      ask_handover(instance, list, now)) {
    instance->member.awaits_offsets = true;
    instance->state = UK_KAFKA_HANDOVER;
  } else {
    take_partitions(instance, list, NULL, now);
  }
}

static void give_up_partitions(struct uk_kafka_instance *instance)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (member->settings.auto_commit && !rd_kafka_assignment_lost(member->handle))
    uk_kafka_commits_send_delivered(member);
  uk_kafka_handover_drop(&instance->handover);
  uk_kafka_verification_drop(&instance->verification);
  member->awaits_offsets = false;
  if (instance->state == UK_KAFKA_HANDOVER)
    instance->state = instance->has_joined ? UK_KAFKA_SERVING : UK_KAFKA_JOINING;
  uk_kafka_delivery_drop_held(&instance->delivery);
  uk_kafka_rebalance_give_up(member);
}

/* Waiting for the client. */

static bool are_in_flight(const struct uk_kafka_assigned_partitions *partitions)
{
  bool any = false;
  for (size_t i = 0; i < partitions->count && !any; i++)
    any = partitions->all[i].assigned && uk_progress_in_flight(&partitions->all[i].progress);
  return any;
}

/* The client has records of these partitions, or requests are committing what it had. */
static bool are_in_hand(const struct uk_kafka_instance *instance)
{
  const struct uk_kafka_group_member *member = &instance->member;
  bool has_batch =
    instance->delivery.numbers.outcome != UK_RESPONSE_FAILED && are_in_flight(&member->partitions);
  return has_batch || !uk_list_is_empty(&member->commits) ||
         !uk_list_is_empty(&member->committing.under_way);
}

static bool waits_for_client(const struct uk_kafka_instance *instance)
{
  const struct uk_kafka_group_member *member = &instance->member;
  return instance->state == UK_KAFKA_SERVING && member->stopping.until == 0 &&
         !rd_kafka_assignment_lost(member->handle) && !uk_kafka_rebalance_is_forgotten(member) &&
         are_in_hand(instance);
}

bool uk_kafka_instance_partitions_yield(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->give_up_by == 0 || (now < instance->give_up_by && waits_for_client(instance)))
    return false;
  instance->give_up_by = 0;
  if (uk_kafka_rebalance_is_forgotten(&instance->member))
    instance->state = UK_KAFKA_LOST;
  if (instance->state == UK_KAFKA_LOST)
    return true;
  uk_kafka_instance_forward_forget(instance);
  give_up_partitions(instance);
  publish(instance);
  return true;
}

/* Rebalances. */

void uk_kafka_instance_partitions_rebalance(struct uk_kafka_instance *instance,
                                            rd_kafka_event_t *event, int64_t now)
{
  enum uk_kafka_rebalance asked =
    uk_kafka_rebalance(&instance->member, event, instance->group_holds);
  if (asked == UK_KAFKA_REVOKED && waits_for_client(instance)) {
    instance->give_up_by = instance->give_up_by != 0 ? instance->give_up_by : now + PATIENCE;
    return;
  }
  instance->give_up_by = 0;
  uk_kafka_instance_forward_forget(instance);
  switch (asked) {
  case UK_KAFKA_GIVEN:
    use_partitions(instance, rd_kafka_event_topic_partition_list(event), now);
    break;
  case UK_KAFKA_DECLINED: (void)uk_kafka_instance_leave(instance, now); break;
  case UK_KAFKA_REVOKED: give_up_partitions(instance); break;
  case UK_KAFKA_REBALANCE_LOST: instance->state = UK_KAFKA_LOST; break;
  }
  publish(instance);
}

/* What is not known yet is asked for again: an offset without its metadata could not be verified.
 * Any other failure librdkafka meets too, and reports. */
bool uk_kafka_instance_partitions_handover(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_handed_over read;
  if (!uk_kafka_handover_take(&instance->handover, &read))
    return false;
  bool again = read.code != RD_KAFKA_RESP_ERR_NO_ERROR && uk_kafka_code_passes(read.code) &&
               ask_handover(instance, read.committed, now);
  if (!again) {
    take_partitions(instance, read.committed, read.starts, now);
    publish(instance);
  }
  rd_kafka_topic_partition_list_destroy(read.committed);
  if (read.starts != NULL)
    rd_kafka_topic_partition_list_destroy(read.starts);
  return !again;
}
