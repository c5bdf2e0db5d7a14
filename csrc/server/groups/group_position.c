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
  uk_operation_fail(operation, error, "group \"%.*s\" %s topic \"%.*s\" partition %d%s",
                    UK_GROUP_TEXT(group), what, UK_GROUP_TEXT(topic),
                    (int)uk_group_slot_partition(slot),
                    error == UK_E_BAD_REQUEST ? " and auto offset reset is none" : "");
}

static void say_range(struct uk_operation *operation, const struct uk_group_slot *slot,
                      int64_t offset, int64_t first, int64_t end)
{
  if (operation == NULL)
    return;
  struct uk_slice group = slot->share->group->node.name, topic = slot->share->topic->node.name;
  uk_operation_fail(operation, UK_E_BAD_REQUEST,
                    "group \"%.*s\" is at offset %lld of topic \"%.*s\" partition %d, which has "
                    "offsets %lld to %lld, and auto offset reset is none",
                    UK_GROUP_TEXT(group), (long long)offset, UK_GROUP_TEXT(topic),
                    (int)uk_group_slot_partition(slot), (long long)first, (long long)end);
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

/* `offset`: the one that cannot be used, or UK_GROUP_UNKNOWN. */
static enum uk_error apply_policy(struct uk_group_slot *slot, struct uk_operation *operation,
                                  int64_t offset, int64_t first, int64_t end)
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
  if (offset == UK_GROUP_UNKNOWN)
    say(operation, UK_E_BAD_REQUEST, "has no committed offset for", slot);
  else
    say_range(operation, slot, offset, first, end);
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
    return apply_policy(slot, operation, offset < 0 ? UK_GROUP_UNKNOWN : offset, first, end);
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
  return apply_policy(slot, operation, slot->position, first, *end);
}
