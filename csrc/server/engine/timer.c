#include "server/engine/timer.h"

#include <stddef.h>

/* A pairing heap: insertion takes one comparison, removal O(log n) amortized. */

void uk_timer_init(struct uk_timer *timer, void (*due)(void *owner, struct uk_timer *timer))
{
  *timer = (struct uk_timer){.time = UK_TIMER_NEVER, .due = due};
}

static struct uk_timer *merge(struct uk_timer *a, struct uk_timer *b)
{
  if (a == NULL || b == NULL)
    return a != NULL ? a : b;
  if (b->time < a->time) {
    struct uk_timer *swap = a;
    a = b;
    b = swap;
  }
  b->previous = a;
  b->next = a->child;
  if (a->child != NULL)
    a->child->previous = b;
  a->child = b;
  return a;
}

/* Merges a list of siblings into one heap, pairwise first: that gives the amortized bound. */
static struct uk_timer *merge_siblings(struct uk_timer *siblings)
{
  struct uk_timer *pairs = NULL;
  while (siblings != NULL) {
    struct uk_timer *a = siblings, *b = a->next;
    siblings = b != NULL ? b->next : NULL;
    a->next = a->previous = NULL;
    if (b != NULL)
      b->next = b->previous = NULL;
    a = merge(a, b);
    a->next = pairs;
    pairs = a;
  }
  struct uk_timer *all = NULL;
  while (pairs != NULL) {
    struct uk_timer *pair = pairs;
    pairs = pair->next;
    pair->next = NULL;
    all = merge(all, pair);
  }
  return all;
}

static void take_out(struct uk_timers *timers, struct uk_timer *timer)
{
  struct uk_timer *children = merge_siblings(timer->child);
  if (timer == timers->first) {
    timers->first = children;
  } else {
    if (timer->previous->child == timer)
      timer->previous->child = timer->next;
    else
      timer->previous->next = timer->next;
    if (timer->next != NULL)
      timer->next->previous = timer->previous;
    timers->first = merge(timers->first, children);
  }
  timer->child = timer->next = timer->previous = NULL;
}

void uk_timer_set(struct uk_timers *timers, struct uk_timer *timer, int64_t time)
{
  if (timer->time == time)
    return;
  if (timer->time != UK_TIMER_NEVER)
    take_out(timers, timer);
  timer->time = time;
  if (time != UK_TIMER_NEVER)
    timers->first = merge(timers->first, timer);
}
