/* timer: a heap of deadlines. Timers are embedded in the objects that have deadlines, so arming one
 * cannot fail. */
#ifndef UK_TIMER_H
#define UK_TIMER_H

#include <stdint.h>

#define UK_TIMER_NEVER INT64_MAX

struct uk_timer {
  int64_t time; /* UK_TIMER_NEVER: not in the heap */
  void (*due)(void *owner,
              struct uk_timer *timer);      /* called by the heap's owner, after disarming */
  struct uk_timer *child, *next, *previous; /* the previous sibling; the parent for the first one */
};

struct uk_timers {
  struct uk_timer *first; /* the earliest, or NULL; has no parent and no siblings */
};

void uk_timer_init(struct uk_timer *timer, void (*due)(void *owner, struct uk_timer *timer));

/* Arms the timer, or moves an armed one; UK_TIMER_NEVER disarms it. */
void uk_timer_set(struct uk_timers *timers, struct uk_timer *timer, int64_t time);

#endif
