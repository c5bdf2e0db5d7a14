#include "server/engine/name_table.h"

#include <stdlib.h>
#include <sys/random.h>

enum { FIRST_SIZE = 8 };

uint64_t uk_name_table_seed(void)
{
  uint64_t seed = (uintptr_t)&seed; /* differs at least between processes */
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
    seed *= UINT64_C(0x9e3779b97f4a7c15);
  return seed;
}

void uk_name_table_init(struct uk_name_table *table, uint64_t seed)
{
  *table = (struct uk_name_table){.seed = seed};
}

void uk_name_table_free(struct uk_name_table *table)
{
  free(table->buckets);
  uk_name_table_init(table, table->seed);
}

/* FNV-1a with a secret start. The final mix folds the high bits into the low ones, which select the
 * bucket. */
static uint64_t hash_of(const struct uk_name_table *table, struct uk_slice name)
{
  uint64_t hash = UINT64_C(14695981039346656037) ^ table->seed;
  for (size_t i = 0; i < name.length; i++)
    hash = (hash ^ (unsigned char)name.data[i]) * UINT64_C(1099511628211);
  hash ^= hash >> 33;
  hash *= UINT64_C(0xff51afd7ed558ccd);
  return hash ^ hash >> 33;
}

static struct uk_name_node **bucket_of(const struct uk_name_table *table, uint64_t hash)
{
  return &table->buckets[hash & (table->size - 1)];
}

struct uk_name_node *uk_name_table_find(const struct uk_name_table *table, struct uk_slice name)
{
  if (table->count == 0)
    return NULL;
  uint64_t hash = hash_of(table, name);
  struct uk_name_node *node = *bucket_of(table, hash);
  while (node != NULL && (node->hash != hash || !uk_slice_equal(node->name, name)))
    node = node->next;
  return node;
}

static void push(struct uk_name_table *table, struct uk_name_node *node)
{
  struct uk_name_node **bucket = bucket_of(table, node->hash);
  node->next = *bucket;
  *bucket = node;
}

static bool grow(struct uk_name_table *table)
{
  struct uk_name_table old = *table;
  size_t size = old.size == 0 ? FIRST_SIZE : old.size * 2;
  struct uk_name_node **buckets = calloc(size, sizeof *buckets);
  if (buckets == NULL)
    return false;
  table->buckets = buckets;
  table->size = size;
  for (size_t i = 0; i < old.size; i++) {
    for (struct uk_name_node *node = old.buckets[i], *next; node != NULL; node = next) {
      next = node->next;
      push(table, node);
    }
  }
  free(old.buckets);
  return true;
}

bool uk_name_table_add(struct uk_name_table *table, struct uk_name_node *node)
{
  /* A table that cannot grow still works, with longer chains. */
  if (table->count >= table->size && !grow(table) && table->size == 0)
    return false;
  node->hash = hash_of(table, node->name);
  push(table, node);
  table->count++;
  return true;
}

void uk_name_table_remove(struct uk_name_table *table, struct uk_name_node *node)
{
  struct uk_name_node **link = bucket_of(table, node->hash);
  while (*link != node)
    link = &(*link)->next;
  *link = node->next;
  table->count--;
}

struct uk_name_node *uk_name_table_next(const struct uk_name_table *table,
                                        const struct uk_name_node *node)
{
  if (node != NULL && node->next != NULL)
    return node->next;
  size_t i = node == NULL ? 0 : (node->hash & (table->size - 1)) + 1;
  while (i < table->size && table->buckets[i] == NULL)
    i++;
  return i < table->size ? table->buckets[i] : NULL;
}

int uk_name_order(struct uk_slice a, struct uk_slice b)
{
  size_t length = a.length < b.length ? a.length : b.length;
  int order = length == 0 ? 0 : memcmp(a.data, b.data, length);
  return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}
