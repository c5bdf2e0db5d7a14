/* name_set: a bounded set of names. Safe for concurrent use. */
#ifndef UK_NAME_SET_H
#define UK_NAME_SET_H

#include <pthread.h>

#include "server/engine/name_table.h"

struct uk_name_set {
  pthread_mutex_t mutex;
  struct uk_name_table table;
};

enum { UK_NAME_SET_MAX = 100000 }; /* adding one more name clears the set first */

void uk_name_set_init(struct uk_name_set *set);

/* True if the name was not in the set. Not stored if memory is exhausted. */
bool uk_name_set_add(struct uk_name_set *set, struct uk_slice name);
bool uk_name_set_has(struct uk_name_set *set, struct uk_slice name);

/* A name that is not in the set stays out. */
void uk_name_set_remove(struct uk_name_set *set, struct uk_slice name);

void uk_name_set_clear(struct uk_name_set *set);
void uk_name_set_free(struct uk_name_set *set);

#endif
