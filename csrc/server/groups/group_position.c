#include "server/groups/group_position.h"

#include "server/groups/group_partition.h"

void uk_group_position_forget(struct uk_group_partition *partition)
{
  uk_progress_forget(&partition->progress);
  partition->latest = UK_OFFSET_UNKNOWN;
  partition->barrier = partition->assignment->group->sequence;
}

static void fail(struct uk_operation *operation, enum uk_error error, const char *what,
                 const struct uk_group_partition *partition)
{
  if (operation == NULL)
    return;
  struct uk_slice group = partition->assignment->group->node.name;
  struct uk_slice topic = partition->assignment->topic->node.name;
  uk_operation_fail(operation, error, "group \"%.*s\" %s topic \"%.*s\" partition %d",
                    UK_GROUP_TEXT(group), what, UK_GROUP_TEXT(topic),
                    (int)uk_group_partition_number(partition));
}

/* An offset that cannot be used, and its name in the message. */
struct unusable {
  int64_t offset; /* UK_OFFSET_UNKNOWN: there is none */
  const char *what;
};

static void fail_without_reset(struct uk_operation *operation,
                               const struct uk_group_partition *partition, struct unusable from,
                               int64_t first, int64_t end)
{
  struct uk_slice topic = partition->assignment->topic->node.name;
  int number = (int)uk_group_partition_number(partition);
  if (operation == NULL)
    return;
  if (from.offset == UK_OFFSET_UNKNOWN)
    uk_operation_fail(operation, UK_E_BAD_REQUEST, UK_RESET_NO_OFFSET, UK_GROUP_TEXT(topic),
                      number);
  else
    uk_operation_fail(operation, UK_E_BAD_REQUEST, UK_RESET_OUT_OF_RANGE, from.what,
                      (long long)from.offset, UK_GROUP_TEXT(topic), number, (long long)first,
                      (long long)end);
}

static enum uk_error apply_policy(struct uk_group_partition *partition,
                                  struct uk_operation *operation, struct unusable from,
                                  int64_t first, int64_t end)
{
  enum uk_offset_reset reset = partition->owner->settings.offset_reset;
  int64_t latest = partition->latest;
  if (reset == UK_RESET_EARLIEST) {
    uk_progress_start(&partition->progress, first);
    return UK_OK;
  }
  if (reset == UK_RESET_LATEST) {
    uk_progress_pin(&partition->progress, latest >= first && latest <= end ? latest : end);
    partition->owner->dirty = true;
    return UK_OK;
  }
  fail_without_reset(operation, partition, from, first, end);
  return UK_E_BAD_REQUEST;
}

static enum uk_error look_up(struct uk_groups *groups, struct uk_group_partition *partition,
                             struct uk_operation *operation, int64_t first, int64_t end)
{
  struct uk_group *group = partition->assignment->group;
  const struct uk_group_commit *oldest =
    UK_LIST_FIRST(&group->commits, struct uk_group_commit, in_group);
  if (oldest != NULL && oldest->sequence <= partition->barrier) {
    group->blocked = true;
    return UK_OK;
  }
  int64_t offset = UK_OFFSET_UNKNOWN;
  enum uk_error error = groups->log.committed(groups->log.context, group->node.name,
                                              partition->assignment->topic->node.name,
                                              uk_group_partition_number(partition), &offset);
  if (error != UK_OK) {
    fail(operation, error, "cannot look up its committed offset for", partition);
    return error;
  }
  if (offset < first || offset > end)
    return apply_policy(partition, operation, (struct unusable){offset, "committed offset"}, first,
                        end);
  uk_progress_start(&partition->progress, offset);
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
  if (uk_progress_is_known(&partition->progress) || !bounds(groups, partition, &first, &end))
    return;
  partition->latest = end;
  /* A failure is reported when the owner's next request tries again. */
  look_up(groups, partition, NULL, first, end);
}

enum uk_error uk_group_position_locate(struct uk_groups *groups,
                                       struct uk_group_partition *partition,
                                       struct uk_operation *operation, int64_t *end)
{
  int64_t first = 0, position = partition->progress.position;
  if (!bounds(groups, partition, &first, end)) {
    fail(operation, UK_E_NOT_FOUND, "reads a partition that no longer exists:", partition);
    return UK_E_NOT_FOUND;
  }
  if (position == UK_OFFSET_UNKNOWN)
    return look_up(groups, partition, operation, first, *end);
  if (position >= first && position <= *end)
    return UK_OK;
  partition->latest = *end;
  return apply_policy(partition, operation, (struct unusable){position, "position"}, first, *end);
}
