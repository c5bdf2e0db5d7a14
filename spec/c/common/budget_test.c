/* for: budget.c, memory_limit.c, buffer.c, arena.c */
#include "common/budget.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "common/arena.h"
#include "common/buffer.h"
#include "common/memory_limit.h"
#include "fault.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

static struct uk_budget budget;
static struct uk_account account, other;

static void begin(size_t limit)
{
  uk_budget_init(&budget, limit);
  uk_account_init(&account, &budget);
  uk_account_init(&other, &budget);
}

static size_t taken(void)
{
  return atomic_load(&budget.taken);
}

/* Small steps up to 64 KiB in all, and large ones beyond. */
static void E3_an_account_takes_whole_steps(void)
{
  static const struct {
    size_t used, held;
  } rows[] = {{1, 4 * KIB},
              {4 * KIB, 4 * KIB},
              {4 * KIB + 1, 8 * KIB},
              {64 * KIB, 64 * KIB},
              {64 * KIB + 1, 128 * KIB},
              {128 * KIB, 128 * KIB},
              {128 * KIB + 1, 192 * KIB}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    begin(MIB);
    CHECK(uk_account_take(&account, rows[i].used));
    CHECK_EQ_INT(taken(), rows[i].held);
    CHECK(uk_account_take(&account, rows[i].held - rows[i].used));
    CHECK_EQ_INT(taken(), rows[i].held);
    uk_account_give(&account, rows[i].held - rows[i].used);
    CHECK_EQ_INT(taken(), rows[i].held);
    uk_account_give(&account, rows[i].used);
    CHECK_EQ_INT(taken(), 0);
  }
}

/* What is freed is others' at once. */
static void E3_an_account_gives_back_what_it_does_not_use(void)
{
  begin(MIB);
  CHECK(uk_account_take(&account, 300 * KIB));
  CHECK_EQ_INT(taken(), 320 * KIB);
  uk_account_give(&account, 299 * KIB);
  CHECK_EQ_INT(taken(), 4 * KIB);
  uk_account_give(&account, 1 * KIB);
  CHECK_EQ_INT(taken(), 0);
}

static void E3_the_budget_holds_to_the_byte(void)
{
  begin(256 * KIB);
  CHECK(uk_account_take(&account, 128 * KIB));
  CHECK(uk_account_take(&other, 128 * KIB));
  CHECK_EQ_INT(account.denied, 0);
  CHECK(!uk_account_take(&account, 1));
  CHECK_EQ_INT(account.denied, 192 * KIB);
  CHECK(!uk_account_never_fits(&account));
  CHECK_EQ_INT(account.used, 128 * KIB);
  CHECK_EQ_INT(taken(), 256 * KIB);
  uk_account_give(&other, 64 * KIB);
  CHECK(uk_account_take(&account, 1));
  CHECK_EQ_INT(account.denied, 0);
  CHECK_EQ_INT(taken(), 256 * KIB);
}

/* A quarter is kept for accounts of at most 256 KiB. */
static void E3_large_accounts_leave_room_for_small_ones(void)
{
  begin(4 * MIB);
  CHECK_EQ_INT(uk_budget_most(&budget), 3 * MIB);
  CHECK(uk_account_take(&account, 3 * MIB));
  CHECK(!uk_account_take(&account, 1));
  CHECK(uk_account_never_fits(&account));
  CHECK(!uk_account_take(&other, 256 * KIB + 1));
  CHECK(!uk_account_never_fits(&other));
  CHECK_EQ_INT(taken(), 3 * MIB);
  CHECK(uk_account_take(&other, 256 * KIB));
  CHECK(!uk_account_take(&other, 1));
  CHECK_EQ_INT(taken(), 3 * MIB + 256 * KIB);
}

static void E3_knows_what_never_fits(void)
{
  static const struct {
    size_t limit, most;
  } rows[] = {{0, SIZE_MAX},
              {64 * KIB, 64 * KIB},
              {256 * KIB, 256 * KIB},
              {300 * KIB, 256 * KIB},
              {1024 * KIB, 768 * KIB}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    begin(rows[i].limit);
    CHECK(uk_budget_most(&budget) == rows[i].most);
    CHECK(!uk_account_never_fits(&account));
    if (rows[i].limit == 0)
      continue;
    CHECK(uk_account_take(&account, rows[i].most));
    CHECK(!uk_account_take(&account, 1));
    CHECK(uk_account_never_fits(&account));
    uk_account_give(&account, rows[i].most);
    CHECK_EQ_INT(taken(), 0);
  }
}

static void E3_without_a_limit_everything_fits(void)
{
  begin(0);
  CHECK(uk_account_take(&account, SIZE_MAX / 4));
  uk_account_give(&account, SIZE_MAX / 4);
  CHECK_EQ_INT(taken(), 0);
  CHECK(uk_account_take(NULL, SIZE_MAX));
  uk_account_give(NULL, SIZE_MAX);
  account = (struct uk_account){.budget = NULL};
  CHECK(uk_account_take(&account, SIZE_MAX));
  uk_account_give(&account, SIZE_MAX);
  CHECK_EQ_INT(account.used, 0);
}

static void E3_sizes_do_not_overflow(void)
{
  begin(MIB);
  CHECK(uk_account_take(&account, 5 * KIB));
  CHECK(!uk_account_take(&account, SIZE_MAX));
  CHECK(!uk_account_take(&account, SIZE_MAX - 5 * KIB));
  CHECK(uk_account_never_fits(&account));
  CHECK_EQ_INT(taken(), 8 * KIB);
}

/* Accounts of several threads never take more than there is, and in the end nothing is taken. */
enum { THREADS = 4, ROUNDS = 20000 };

static void *take_and_give(void *argument)
{
  struct uk_account own;
  (void)argument;
  uk_account_init(&own, &budget);
  for (int i = 0; i < ROUNDS; i++) {
    const size_t bytes = (size_t)(i % 7) * 10 * KIB;
    if (!uk_account_take(&own, bytes))
      continue;
    CHECK(taken() <= budget.limit);
    uk_account_give(&own, bytes);
  }
  return NULL;
}

static void E3_threads_share_the_budget(void)
{
  pthread_t threads[THREADS];
  begin(100 * KIB);
  for (int i = 0; i < THREADS; i++)
    REQUIRE(pthread_create(&threads[i], NULL, take_and_give, NULL) == 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  CHECK_EQ_INT(taken(), 0);
}

static void E3_a_buffer_pays_before_it_grows(void)
{
  struct uk_buffer buffer;
  char bytes[4 * KIB] = {0};
  begin(8 * KIB);
  uk_buffer_init(&buffer, MIB);
  buffer.account = &account;
  CHECK_EQ_INT(uk_buffer_append(&buffer, bytes, sizeof bytes), UK_OK);
  CHECK_EQ_INT(account.used, buffer.capacity);
  CHECK_EQ_INT(uk_buffer_append(&buffer, bytes, sizeof bytes), UK_OK);
  CHECK_EQ_INT(account.used, 8 * KIB);
  CHECK_EQ_INT(uk_buffer_append_byte(&buffer, 'x'), UK_E_NO_MEMORY);
  CHECK_EQ_INT(buffer.length, 8 * KIB);
  uk_buffer_free(&buffer);
  CHECK_EQ_INT(taken(), 0);
  CHECK(buffer.account == &account);
}

/* Twice as much would not fit, but what is wanted does. */
static void E3_a_buffer_takes_no_more_than_it_needs_where_the_budget_is_short(void)
{
  struct uk_buffer buffer;
  begin(12 * KIB);
  uk_buffer_init(&buffer, MIB);
  buffer.account = &account;
  CHECK(uk_buffer_reserve(&buffer, 8 * KIB) != NULL);
  uk_buffer_commit(&buffer, 8 * KIB);
  CHECK(uk_buffer_reserve(&buffer, 4 * KIB) != NULL);
  CHECK_EQ_INT(buffer.capacity, 12 * KIB);
  CHECK_EQ_INT(account.used, 12 * KIB);
  CHECK(uk_buffer_reserve(&buffer, 4 * KIB + 1) == NULL);
  CHECK_EQ_INT(account.used, 12 * KIB);
  uk_buffer_free(&buffer);
  CHECK_EQ_INT(taken(), 0);
}

static void E3_a_buffer_gives_back_what_its_content_does_not_need(void)
{
  struct uk_buffer buffer;
  begin(0);
  uk_buffer_init(&buffer, MIB);
  buffer.account = &account;
  uk_buffer_trim(&buffer);
  uk_buffer_append_text(&buffer, "content");
  CHECK(uk_buffer_reserve(&buffer, 64 * KIB - 1) != NULL);
  CHECK_EQ_INT(buffer.capacity, 64 * KIB + 6);
  uk_buffer_trim(&buffer);
  CHECK_EQ_INT(buffer.capacity, 64 * KIB + 6);
  CHECK(uk_buffer_reserve(&buffer, 64 * KIB) != NULL);
  CHECK(buffer.capacity > 64 * KIB + 6);
  uk_buffer_trim(&buffer);
  CHECK_EQ_INT(buffer.capacity, 7);
  CHECK_EQ_INT(account.used, 7);
  CHECK_EQ_SLICE(uk_buffer_slice(&buffer), "content");
  uk_buffer_free(&buffer);
  CHECK_EQ_INT(taken(), 0);
}

/* The caller of uk_buffer_take has the memory, and the account does not pay for it. */
static void E3_a_buffer_that_is_taken_is_not_paid_for(void)
{
  struct uk_buffer buffer;
  size_t length;
  begin(8 * KIB);
  uk_buffer_init(&buffer, MIB);
  buffer.account = &account;
  uk_buffer_append_text(&buffer, "some");
  free(uk_buffer_take(&buffer, &length));
  CHECK_EQ_INT(length, 4);
  CHECK_EQ_INT(account.used, 0);
  CHECK(buffer.account == &account && buffer.data == NULL);
}

static void E3_what_is_not_allocated_is_not_paid_for(void)
{
  struct uk_buffer buffer;
  struct uk_arena arena;
  begin(MIB);
  uk_buffer_init(&buffer, MIB);
  uk_arena_init(&arena, MIB);
  buffer.account = arena.account = &account;
  fault_from(1);
  CHECK_EQ_INT(uk_buffer_append_byte(&buffer, 'x'), UK_E_NO_MEMORY);
  CHECK(uk_arena_allocate(&arena, 1, 1) == NULL);
  fault_off();
  CHECK_EQ_INT(account.used, 0);
  CHECK_EQ_INT(taken(), 0);
}

static void E3_an_arena_pays_for_its_blocks(void)
{
  struct uk_arena arena;
  begin(16 * KIB);
  uk_arena_init(&arena, MIB);
  arena.account = &account;
  for (int i = 0; i < 2; i++) {
    CHECK(uk_arena_allocate(&arena, 1, 100) != NULL);
    CHECK(uk_arena_allocate(&arena, 1, 8 * KIB) != NULL);
    CHECK_EQ_INT(account.used, arena.used);
    CHECK(uk_arena_allocate(&arena, 1, 8 * KIB) == NULL);
    CHECK_EQ_INT(account.used, arena.used);
    uk_arena_free(&arena);
    CHECK_EQ_INT(account.used, 0);
    CHECK(arena.account == &account && arena.limit == MIB);
  }
}

/* The limit of memory: /proc and /sys of another machine. */

static char root[] = "/tmp/budget-XXXXXX";

static void put(const char *path, const char *text)
{
  char whole[500];
  snprintf(whole, sizeof whole, "%s%s", root, path);
  for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = '\0';
    mkdir(whole, 0700);
    *slash = '/';
  }
  FILE *file = fopen(whole, "w");
  if (!CHECK(file != NULL))
    return;
  fputs(text, file);
  fclose(file);
}

static void clear(void)
{
  char command[100];
  snprintf(command, sizeof command, "rm -rf %s/proc %s/sys", root, root);
  CHECK_EQ_INT(system(command), 0);
}

static void E3_the_machine_has_a_limit(void)
{
  clear();
  const size_t machine = uk_memory_limit(root);
  CHECK(machine == (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE));
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "max\n");
  CHECK(uk_memory_limit(root) == machine);
  put("/sys/fs/cgroup/memory.max", "9223372036854771712\n");
  CHECK(uk_memory_limit(root) == machine);
  CHECK(uk_memory_limit("") <= machine);
  CHECK(uk_memory_limit("") > 0);
}

static void E3_a_control_group_has_a_limit(void)
{
  clear();
  put("/proc/self/cgroup", "0::/system/kafka.service\n");
  put("/sys/fs/cgroup/system/kafka.service/memory.max", "3000000\n");
  CHECK_EQ_INT(uk_memory_limit(root), 3000000);
  put("/sys/fs/cgroup/system/memory.max", "2000000\n");
  CHECK_EQ_INT(uk_memory_limit(root), 2000000);
  put("/sys/fs/cgroup/system/kafka.service/memory.max", "1000000\n");
  CHECK_EQ_INT(uk_memory_limit(root), 1000000);
}

/* In a container the path may be the host's, and the mounted root is the container's own. */
static void E3_a_container_has_a_limit(void)
{
  clear();
  put("/proc/self/cgroup", "0::/docker/abc\n");
  put("/sys/fs/cgroup/memory.max", "4000000\n");
  CHECK_EQ_INT(uk_memory_limit(root), 4000000);
}

static void E3_a_control_group_of_version_1_has_a_limit(void)
{
  clear();
  put("/proc/self/cgroup",
      "12:pids:/a\n11:memory:/docker/abc\n3:cpu,cpuacct:/b\n1:name=systemd:/c\n");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "5000000\n");
  CHECK_EQ_INT(uk_memory_limit(root), 5000000);
  put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "4500000\n");
  CHECK_EQ_INT(uk_memory_limit(root), 4500000);
  put("/proc/self/cgroup", "11:cpu,memory:/docker/abc\n");
  CHECK_EQ_INT(uk_memory_limit(root), 4500000);
  put("/proc/self/cgroup",
      "11:cpu,memoryx:/docker/abc\n10:xmemory:/docker/abc\n9:mem:/docker/abc\n");
  CHECK(uk_memory_limit(root) > 5000000);
}

static void E3_strange_files_do_not_count(void)
{
  static const char *const texts[] = {"", "\n", "nonsense", "0:", "0::", ":::", "x:memory"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    clear();
    put("/proc/self/cgroup", texts[i]);
    CHECK(uk_memory_limit(root) > 5000000);
  }
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "0\n");
  CHECK(uk_memory_limit(root) > 5000000);
  put("/sys/fs/cgroup/memory.max", "99999999999999999999999999\n");
  CHECK(uk_memory_limit(root) > 5000000);
}

int main(void)
{
  CHECK_RUN(E3_an_account_takes_whole_steps);
  CHECK_RUN(E3_an_account_gives_back_what_it_does_not_use);
  CHECK_RUN(E3_the_budget_holds_to_the_byte);
  CHECK_RUN(E3_large_accounts_leave_room_for_small_ones);
  CHECK_RUN(E3_knows_what_never_fits);
  CHECK_RUN(E3_without_a_limit_everything_fits);
  CHECK_RUN(E3_sizes_do_not_overflow);
  CHECK_RUN(E3_threads_share_the_budget);
  CHECK_RUN(E3_a_buffer_pays_before_it_grows);
  CHECK_RUN(E3_a_buffer_takes_no_more_than_it_needs_where_the_budget_is_short);
  CHECK_RUN(E3_a_buffer_gives_back_what_its_content_does_not_need);
  CHECK_RUN(E3_a_buffer_that_is_taken_is_not_paid_for);
  CHECK_RUN(E3_what_is_not_allocated_is_not_paid_for);
  CHECK_RUN(E3_an_arena_pays_for_its_blocks);
  if (mkdtemp(root) == NULL)
    return 1;
  CHECK_RUN(E3_the_machine_has_a_limit);
  CHECK_RUN(E3_a_control_group_has_a_limit);
  CHECK_RUN(E3_a_container_has_a_limit);
  CHECK_RUN(E3_a_control_group_of_version_1_has_a_limit);
  CHECK_RUN(E3_strange_files_do_not_count);
  clear();
  rmdir(root);
  return check_end();
}
