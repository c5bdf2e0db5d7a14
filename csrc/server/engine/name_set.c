#include "server/engine/name_set.h"

#include <stdlib.h>

struct name {
  struct uk_name_node node;
  char bytes[];
};

void uk_name_set_init(struct uk_name_set *set)
{
  pthread_mutex_init(&set->mutex, NULL);
  uk_name_table_init(&set->table, uk_name_table_seed());
}

/* Precondition: the mutex is locked. */
static void clear(struct uk_name_set *set)
{
  struct uk_name_node *next;
  for (struct uk_name_node *node = uk_name_table_next(&set->table, NULL); node != NULL;
       node = next) {
    next = uk_name_table_next(&set->table, node);
    uk_name_table_remove(&set->table, node);
    free(node);
  }
}

/* Precondition: the mutex is locked. */
static bool add(struct uk_name_set *set, struct uk_slice name)
{
  if (uk_name_table_find(&set->table, name) != NULL)
    return false;
  if (set->table.count >= UK_NAME_SET_MAX)
    clear(set);
  struct name *made = calloc(1, sizeof *made + name.length);
  if (made == NULL)
    return true;
  memcpy(made->bytes, name.data, name.length);
  made->node.name = uk_slice_of(made->bytes, name.length);
  if (!uk_name_table_add(&set->table, &made->node))
    free(made);
  return true;
}

bool uk_name_set_add(struct uk_name_set *set, struct uk_slice name)
{
  pthread_mutex_lock(&set->mutex);
  bool added = add(set, name);
  pthread_mutex_unlock(&set->mutex);
  return added;
}

bool uk_name_set_has(struct uk_name_set *set, struct uk_slice name)
{
  pthread_mutex_lock(&set->mutex);
  bool has = uk_name_table_find(&set->table, name) != NULL;
  pthread_mutex_unlock(&set->mutex);
  return has;
}

void uk_name_set_remove(struct uk_name_set *set, struct uk_slice name)
{
  pthread_mutex_lock(&set->mutex);
  struct uk_name_node *node = uk_name_table_find(&set->table, name);
  if (node != NULL)
    uk_name_table_remove(&set->table, node);
  pthread_mutex_unlock(&set->mutex);
  free(node);
}

void uk_name_set_clear(struct uk_name_set *set)
{
  pthread_mutex_lock(&set->mutex);
  clear(set);
  pthread_mutex_unlock(&set->mutex);
}

void uk_name_set_free(struct uk_name_set *set)
{
  clear(set);
  uk_name_table_free(&set->table);
  pthread_mutex_destroy(&set->mutex);
}
