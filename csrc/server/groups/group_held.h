/* group_held: commits and deletions that wait until it is known what became of the instance's last
 * response. */
#ifndef UK_GROUP_HELD_H
#define UK_GROUP_HELD_H

#include "server/groups/group_state.h"

/* Holds the operation. uk_group_held_run carries it out by calling `run`, without the entry. Ends
 * it with UNAVAILABLE at its deadline, and with NO_MEMORY when memory is out. */
void uk_group_hold(struct uk_groups *groups, struct uk_group_instance *instance,
                   struct uk_operation *operation,
                   void (*run)(struct uk_groups *groups, struct uk_operation *operation));

/* Takes out all held operations, for uk_group_held_run_list. */
void uk_group_held_take(struct uk_group_instance *instance, struct uk_list *held);
void uk_group_held_run_list(struct uk_groups *groups, struct uk_list *held);

/* Carries out all held operations, in their order. May free the instance. */
void uk_group_held_run(struct uk_groups *groups, struct uk_group_instance *instance);

/* Ends all held operations as if their deadlines had come. */
void uk_group_held_end(struct uk_groups *groups, struct uk_group_instance *instance);

#endif
