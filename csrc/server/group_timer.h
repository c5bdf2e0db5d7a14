/* group_timer: which deadline comes first, in a heap that lives inside the things that have deadlines, so that arming
 * one never fails. */
#ifndef UK_GROUP_TIMER_H
#define UK_GROUP_TIMER_H

#include <stdint.h>

#define UK_GROUP_NEVER INT64_MAX

struct uk_groups;

struct uk_group_timer {
  int64_t time; /* UK_GROUP_NEVER: not in the heap */
  void (*due)(struct uk_groups *groups, struct uk_group_timer *timer); /* called disarmed */
  struct uk_group_timer *child, *next,
    *previous; /* previous: the elder sibling, of the eldest the parent */
};

struct uk_group_timers {
  struct uk_group_timer *first; /* NULL, or the earliest: no parent, no siblings */
};

void uk_group_timer_init(struct uk_group_timer *timer,
                         void (*due)(struct uk_groups *groups, struct uk_group_timer *timer));

/* Armed or not before; UK_GROUP_NEVER disarms. */
void uk_group_timer_set(struct uk_group_timers *timers, struct uk_group_timer *timer, int64_t time);

#endif
