#include "server/groups/group_position.h"

#include "server/groups/group_commit.h"

void uk_group_slot_reset(struct uk_group_slot *slot)
{
  slot->position = slot->arrived = slot->saved = slot->latest = UK_GROUP_UNKNOWN;
  slot->moved = slot->overridden = false;
  slot->barrier = slot->share->group->sequence;
}

static void say(struct uk_operation *operation, enum uk_error error, const char *what,
                const struct uk_group_slot *slot)
{
  if (operation == NULL)
    return;
  struct uk_slice group = slot->share->group->node.name, topic = slot->share->topic->node.name;
  uk_operation_fail(operation, error, "group \"%.*s\" %s topic \"%.*s\" partition %d",
                    UK_GROUP_TEXT(group), what, UK_GROUP_TEXT(topic),
                    (int)uk_group_slot_partition(slot));
}

/* An offset that cannot be used, and what it is; UK_GROUP_UNKNOWN: there is none. */
struct unusable {
  int64_t offset;
  const char *what;
};

static void say_reset_is_none(struct uk_operation *operation, const struct uk_group_slot *slot,
                              struct unusable from, int64_t first, int64_t end)
{
  struct uk_slice topic = slot->share->topic->node.name;
  int partition = (int)uk_group_slot_partition(slot);
  if (operation == NULL)
    return;
  if (from.offset == UK_GROUP_UNKNOWN)
    uk_operation_fail(operation, UK_E_BAD_REQUEST, UK_RESET_NO_OFFSET, UK_GROUP_TEXT(topic),
                      partition);
  else
    uk_operation_fail(operation, UK_E_BAD_REQUEST, UK_RESET_OUT_OF_RANGE, from.what,
                      (long long)from.offset, UK_GROUP_TEXT(topic), partition, (long long)first,
                      (long long)end);
}

static void put(struct uk_group_slot *slot, int64_t position)
{
  slot->position = slot->arrived = position;
}

/* A position that `latest` picked is committed like one that was read up to: looked up again it would be another, and
 * records would be lost. One that `earliest` picked is found again. */
static void put_latest(struct uk_group_slot *slot, int64_t position)
{
  put(slot, position);
  slot->saved = UK_GROUP_UNKNOWN;
  slot->moved = true;
  slot->owner->dirty = true;
}

static enum uk_error apply_policy(struct uk_group_slot *slot, struct uk_operation *operation,
                                  struct unusable from, int64_t first, int64_t end)
{
  enum uk_offset_reset reset = slot->owner->settings.offset_reset;
  if (reset == UK_RESET_EARLIEST) {
    put(slot, first);
    slot->saved = first;
    return UK_OK;
  }
  if (reset == UK_RESET_LATEST) {
    put_latest(slot, slot->latest >= first && slot->latest <= end ? slot->latest : end);
    return UK_OK;
  }
  say_reset_is_none(operation, slot, from, first, end);
  return UK_E_BAD_REQUEST;
}

static enum uk_error look_up(struct uk_groups *groups, struct uk_group_slot *slot,
                             struct uk_operation *operation, int64_t first, int64_t end)
{
  struct uk_group *group = slot->share->group;
  if (group->commits != NULL && group->commits->sequence <= slot->barrier) {
    group->blocked = true;
    return UK_OK;
  }
  int64_t offset = UK_GROUP_UNKNOWN;
  enum uk_error error =
    groups->log.committed(groups->log.context, group->node.name, slot->share->topic->node.name,
                          uk_group_slot_partition(slot), &offset);
  if (error != UK_OK) {
    say(operation, error, "cannot look up its committed offset for", slot);
    return error;
  }
  if (offset < 0 || offset < first || offset > end)
    return apply_policy(
      slot, operation,
      (struct unusable){offset < 0 ? UK_GROUP_UNKNOWN : offset, "committed offset"}, first, end);
  put(slot, offset);
  slot->saved = offset;
  return UK_OK;
}

static bool bounds(struct uk_groups *groups, struct uk_group_slot *slot, int64_t *first,
                   int64_t *end)
{
  return groups->log.bounds(groups->log.context, slot->share->topic->node.name,
                            uk_group_slot_partition(slot), first, end);
}

void uk_group_slot_start(struct uk_groups *groups, struct uk_group_slot *slot)
{
  int64_t first = 0, end = 0;
  if (slot->position != UK_GROUP_UNKNOWN || !bounds(groups, slot, &first, &end))
    return;
  slot->latest = end;
  look_up(groups, slot, NULL, first,
          end); /* what fails now is tried again, and told, when the owner asks */
}

enum uk_error uk_group_slot_locate(struct uk_groups *groups, struct uk_group_slot *slot,
                                   struct uk_operation *operation, int64_t *end)
{
  int64_t first = 0;
  if (!bounds(groups, slot, &first, end)) {
    say(operation, UK_E_NOT_FOUND, "reads what is no longer there:", slot);
    return UK_E_NOT_FOUND;
  }
  if (slot->position == UK_GROUP_UNKNOWN)
    return look_up(groups, slot, operation, first, *end);
  if (slot->position >= first && slot->position <= *end)
    return UK_OK;
  slot->latest = *end;
  return apply_policy(slot, operation, (struct unusable){slot->position, "position"}, first, *end);
}
