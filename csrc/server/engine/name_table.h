/* name_table: things by name. A thing holds its node as its first member and owns the bytes of the name. */
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
  uint64_t seed;                 /* makes the order unknown to whoever picks the names */
};

/* A seed that nobody can guess, as far as the system has random bytes. */
uint64_t uk_name_table_seed(void);

void uk_name_table_init(struct uk_name_table *table, uint64_t seed);

/* Frees the buckets, not the nodes. */
void uk_name_table_free(struct uk_name_table *table);

/* NULL when there is none of that name. */
struct uk_name_node *uk_name_table_find(const struct uk_name_table *table, struct uk_slice name);

/* `node->name` is set and not in the table. False, with nothing changed, when memory is out. */
bool uk_name_table_add(struct uk_name_table *table, struct uk_name_node *node);

void uk_name_table_remove(struct uk_name_table *table, struct uk_name_node *node);

/* The node after `node`, in no order that means anything; the first for NULL; NULL at the end. The table may not
 * change in between, but for the removal of nodes already passed. */
struct uk_name_node *uk_name_table_next(const struct uk_name_table *table,
                                        const struct uk_name_node *node);

/* Below, at or above 0, as for memcmp: the order in which names are listed and partitions assigned. */
int uk_name_order(struct uk_slice a, struct uk_slice b);

#endif
