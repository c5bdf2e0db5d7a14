/* name_table: a hash table by name. Each entry has a uk_name_node as its first member and owns the
 * bytes of its name. */
#ifndef UK_NAME_TABLE_H
#define UK_NAME_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

struct uk_name_node {
  struct uk_name_node *next; /* in the same bucket */
  uint64_t hash;
  struct uk_slice name;
};

struct uk_name_table {
  struct uk_name_node **buckets; /* NULL until the first node */
  size_t size;                   /* buckets, a power of two */
  size_t count;                  /* nodes */
  uint64_t seed; /* so that clients, who choose the names, cannot force collisions */
};

/* A random seed; a weaker one if the system has no random bytes yet. */
uint64_t uk_name_table_seed(void);

void uk_name_table_init(struct uk_name_table *table, uint64_t seed);

/* Frees the buckets, not the nodes. */
void uk_name_table_free(struct uk_name_table *table);

/* NULL if there is no such name. */
struct uk_name_node *uk_name_table_find(const struct uk_name_table *table, struct uk_slice name);

/* Precondition: `node->name` is set, and the table has no such name. False if memory is exhausted;
 * nothing has changed then. */
bool uk_name_table_add(struct uk_name_table *table, struct uk_name_node *node);

void uk_name_table_remove(struct uk_name_table *table, struct uk_name_node *node);

/* Iterates in no particular order: the node after `node`, the first one for NULL; NULL at the end.
 * Between calls, nodes that were already visited may be removed; nothing else may change. */
struct uk_name_node *uk_name_table_next(const struct uk_name_table *table,
                                        const struct uk_name_node *node);

/* Compares as memcmp does; a prefix comes first. Names are listed, and partitions assigned, in this
 * order. */
int uk_name_order(struct uk_slice a, struct uk_slice b);

#endif
