/* for: name_table.c, name_set.c */
#include "server/engine/name_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"
#include "server/engine/name_set.h"

enum { MANY = 1000 };

struct thing {
  struct uk_name_node node;
  char bytes[16];
  bool met;
};

static struct thing things[MANY];

static struct uk_slice name_of(int i)
{
  return things[i].node.name;
}

static void fill(struct uk_name_table *table)
{
  uk_name_table_init(table, 42);
  for (int i = 0; i < MANY; i++) {
    snprintf(things[i].bytes, sizeof things[i].bytes, "name-%d", i);
    things[i].node = (struct uk_name_node){.name = uk_slice_text(things[i].bytes)};
    things[i].met = false;
    CHECK(uk_name_table_find(table, name_of(i)) == NULL);
    CHECK(uk_name_table_add(table, &things[i].node));
    CHECK_EQ_INT(table->count, i + 1);
  }
}

/* Finds names by all their bytes and their length. */
static void finds_each_by_its_name(void)
{
  struct uk_name_table table;
  long before = fault_live();
  fill(&table);
  CHECK_EQ_INT(fault_live(), before + 1); /* the buckets; smaller ones are freed */
  for (int i = 0; i < MANY; i++)
    CHECK(uk_name_table_find(&table, name_of(i)) == &things[i].node);
  static const char *const others[] = {"", "name-", "name-1000", "name-00", "Name-1", "name-1 "};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    CHECK(uk_name_table_find(&table, uk_slice_text(others[i])) == NULL);
  uk_name_table_free(&table);
  CHECK_EQ_INT(table.count, 0);
  CHECK(uk_name_table_find(&table, name_of(0)) == NULL);
  CHECK_EQ_INT(fault_live(), before);
}

/* Clients choose the names. Without the seed they could choose names that collide. */
static void the_seed_decides_where_a_name_is(void)
{
  struct uk_name_table tables[2];
  struct uk_name_node nodes[2];
  for (uint64_t i = 0; i < 2; i++) {
    nodes[i] = (struct uk_name_node){.name = uk_slice_text("name")};
    uk_name_table_init(&tables[i], i);
    CHECK(uk_name_table_add(&tables[i], &nodes[i]));
  }
  CHECK(nodes[0].hash != nodes[1].hash);
  for (int i = 0; i < 2; i++)
    uk_name_table_free(&tables[i]);
}

/* Names with equal hashes are different names. */
static void equal_hashes_are_different_names(void)
{
  struct uk_name_table table;
  fill(&table);
  uint64_t hash = things[0].node.hash;
  things[0].node.name = uk_slice_text("another");
  CHECK(uk_name_table_find(&table, uk_slice_text("name-0")) == NULL);
  CHECK_EQ_INT(things[0].node.hash == hash, true);
  uk_name_table_free(&table);
}

static void visits_each_once(void)
{
  struct uk_name_table table;
  int met = 0;
  uk_name_table_init(&table, 1);
  CHECK(uk_name_table_next(&table, NULL) == NULL);
  fill(&table);
  struct uk_name_node *next;
  for (struct uk_name_node *node = uk_name_table_next(&table, NULL); node != NULL; node = next) {
    next = uk_name_table_next(&table, node);
    CHECK(!((struct thing *)node)->met);
    ((struct thing *)node)->met = true;
    met++;
    if (met % 2 == 0) /* nodes already visited may be removed */
      uk_name_table_remove(&table, node);
  }
  CHECK_EQ_INT(met, MANY);
  CHECK_EQ_INT(table.count, MANY / 2);
  uk_name_table_free(&table);
}

static void forgets_removed_names(void)
{
  struct uk_name_table table;
  fill(&table);
  for (int i = 0; i < MANY; i += 3)
    uk_name_table_remove(&table, &things[i].node);
  for (int i = 0; i < MANY; i++)
    CHECK((uk_name_table_find(&table, name_of(i)) == NULL) == (i % 3 == 0));
  for (int i = 0; i < MANY; i += 3)
    CHECK(uk_name_table_add(&table, &things[i].node));
  for (int i = 0; i < MANY; i++)
    CHECK(uk_name_table_find(&table, name_of(i)) == &things[i].node);
  CHECK_EQ_INT(table.count, MANY);
  uk_name_table_free(&table);
}

/* Without memory the first node is refused; later ones share the existing buckets. */
static void works_without_memory(void)
{
  struct uk_name_table table;
  long before = fault_live();
  uk_name_table_init(&table, 7);
  for (int i = 0; i < MANY; i++) {
    snprintf(things[i].bytes, sizeof things[i].bytes, "n%d", i);
    things[i].node = (struct uk_name_node){.name = uk_slice_text(things[i].bytes)};
    fault_at(1);
    bool added = uk_name_table_add(&table, &things[i].node);
    fault_off();
    CHECK_EQ_INT(added, i > 0);
    if (i == 0)
      CHECK(uk_name_table_add(&table, &things[i].node));
  }
  for (int i = 0; i < MANY; i++)
    CHECK(uk_name_table_find(&table, name_of(i)) == &things[i].node);
  uk_name_table_free(&table);
  CHECK_EQ_INT(fault_live(), before);
}

static bool no_random;

/* In front of that of libc. */
__attribute__((visibility("default"))) ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
  CHECK_EQ_INT(flags, GRND_NONBLOCK); /* a server that starts early after the boot must not wait */
  if (!no_random)
    return syscall(SYS_getrandom, bytes, size, flags);
  errno = EAGAIN;
  return -1;
}

static void seeds_differ(void)
{
  CHECK(uk_name_table_seed() != uk_name_table_seed());
}

/* Elsewhere on the stack, as in another process. */
__attribute__((noinline)) static uint64_t seed_below(void)
{
  volatile char room[256];
  room[0] = 1;
  return uk_name_table_seed() * (uint64_t)room[0];
}

/* Where addresses are random, a client cannot know the seed. */
static void seeds_differ_by_address_without_random_bytes(void)
{
  no_random = true;
  uint64_t here = uk_name_table_seed(), below = seed_below();
  no_random = false;
  CHECK(here != 0 && below != 0);
  CHECK(here != below);
}

static void orders_names_by_their_bytes(void)
{
  static const char *const sorted[] = {"", "A", "a", "a-", "a.", "aa", "ab", "b", "\xc3\xa9"};
  enum { COUNT = sizeof sorted / sizeof *sorted };
  for (int i = 0; i < COUNT; i++) {
    for (int j = 0; j < COUNT; j++) {
      int order = uk_name_order(uk_slice_text(sorted[i]), uk_slice_text(sorted[j]));
      CHECK_EQ_INT((order > 0) - (order < 0), (i > j) - (i < j));
    }
  }
}

/* The first name needs two allocations, its node and the buckets. It is new as long as one
 * fails. */
static void a_set_without_memory_is_empty(void)
{
  struct uk_name_set set;
  long before = fault_live();
  uk_name_set_init(&set);
  for (long n = 1; n <= 2; n++) {
    fault_at(n);
    CHECK(uk_name_set_add(&set, uk_slice_text("a")));
    CHECK(fault_hit());
    fault_off();
    CHECK(!uk_name_set_has(&set, uk_slice_text("a")));
    CHECK_EQ_INT(fault_live(), before);
  }
  CHECK(uk_name_set_add(&set, uk_slice_text("a")));
  CHECK(uk_name_set_add(&set, uk_slice_text("b")));
  uk_name_set_remove(&set, uk_slice_text("a"));
  uk_name_set_remove(&set, uk_slice_text("c")); /* is not in it */
  CHECK(!uk_name_set_has(&set, uk_slice_text("a")));
  CHECK(uk_name_set_has(&set, uk_slice_text("b")));
  CHECK(uk_name_set_add(&set, uk_slice_text("a")));
  uk_name_set_free(&set);
  CHECK_EQ_INT(fault_live(), before);
}

static void a_set_contains_added_names(void)
{
  struct uk_name_set set;
  long before = fault_live();
  uk_name_set_init(&set);
  CHECK(!uk_name_set_has(&set, uk_slice_text("a")));
  CHECK(uk_name_set_add(&set, uk_slice_text("a")));
  CHECK(!uk_name_set_add(&set, uk_slice_text("a")));
  CHECK(uk_name_set_add(&set, uk_slice_text("ab")));
  CHECK(uk_name_set_has(&set, uk_slice_text("a")) && uk_name_set_has(&set, uk_slice_text("ab")));
  uk_name_set_clear(&set);
  CHECK(!uk_name_set_has(&set, uk_slice_text("a")));
  CHECK(uk_name_set_add(&set, uk_slice_text("a")));
  fault_at(1); /* the name is not stored, so it is new again */
  CHECK(uk_name_set_add(&set, uk_slice_text("b")));
  fault_off();
  CHECK(!uk_name_set_has(&set, uk_slice_text("b")));
  uk_name_set_free(&set);
  CHECK_EQ_INT(fault_live(), before);
}

/* One name above the limit clears the set. */
static void a_set_is_bounded(void)
{
  struct uk_name_set set;
  char name[32];
  uk_name_set_init(&set);
  for (int i = 0; i < UK_NAME_SET_MAX; i++) {
    snprintf(name, sizeof name, "%d", i);
    uk_name_set_add(&set, uk_slice_text(name));
  }
  CHECK(uk_name_set_has(&set, uk_slice_text("0")));
  CHECK(!uk_name_set_add(&set, uk_slice_text("0")));
  CHECK_EQ_INT(set.table.count, UK_NAME_SET_MAX);
  CHECK(uk_name_set_add(&set, uk_slice_text("more")));
  CHECK(!uk_name_set_has(&set, uk_slice_text("0")));
  CHECK(uk_name_set_has(&set, uk_slice_text("more")));
  CHECK_EQ_INT(set.table.count, 1);
  uk_name_set_free(&set);
}

static void *use_set(void *argument)
{
  struct uk_name_set *set = argument;
  char name[32];
  for (int i = 0; i < 4 * MANY; i++) {
    snprintf(name, sizeof name, "%d", i % 50);
    uk_name_set_add(set, uk_slice_text(name));
    uk_name_set_has(set, uk_slice_text(name));
    if (i % 2 == 0)
      uk_name_set_remove(set, uk_slice_text(name));
    if (i % 400 == 0)
      uk_name_set_clear(set);
  }
  return NULL;
}

static void threads_share_a_set(void)
{
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  struct uk_name_set set;
  long before = fault_live();
  uk_name_set_init(&set);
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_create(&threads[i], NULL, use_set, &set) == 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  uk_name_set_free(&set);
  CHECK_EQ_INT(fault_live(), before);
}

int main(void)
{
  CHECK_RUN(finds_each_by_its_name);
  CHECK_RUN(the_seed_decides_where_a_name_is);
  CHECK_RUN(equal_hashes_are_different_names);
  CHECK_RUN(visits_each_once);
  CHECK_RUN(forgets_removed_names);
  CHECK_RUN(works_without_memory);
  CHECK_RUN(seeds_differ);
  CHECK_RUN(seeds_differ_by_address_without_random_bytes);
  CHECK_RUN(orders_names_by_their_bytes);
  CHECK_RUN(a_set_without_memory_is_empty);
  CHECK_RUN(a_set_contains_added_names);
  CHECK_RUN(a_set_is_bounded);
  CHECK_RUN(threads_share_a_set);
  return check_end();
}
