#include "server/groups/group_position.h"

#include "server/groups/group_commit.h"

void uk_group_position_forget(struct uk_group_partition *partition)
{
  partition->position = partition->delivered = partition->committed = partition->latest =
    UK_GROUP_UNKNOWN;
  partition->committable = partition->overridden = false;
  partition->barrier = partition->assignment->group->sequence;
}

static void say(struct uk_operation *operation, enum uk_error error, const char *what,
                const struct uk_group_partition *partition)
{
  if (operation == NULL)
    return;
  struct uk_slice group = partition->assignment->group->node.name,
                  topic = partition->assignment->topic->node.name;
  uk_operation_fail(operation, error, "group \"%.*s\" %s topic \"%.*s\" partition %d",
                    UK_GROUP_TEXT(group), what, UK_GROUP_TEXT(topic),
                    (int)uk_group_partition_number(partition));
}

/* An offset that cannot be used, and what it is; UK_GROUP_UNKNOWN: there is none. */
struct unusable {
  int64_t offset;
  const char *what;
};

static void say_reset_is_none(struct uk_operation *operation,
                              const struct uk_group_partition *partition, struct unusable from,
                              int64_t first, int64_t end)
{
  struct uk_slice topic = partition->assignment->topic->node.name;
  int number = (int)uk_group_partition_number(partition);
  if (operation == NULL)
    return;
  if (from.offset == UK_GROUP_UNKNOWN)
    uk_operation_fail(operation, UK_E_BAD_REQUEST, UK_RESET_NO_OFFSET, UK_GROUP_TEXT(topic),
                      number);
  else
    uk_operation_fail(operation, UK_E_BAD_REQUEST, UK_RESET_OUT_OF_RANGE, from.what,
                      (long long)from.offset, UK_GROUP_TEXT(topic), number, (long long)first,
                      (long long)end);
}

static void put(struct uk_group_partition *partition, int64_t position)
{
  partition->position = partition->delivered = position;
}

/* A position that `latest` picked is committed like one that was read up to: looked up again it would be another, and
 * records would be lost. One that `earliest` picked is found again. */
static void put_latest(struct uk_group_partition *partition, int64_t position)
{
  put(partition, position);
  partition->committed = UK_GROUP_UNKNOWN;
  partition->committable = true;
  partition->owner->dirty = true;
}

static enum uk_error apply_policy(struct uk_group_partition *partition,
                                  struct uk_operation *operation, struct unusable from,
                                  int64_t first, int64_t end)
{
  enum uk_offset_reset reset = partition->owner->settings.offset_reset;
  if (reset == UK_RESET_EARLIEST) {
    put(partition, first);
    partition->committed = first;
    return UK_OK;
  }
  if (reset == UK_RESET_LATEST) {
    put_latest(partition,
               partition->latest >= first && partition->latest <= end ? partition->latest : end);
    return UK_OK;
  }
  say_reset_is_none(operation, partition, from, first, end);
  return UK_E_BAD_REQUEST;
}

static enum uk_error look_up(struct uk_groups *groups, struct uk_group_partition *partition,
                             struct uk_operation *operation, int64_t first, int64_t end)
{
  struct uk_group *group = partition->assignment->group;
  if (group->commits != NULL && group->commits->sequence <= partition->barrier) {
    group->blocked = true;
    return UK_OK;
  }
  int64_t offset = UK_GROUP_UNKNOWN;
  enum uk_error error = groups->log.committed(groups->log.context, group->node.name,
                                              partition->assignment->topic->node.name,
                                              uk_group_partition_number(partition), &offset);
  if (error != UK_OK) {
    say(operation, error, "cannot look up its committed offset for", partition);
    return error;
  }
  if (offset < 0 || offset < first || offset > end)
    return apply_policy(
      partition, operation,
      (struct unusable){offset < 0 ? UK_GROUP_UNKNOWN : offset, "committed offset"}, first, end);
  put(partition, offset);
  partition->committed = offset;
  return UK_OK;
}

static bool bounds(struct uk_groups *groups, struct uk_group_partition *partition, int64_t *first,
                   int64_t *end)
{
  return groups->log.bounds(groups->log.context, partition->assignment->topic->node.name,
                            uk_group_partition_number(partition), first, end);
}

void uk_group_position_start(struct uk_groups *groups, struct uk_group_partition *partition)
{
  int64_t first = 0, end = 0;
  if (partition->position != UK_GROUP_UNKNOWN || !bounds(groups, partition, &first, &end))
    return;
  partition->latest = end;
  look_up(groups, partition, NULL, first,
          end); /* what fails now is tried again, and told, when the owner asks */
}

enum uk_error uk_group_position_locate(struct uk_groups *groups,
                                       struct uk_group_partition *partition,
                                       struct uk_operation *operation, int64_t *end)
{
  int64_t first = 0;
  if (!bounds(groups, partition, &first, end)) {
    say(operation, UK_E_NOT_FOUND, "reads what is no longer there:", partition);
    return UK_E_NOT_FOUND;
  }
  if (partition->position == UK_GROUP_UNKNOWN)
    return look_up(groups, partition, operation, first, *end);
  if (partition->position >= first && partition->position <= *end)
    return UK_OK;
  partition->latest = *end;
  return apply_policy(partition, operation, (struct unusable){partition->position, "position"},
                      first, *end);
}
