/* for: idempotency_key.c. */
#undef _FORTIFY_SOURCE
#include "client/idempotency_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* Replaces that of libc. The next calls return one of these before they succeed. */
static int interruptions, failures, short_reads;

ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
  CHECK_EQ_INT(flags, 0);
  if (interruptions > 0) {
    interruptions--;
    errno = EINTR;
    return -1;
  }
  if (failures > 0) {
    failures--;
    errno = ENOSYS;
    return -1;
  }
  if (short_reads > 0) {
    short_reads--;
    return syscall(SYS_getrandom, bytes, size - 1, flags);
  }
  return syscall(SYS_getrandom, bytes, size, flags);
}

/* The number behind the seed; -1 if the key has another form. */
static long number_of(const char *key)
{
  if (strspn(key, "0123456789abcdef") != 2 * UK_KEY_SEED_BYTES || key[2 * UK_KEY_SEED_BYTES] != '-')
    return -1;
  return atol(key + 2 * UK_KEY_SEED_BYTES + 1);
}

static bool same_seed(const char *a, const char *b)
{
  return memcmp(a, b, 2 * UK_KEY_SEED_BYTES) == 0;
}

static void keys_of_a_source_count_up(void)
{
  struct uk_key_source source = {.process = 0};
  char first[UK_KEY_SIZE], key[UK_KEY_SIZE];
  CHECK(uk_key_next(&source, first));
  CHECK_EQ_INT(number_of(first), 0);
  for (long i = 1; i < 12; i++) {
    CHECK(uk_key_next(&source, key));
    CHECK_EQ_INT(number_of(key), i);
    CHECK(same_seed(first, key));
  }
}

static void the_seed_is_that_of_the_system(void)
{
  struct uk_key_source source = {.process = 0};
  char key[UK_KEY_SIZE], byte[3];
  CHECK(uk_key_next(&source, key));
  for (int i = 0; i < UK_KEY_SEED_BYTES; i++) {
    snprintf(byte, sizeof byte, "%02x", source.seed[i]);
    CHECK(memcmp(byte, key + 2 * i, 2) == 0);
  }
}

static void sources_differ(void)
{
  struct uk_key_source one = {.process = 0}, other = {.process = 0};
  char a[UK_KEY_SIZE], b[UK_KEY_SIZE];
  CHECK(uk_key_next(&one, a) && uk_key_next(&other, b));
  CHECK(!same_seed(a, b));
}

static void the_longest_key_fits(void)
{
  struct uk_key_source source = {.process = 0};
  char key[UK_KEY_SIZE];
  CHECK(uk_key_next(&source, key));
  source.count = UINT64_MAX;
  CHECK(uk_key_next(&source, key));
  CHECK_EQ_STR(key + 2 * UK_KEY_SEED_BYTES, "-18446744073709551615");
}

static void an_interruption_is_no_failure(void)
{
  struct uk_key_source source = {.process = 0};
  char key[UK_KEY_SIZE];
  interruptions = 2;
  CHECK(uk_key_next(&source, key));
  CHECK_EQ_INT(interruptions, 0);
  CHECK_EQ_INT(number_of(key), 0);
}

static void without_random_bytes_there_is_no_key(void)
{
  struct uk_key_source source = {.process = 0};
  char key[UK_KEY_SIZE] = "x";
  failures = 1;
  CHECK(!uk_key_next(&source, key));
  CHECK_EQ_STR(key, "");
  short_reads = 1;
  CHECK(!uk_key_next(&source, key));
  CHECK(uk_key_next(&source, key)); /* the system has some again */
  CHECK_EQ_INT(number_of(key), 0);
}

/* The exit status of the child: 0 if its next key has another seed than `before`, and counts from
 * 0 on. */
static int child_of(struct uk_key_source *source, const char *before)
{
  char key[UK_KEY_SIZE];
  int status = -1;
  const pid_t process = fork();
  if (process == 0)
    _exit(uk_key_next(source, key) && !same_seed(key, before) && number_of(key) == 0 ? 0 : 1);
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void a_child_has_keys_of_its_own(void)
{
  struct uk_key_source source = {.process = 0};
  char before[UK_KEY_SIZE], after[UK_KEY_SIZE];
  CHECK(uk_key_next(&source, before));
  CHECK_EQ_INT(child_of(&source, before), 0);
  CHECK(uk_key_next(&source, after));
  CHECK(same_seed(before, after) && number_of(after) == 1); /* the parent keeps its own */
}

/* A grandchild may get the number of a process that has ended. */
static void a_child_with_the_same_number_has_keys_of_its_own(void)
{
  struct uk_key_source source = {.process = 0};
  char before[UK_KEY_SIZE], key[UK_KEY_SIZE];
  int status = -1;
  CHECK(uk_key_next(&source, before));
  const pid_t process = fork();
  if (process == 0) {
    source.process = getpid();
    _exit(uk_key_next(&source, key) && !same_seed(key, before) ? 0 : 1);
  }
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 0);
}

/* A clone that runs no fork handlers has another number. */
static void a_process_with_another_number_has_keys_of_its_own(void)
{
  struct uk_key_source source = {.process = 0};
  char before[UK_KEY_SIZE], key[UK_KEY_SIZE];
  CHECK(uk_key_next(&source, before));
  source.process++;
  CHECK(uk_key_next(&source, key));
  CHECK(!same_seed(key, before));
}

int main(void)
{
  CHECK_RUN(keys_of_a_source_count_up);
  CHECK_RUN(the_seed_is_that_of_the_system);
  CHECK_RUN(sources_differ);
  CHECK_RUN(the_longest_key_fits);
  CHECK_RUN(an_interruption_is_no_failure);
  CHECK_RUN(without_random_bytes_there_is_no_key);
  CHECK_RUN(a_child_has_keys_of_its_own);
  CHECK_RUN(a_child_with_the_same_number_has_keys_of_its_own);
  CHECK_RUN(a_process_with_another_number_has_keys_of_its_own);
  return check_end();
}
