/* check_groups: what holds between any two calls of groups, however they came. */
#ifndef CHECK_GROUPS_H
#define CHECK_GROUPS_H

#include "server/groups/groups.h"

/* Precondition: no other thread is in a call of groups. Memory was not out. */
void check_groups(struct uk_groups *groups);

#endif
