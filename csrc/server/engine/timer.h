/* timer: which deadline comes first, in a heap that lives inside the things that have deadlines, so that arming
 * one never fails. */
#ifndef UK_TIMER_H
#define UK_TIMER_H

#include <stdint.h>

#define UK_TIMER_NEVER INT64_MAX

struct uk_timer {
  int64_t time;                                     /* UK_TIMER_NEVER: not in the heap */
  void (*due)(void *owner, struct uk_timer *timer); /* for whoever owns the heap: called disarmed */
  struct uk_timer *child, *next,
    *previous; /* previous: the elder sibling, of the eldest the parent */
};

struct uk_timers {
  struct uk_timer *first; /* NULL, or the earliest: no parent, no siblings */
};

void uk_timer_init(struct uk_timer *timer, void (*due)(void *owner, struct uk_timer *timer));

/* Armed or not before; UK_TIMER_NEVER disarms. */
void uk_timer_set(struct uk_timers *timers, struct uk_timer *timer, int64_t time);

#endif
