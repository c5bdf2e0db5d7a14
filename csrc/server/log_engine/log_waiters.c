#include "server/log_engine/log_waiters.h"

#include <stdlib.h>

bool uk_log_waiters_init(struct uk_log_waiters *waiters)
{
  *waiters = (struct uk_log_waiters){.count = 0};
  waiters->buckets = calloc(UK_LOG_WAITER_BUCKETS, sizeof(struct uk_log_wait *));
  return waiters->buckets != NULL;
}

void uk_log_waiters_free(struct uk_log_waiters *waiters)
{
  free(waiters->buckets);
  free(waiters->heap);
}

/* FNV-1a. */
static uint64_t hash_of(struct uk_slice topic, int32_t partition)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < topic.length; i++)
    hash = (hash ^ (unsigned char)topic.data[i]) * UINT64_C(0x100000001b3);
  hash = (hash ^ (uint32_t)partition) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 32;
}

struct uk_log_waiter *uk_log_waiter_new(struct uk_fetch *fetch)
{
  struct uk_log_waiter *waiter = calloc(1, sizeof *waiter + fetch->count * sizeof waiter->waits[0]);
  if (waiter == NULL)
    return NULL;
  waiter->fetch = fetch;
  waiter->count = fetch->count;
  for (size_t i = 0; i < fetch->count; i++) {
    const struct uk_topic_partition_offset *position = &fetch->positions[i];
    waiter->waits[i] = (struct uk_log_wait){.waiter = waiter,
                                            .hash = hash_of(position->topic, position->partition),
                                            .position = position,
                                            .next_offset = position->offset};
  }
  return waiter;
}

/* The heap of deadlines. */

static int64_t deadline_at(const struct uk_log_waiters *waiters, size_t index)
{
  return waiters->heap[index]->fetch->operation.deadline;
}

static void place(struct uk_log_waiters *waiters, size_t index, struct uk_log_waiter *waiter)
{
  waiters->heap[index] = waiter;
  waiter->heap_index = index;
}

static void sift_up(struct uk_log_waiters *waiters, size_t index, struct uk_log_waiter *waiter)
{
  while (index > 0 && deadline_at(waiters, (index - 1) / 2) > waiter->fetch->operation.deadline) {
    place(waiters, index, waiters->heap[(index - 1) / 2]);
    index = (index - 1) / 2;
  }
  place(waiters, index, waiter);
}

static void sift_down(struct uk_log_waiters *waiters, size_t index, struct uk_log_waiter *waiter)
{
  for (;;) {
    size_t child = 2 * index + 1;
    if (child + 1 < waiters->count && deadline_at(waiters, child + 1) < deadline_at(waiters, child))
      child++;
    if (child >= waiters->count || deadline_at(waiters, child) >= waiter->fetch->operation.deadline)
      break;
    place(waiters, index, waiters->heap[child]);
    index = child;
  }
  place(waiters, index, waiter);
}

static bool make_room(struct uk_log_waiters *waiters)
{
  if (waiters->count < waiters->capacity)
    return true;
  size_t capacity = waiters->capacity == 0 ? 64 : waiters->capacity * 2;
  struct uk_log_waiter **heap = realloc(waiters->heap, capacity * sizeof(struct uk_log_waiter *));
  if (heap == NULL)
    return false;
  waiters->heap = heap;
  waiters->capacity = capacity;
  return true;
}

bool uk_log_waiters_add(struct uk_log_waiters *waiters, struct uk_log_waiter *waiter)
{
  if (!make_room(waiters))
    return false;
  sift_up(waiters, waiters->count++, waiter);
  for (size_t i = 0; i < waiter->count; i++) {
    struct uk_log_wait *wait = &waiter->waits[i];
    wait->link = &waiters->buckets[wait->hash % UK_LOG_WAITER_BUCKETS];
    wait->next = *wait->link;
    if (wait->next != NULL)
      wait->next->link = &wait->next;
    *wait->link = wait;
  }
  return true;
}

static void take_out(struct uk_log_waiters *waiters, struct uk_log_waiter *waiter,
                     struct uk_log_waiter **taken)
{
  for (size_t i = 0; i < waiter->count; i++) {
    struct uk_log_wait *wait = &waiter->waits[i];
    *wait->link = wait->next;
    if (wait->next != NULL)
      wait->next->link = wait->link;
  }
  struct uk_log_waiter *last = waiters->heap[--waiters->count];
  if (last != waiter) {
    sift_down(waiters, waiter->heap_index, last);
    sift_up(waiters, last->heap_index, last);
  }
  waiter->next = *taken;
  *taken = waiter;
}

static bool waits_for(const struct uk_log_wait *wait, uint64_t hash, struct uk_slice topic,
                      int32_t partition, int64_t end)
{
  const struct uk_topic_partition_offset *position = wait->position;
  return wait->hash == hash && position->offset < end && position->partition == partition &&
         uk_slice_equal(position->topic, topic);
}

struct uk_log_waiter *uk_log_waiters_take_partition(struct uk_log_waiters *waiters,
                                                    struct uk_slice topic, int32_t partition,
                                                    int64_t end)
{
  uint64_t hash = hash_of(topic, partition);
  struct uk_log_waiter *taken = NULL;
  struct uk_log_wait *wait = waiters->buckets[hash % UK_LOG_WAITER_BUCKETS];
  while (wait != NULL) {
    struct uk_log_wait *next = wait->next;
    if (waits_for(wait, hash, topic, partition, end)) {
      /* A fetch that names the partition twice has another wait in this chain, perhaps the next
       * one. */
      while (next != NULL && next->waiter == wait->waiter)
        next = next->next;
      take_out(waiters, wait->waiter, &taken);
    }
    wait = next;
  }
  return taken;
}

static bool names_topic(const struct uk_log_waiter *waiter, struct uk_slice topic)
{
  for (size_t i = 0; i < waiter->count; i++) {
    if (uk_slice_equal(waiter->waits[i].position->topic, topic))
      return true;
  }
  return false;
}

struct uk_log_waiter *uk_log_waiters_take_topic(struct uk_log_waiters *waiters,
                                                struct uk_slice topic)
{
  struct uk_log_waiter *named = NULL, *taken = NULL;
  for (size_t i = 0; i < waiters->count; i++) {
    struct uk_log_waiter *waiter = waiters->heap[i];
    if (names_topic(waiter, topic)) {
      waiter->next = named;
      named = waiter;
    }
  }
  while (named != NULL) {
    struct uk_log_waiter *next = named->next;
    take_out(waiters, named, &taken);
    named = next;
  }
  return taken;
}

struct uk_log_waiter *uk_log_waiters_take_expired(struct uk_log_waiters *waiters, int64_t now)
{
  struct uk_log_waiter *taken = NULL;
  while (uk_log_waiters_deadline(waiters) <= now && waiters->count > 0)
    take_out(waiters, waiters->heap[0], &taken);
  return taken;
}

struct uk_log_waiter *uk_log_waiters_take_all(struct uk_log_waiters *waiters)
{
  return uk_log_waiters_take_expired(waiters, INT64_MAX);
}

struct uk_log_waiter *uk_log_waiters_take(struct uk_log_waiters *waiters,
                                          const struct uk_fetch *fetch)
{
  struct uk_log_waiter *taken = NULL;
  size_t i = 0;
  while (i < waiters->count && waiters->heap[i]->fetch != fetch)
    i++;
  if (i < waiters->count)
    take_out(waiters, waiters->heap[i], &taken);
  return taken;
}

int64_t uk_log_waiters_deadline(const struct uk_log_waiters *waiters)
{
  return waiters->count == 0 ? INT64_MAX : deadline_at(waiters, 0);
}
