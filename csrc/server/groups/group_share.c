#include "server/groups/group_share.h"

#include <stdlib.h>

#include "server/groups/group_commit.h"
#include "server/groups/group_instance.h"
#include "server/groups/group_position.h"
#include "server/groups/group_topic.h"
#include "server/groups/group_work.h"

struct uk_group_share *uk_group_share_find(struct uk_groups *groups, struct uk_group *group,
                                           struct uk_slice topic)
{
  struct uk_name_node *node = uk_name_table_find(&groups->topics, topic);
  struct uk_group_share *share = node != NULL ? group->shares : NULL;
  while (share != NULL && &share->topic->node != node)
    share = share->group_next;
  return share;
}

struct uk_group_slot *uk_group_slot_find(struct uk_groups *groups, struct uk_group *group,
                                         struct uk_slice topic, int32_t partition)
{
  struct uk_group_share *share = uk_group_share_find(groups, group, topic);
  bool there = share != NULL && partition >= 0 && partition < share->count;
  return there ? &share->slots[partition] : NULL;
}

/* The slots move in memory; rings go along. */
static bool resize(struct uk_group_share *share)
{
  int32_t count = share->topic->partitions;
  if (share->count >= count)
    return true;
  struct uk_group_slot *slots = calloc((size_t)count, sizeof(*slots));
  if (slots == NULL)
    return false;
  for (int32_t i = 0; i < share->count; i++) {
    struct uk_group_slot *old = &share->slots[i], *slot = &slots[i];
    *slot = *old;
    if (slot->owner == NULL)
      continue;
    if (slot->next == old)
      slot->next = slot->previous = slot;
    slot->next->previous = slot->previous->next = slot;
    if (slot->owner->cursor == old)
      slot->owner->cursor = slot;
  }
  for (int32_t i = share->count; i < count; i++) {
    slots[i].share = share;
    uk_group_slot_reset(&slots[i]);
  }
  free(share->slots);
  share->slots = slots;
  share->count = count;
  return true;
}

static bool make_room(struct uk_group_share *share)
{
  if (share->member_count < share->member_room)
    return true;
  size_t room = share->member_room == 0 ? 2 : share->member_room * 2;
  struct uk_group_instance **members = realloc(share->members, room * sizeof(*members));
  if (members == NULL)
    return false;
  share->members = members;
  share->member_room = room;
  return true;
}

static void unlink_share(struct uk_group_share *share)
{
  if (share->topic_previous != NULL)
    share->topic_previous->topic_next = share->topic_next;
  else
    share->topic->shares = share->topic_next;
  if (share->topic_next != NULL)
    share->topic_next->topic_previous = share->topic_previous;
  if (share->group_previous != NULL)
    share->group_previous->group_next = share->group_next;
  else
    share->group->shares = share->group_next;
  if (share->group_next != NULL)
    share->group_next->group_previous = share->group_previous;
}

static void link_share(struct uk_group_share *share)
{
  share->topic_next = share->topic->shares;
  if (share->topic_next != NULL)
    share->topic_next->topic_previous = share;
  share->topic->shares = share;
  share->group_next = share->group->shares;
  if (share->group_next != NULL)
    share->group_next->group_previous = share;
  share->group->shares = share;
}

static struct uk_group_share *make_share(struct uk_group *group, struct uk_group_topic *topic)
{
  struct uk_group_share *share = calloc(1, sizeof(*share));
  if (share == NULL)
    return NULL;
  share->group = group;
  share->topic = topic;
  if (!resize(share)) {
    free(share);
    return NULL;
  }
  link_share(share);
  return share;
}

static void free_share(struct uk_groups *groups, struct uk_group_share *share)
{
  struct uk_group *group = share->group;
  unlink_share(share);
  uk_group_topic_free_unused(groups, share->topic);
  free(share->members);
  free(share->slots);
  free(share);
  uk_group_free_unused(groups, group);
}

struct uk_group_share *uk_group_share_get(struct uk_groups *groups, struct uk_group *group,
                                          struct uk_slice name)
{
  struct uk_group_share *share = uk_group_share_find(groups, group, name);
  if (share == NULL) {
    struct uk_group_topic *topic = uk_group_topic_get(groups, name);
    if (topic == NULL)
      return NULL;
    share = make_share(group, topic);
    if (share == NULL) {
      uk_group_topic_free_unused(groups, topic);
      return NULL;
    }
    uk_group_share_mark(groups, share);
  }
  return make_room(share) ? share : NULL;
}

/* Where the instance stands, or would stand, among the members. */
static size_t place_of(const struct uk_group_share *share, const struct uk_group_instance *instance)
{
  size_t low = 0, high = share->member_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (uk_name_order(share->members[middle]->node.name, instance->node.name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void uk_group_share_join(struct uk_groups *groups, struct uk_group_share *share,
                         struct uk_group_instance *instance)
{
  size_t at = place_of(share, instance);
  memmove(&share->members[at + 1], &share->members[at],
          (share->member_count - at) * sizeof(*share->members));
  share->members[at] = instance;
  share->member_count++;
  uk_group_share_mark(groups, share);
}

void uk_group_share_part(struct uk_groups *groups, struct uk_group_share *share,
                         struct uk_group_instance *instance)
{
  size_t at = place_of(share, instance);
  share->member_count--;
  memmove(&share->members[at], &share->members[at + 1],
          (share->member_count - at) * sizeof(*share->members));
  uk_group_share_mark(groups, share);
}

void uk_group_share_mark(struct uk_groups *groups, struct uk_group_share *share)
{
  if (share->dirty)
    return;
  share->dirty = true;
  share->dirty_next = groups->dirty;
  groups->dirty = share;
}

static void set_target(struct uk_group_slot *slot, struct uk_group_instance *target)
{
  if (slot->target == target)
    return;
  if (uk_group_slot_leaving(slot))
    slot->owner->leaving--;
  slot->target = target;
  if (uk_group_slot_leaving(slot))
    slot->owner->leaving++;
}

/* Who is to have what, by range. */
static void retarget(struct uk_group_share *share)
{
  size_t members = share->member_count, count = (size_t)share->count, at = 0;
  for (size_t m = 0; m < members && at < count; m++) {
    size_t range = count / members + (m < count % members ? 1 : 0);
    for (; range > 0; range--)
      set_target(&share->slots[at++], share->members[m]);
  }
  while (at < count)
    set_target(&share->slots[at++], NULL);
}

static void add_to_ring(struct uk_group_slot *slot, struct uk_group_instance *owner)
{
  if (owner->cursor == NULL) {
    owner->cursor = slot->next = slot->previous = slot;
  } else {
    slot->next = owner->cursor;
    slot->previous = owner->cursor->previous;
    slot->next->previous = slot->previous->next = slot;
  }
  slot->owner = owner;
  owner->owned++;
  slot->share->owned++;
}

static void take_from_ring(struct uk_group_slot *slot)
{
  struct uk_group_instance *owner = slot->owner;
  if (uk_group_slot_leaving(slot))
    owner->leaving--;
  if (owner->cursor == slot)
    owner->cursor = slot->next == slot ? NULL : slot->next;
  slot->next->previous = slot->previous;
  slot->previous->next = slot->next;
  slot->owner = NULL;
  owner->owned--;
  slot->share->owned--;
}

/* Where the next owner starts: an owner that commits by itself hands its position on, since its commit may still be
 * under way; for one that commits explicitly the group's committed offset counts, as soon as the commits of now are done. */
static void release(struct uk_group_slot *slot)
{
  bool keep = slot->owner->settings.auto_commit && slot->arrived != UK_GROUP_UNKNOWN &&
              (!slot->overridden || uk_group_slot_dirty(slot));
  take_from_ring(slot);
  if (keep)
    slot->position = slot->arrived;
  else
    uk_group_slot_reset(slot);
}

static void assign(struct uk_groups *groups, struct uk_group_slot *slot)
{
  struct uk_group_instance *owner = slot->target;
  add_to_ring(slot, owner);
  uk_group_slot_start(groups, slot);
  owner->dirty |= uk_group_slot_dirty(slot);
  if (owner->activity == UK_GROUP_PARKED)
    uk_group_list_reading(groups, owner);
  uk_group_instance_arm(groups, owner);
}

static void move(struct uk_groups *groups, struct uk_group_slot *slot)
{
  if (slot->owner == slot->target)
    return;
  if (slot->owner != NULL) {
    if (uk_group_slot_in_hand(slot) || slot->owner->activity == UK_GROUP_READING)
      return;
    if (uk_group_slot_dirty(slot) && slot->owner->settings.auto_commit)
      uk_group_commit_arrived(groups, slot->owner, NULL);
    release(slot);
  }
  if (slot->target != NULL)
    assign(groups, slot);
}

void uk_group_settle(struct uk_groups *groups)
{
  while (groups->dirty != NULL) {
    struct uk_group_share *share = groups->dirty;
    groups->dirty = share->dirty_next;
    share->dirty = false;
    resize(
      share); /* without memory the partitions there were are shared; a later change or request tries again */
    retarget(share);
    for (int32_t i = 0; i < share->count; i++)
      move(groups, &share->slots[i]);
    if (share->member_count == 0 && share->owned == 0)
      free_share(groups, share);
  }
}

void uk_group_share_forget(struct uk_group_share *share)
{
  for (int32_t i = 0; i < share->count; i++) {
    if (share->slots[i].owner != NULL)
      take_from_ring(&share->slots[i]);
  }
  free(share->slots);
  share->slots = NULL;
  share->count = 0;
}

void uk_group_release_leaving(struct uk_groups *groups, struct uk_group_instance *instance)
{
  uk_group_settle(groups); /* a target may be an instance that is gone */
  if (instance->leaving == 0 || instance->activity == UK_GROUP_READING)
    return;
  struct uk_group_slot *slot = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--) {
    struct uk_group_slot *next = slot->next;
    if (uk_group_slot_leaving(slot) && !uk_group_slot_in_hand(slot)) {
      if (slot->share->member_count == 0)
        uk_group_share_mark(groups, slot->share);
      move(groups, slot);
    }
    slot = next;
  }
}

void uk_group_release_all(struct uk_groups *groups, struct uk_group_instance *instance)
{
  while (instance->cursor != NULL) {
    uk_group_share_mark(groups, instance->cursor->share);
    release(instance->cursor);
  }
}
