#include "server/kafka_engine/group/kafka_rebalance.h"

#include <stdlib.h>

#include "server/kafka_engine/group/kafka_position_metadata.h"
#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/rd/kafka_rd.h"

/* Taking. */

static void forward(struct uk_kafka_group_member *member, const rd_kafka_topic_partition_t *at)
{
  rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(member->handle, at->topic, at->partition);
  if (queue == NULL)
    return;
  rd_kafka_queue_forward(queue, member->records);
  rd_kafka_queue_destroy(queue);
}

/* In a topic that a consume of this instance created, every record is newer than that consume, even
 * if the group takes long to let the instance in: `latest` means the first record. */
static bool starts_at_first(const struct uk_kafka_group_member *member,
                            const rd_kafka_topic_partition_t *at, struct uk_name_set *created)
{
  return member->settings.offset_reset == UK_RESET_LATEST &&
         uk_name_set_has(created, uk_slice_text(at->topic));
}

static bool continues_here(const struct uk_kafka_group_member *member,
                           const rd_kafka_topic_partition_t *at)
{
  const struct uk_kafka_assigned_partition *old =
    uk_kafka_assigned_partition_find(&member->partitions, at->topic, at->partition);
  return old != NULL && uk_progress_continues(&old->progress);
}

rd_kafka_topic_partition_list_t *
uk_kafka_rebalance_starts(const struct uk_kafka_group_member *member,
                          const rd_kafka_topic_partition_list_t *list, struct uk_name_set *created)
{
  bool to_first = member->settings.offset_reset == UK_RESET_EARLIEST;
  if (member->settings.offset_reset == UK_RESET_NONE)
    return NULL;
  rd_kafka_topic_partition_list_t *starts = rd_kafka_topic_partition_list_new(list->cnt);
  for (int i = 0; i < list->cnt; i++) {
    const rd_kafka_topic_partition_t *at = &list->elems[i];
    if (!continues_here(member, at))
      rd_kafka_topic_partition_list_add(starts, at->topic, at->partition)->offset =
        to_first || starts_at_first(member, at, created) ? UK_TIMESTAMP_EARLIEST
                                                         : UK_TIMESTAMP_LATEST;
  }
  return starts;
}

/* Where a partition starts in which nothing is committed. If librdkafka has to find out, it asks a
 * broker that may first wait for records of other partitions. */
static int64_t start_of(const struct uk_kafka_group_member *member,
                        const rd_kafka_topic_partition_t *at, const struct uk_kafka_start *from)
{
  const rd_kafka_topic_partition_t *start =
    from->starts != NULL
      ? rd_kafka_topic_partition_list_find(from->starts, at->topic, at->partition)
      : NULL;
  if (start != NULL && start->offset >= 0)
    return start->offset;
  return starts_at_first(member, at, from->created) ? RD_KAFKA_OFFSET_BEGINNING
                                                    : RD_KAFKA_OFFSET_INVALID;
}

/* The topic was missing since this server has been running, and the group has committed nothing in
 * the one that is there now. */
static bool is_renewed(const struct uk_kafka_group_member *member,
                       const rd_kafka_topic_partition_t *at, const struct uk_kafka_start *from)
{
  struct uk_slice topic = uk_slice_text(at->topic);
  return at->offset == RD_KAFKA_OFFSET_INVALID &&
         (uk_name_set_has(from->created, topic) ||
          uk_kafka_topics_is_renewed(member->groups->parts.topics, topic));
}

/* At a committed offset, or where its metadata says that the client is. */
static void start_at_commit(struct uk_kafka_assigned_partition *partition,
                            rd_kafka_topic_partition_t *at, bool resumes)
{
  struct uk_kafka_position_metadata metadata = uk_kafka_position_metadata_read(at);
  partition->floor = at->offset;
  if (resumes && metadata.position > at->offset) {
    uk_progress_resume(&partition->progress, metadata.position, at->offset);
    partition->mark = metadata.mark;
  } else {
    uk_progress_start(&partition->progress, at->offset);
    partition->mark = metadata.committed;
  }
  partition->delivered_mark = partition->mark;
  at->offset = partition->progress.position;
}

/* Continues where this server was. */
static void go_on(struct uk_kafka_assigned_partition *partition,
                  const struct uk_kafka_assigned_partition *old, rd_kafka_topic_partition_t *at)
{
  partition->progress = old->progress;
  partition->floor = old->floor;
  partition->mark = old->mark;
  partition->delivered_mark = old->delivered_mark;
  partition->renewed = old->renewed;
  at->offset = old->progress.position;
}

/* Sets where the partition starts. */
static void start(const struct uk_kafka_group_member *member,
                  struct uk_kafka_assigned_partition *partition, rd_kafka_topic_partition_t *at,
                  const struct uk_kafka_start *from)
{
  const struct uk_kafka_assigned_partition *old =
    uk_kafka_assigned_partition_find(&member->partitions, at->topic, at->partition);
  if (old != NULL && uk_progress_continues(&old->progress)) {
    go_on(partition, old, at);
  } else if (at->offset >= 0) {
    start_at_commit(partition, at, from->resumes);
  } else {
    uk_progress_forget(&partition->progress);
    partition->floor = UK_KAFKA_FLOOR_UNKNOWN; /* nothing, or it could not be read */
    partition->renewed = is_renewed(member, at, from);
    at->offset =
      at->offset == RD_KAFKA_OFFSET_INVALID ? start_of(member, at, from) : RD_KAFKA_OFFSET_INVALID;
  }
}

bool uk_kafka_rebalance_knows(const struct uk_kafka_group_member *member,
                              const rd_kafka_topic_partition_list_t *list)
{
  bool known = true;
  for (int i = 0; i < list->cnt && known; i++)
    known = continues_here(member, &list->elems[i]);
  return known;
}

bool uk_kafka_rebalance_take(struct uk_kafka_group_member *member,
                             rd_kafka_topic_partition_list_t *list,
                             const struct uk_kafka_start *from)
{
  struct uk_kafka_assigned_partition *all = calloc((size_t)list->cnt + 1, sizeof *all);
  if (all == NULL)
    return false;
  for (int i = 0; i < list->cnt; i++) {
    rd_kafka_topic_partition_t *at = &list->elems[i];
    all[i].topic = uk_kafka_name(uk_slice_text(at->topic));
    all[i].number = at->partition;
    all[i].assigned = true;
    start(member, &all[i], at, from);
    forward(member, at);
  }
  free(member->partitions.all);
  member->partitions = (struct uk_kafka_assigned_partitions){all, (size_t)list->cnt};
  rd_kafka_assign(member->handle, list);
  return true;
}

void uk_kafka_rebalance_refuse(struct uk_kafka_group_member *member)
{
  rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(0);
  rd_kafka_assign(member->handle, nothing); /* NULL does not answer an assignment */
  rd_kafka_topic_partition_list_destroy(nothing);
}

void uk_kafka_rebalance_give_up(struct uk_kafka_group_member *member)
{
  uk_kafka_assigned_partitions_revoke(&member->partitions,
                                      rd_kafka_assignment_lost(member->handle) != 0);
  rd_kafka_assign(member->handle, NULL);
}

/* Do the partitions fit the subscription? */

/* A group gives an instance that is taken over what it had before, whatever topics it names now. */
static bool is_stale(const struct uk_kafka_subscription *subscription,
                     const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; i < list->cnt; i++) {
    size_t j = 0;
    while (j < subscription->count &&
           strcmp(subscription->topics[j].text, list->elems[i].topic) != 0)
      j++;
    if (j == subscription->count)
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

/* The group does not look at topics that are new in the subscription either: their records would
 * stay unread until the next rebalance. */
static bool is_short(const struct uk_kafka_group_member *member,
                     const rd_kafka_topic_partition_list_t *list,
                     const rd_kafka_topic_partition_list_t *group_holds)
{
  bool found = false;
  for (size_t i = 0; group_holds != NULL && i < member->subscription.count && !found; i++) {
    const char *topic = member->subscription.topics[i].text;
    found = count_of(list, topic) == 0 &&
            count_of(group_holds, topic) <
              uk_kafka_topics_partitions(member->groups->parts.topics, uk_slice_text(topic));
  }
  return found;
}

/* The member was deleted through another server, or its session expired. */
bool uk_kafka_rebalance_is_forgotten(const struct uk_kafka_group_member *member)
{
  char id[UK_KAFKA_MEMBER_SIZE];
  return member->leaving.until == 0 && uk_kafka_member_id(member->handle, id, sizeof id)[0] == '\0';
}

enum uk_kafka_rebalance uk_kafka_rebalance(struct uk_kafka_group_member *member,
                                           rd_kafka_event_t *event,
                                           const rd_kafka_topic_partition_list_t *group_holds)
{
  const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
  if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
    return rd_kafka_assignment_lost(member->handle) && uk_kafka_rebalance_is_forgotten(member)
             ? UK_KAFKA_REBALANCE_LOST
             : UK_KAFKA_REVOKED;
  bool joins = member->subscription.active && member->leaving.until == 0;
  if (joins && (is_stale(&member->subscription, list) || is_short(member, list, group_holds))) {
    uk_kafka_rebalance_refuse(
      member); /* an instance that leaves and joins again gets other partitions */
    return UK_KAFKA_DECLINED;
  }
  return UK_KAFKA_GIVEN;
}
