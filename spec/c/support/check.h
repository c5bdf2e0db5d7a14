/* check: named cases, checks that continue after a failure, and a count at the end.
 *
 *   static void adds(void) { CHECK_EQ_INT(1 + 1, 2); }
 *   int main(void) { CHECK_RUN(adds); return check_end(); }
 *
 * A check that fails prints file:line and what it got; the case then counts as failed, once. One
 * that fails outside of all cases counts as a failed case.
 * A case that cannot run here says why and counts as skipped, never as passed:
 *
 *   CHECK_SKIP("needs a newer librdkafka");                in the case; leaves it
 *   CHECK_RUN_UNLESS(reason, function);                    in main; runs it when reason is NULL
 *
 * Checks may run in several threads; cases run one after another. */
#ifndef CHECK_H
#define CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct check_state {
  const char *name;            /* of the case that runs */
  const char *reason;          /* why it is skipped, or NULL */
  atomic_int failures;         /* checks that failed in it, or since the last one */
  int passed, failed, skipped; /* cases */
};

/* Weak, so that all files of a test program share one. */
extern struct check_state check_state;
__attribute__((weak)) struct check_state check_state;

static inline bool check_report(bool ok, const char *file, int line, const char *what)
{
  if (!ok) {
    atomic_fetch_add(&check_state.failures, 1);
    fprintf(stderr, "%s:%d: %s: not so: %s\n", file, line, check_state.name, what);
  }
  return ok;
}

static inline bool check_int(long long got, long long want, const char *file, int line,
                             const char *what)
{
  if (got != want) {
    check_report(false, file, line, what);
    fprintf(stderr, "  got %lld, want %lld\n", got, want);
  }
  return got == want;
}

static inline void check_print_bytes(const char *label, const char *data, size_t length)
{
  fprintf(stderr, "  %s (%zu) \"", label, length);
  for (size_t i = 0; i < length && i < 200; i++) {
    unsigned char c = (unsigned char)data[i];
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
      fprintf(stderr, "\\x%02x", c);
    else
      fputc(c, stderr);
  }
  fputs(length > 200 ? "\"...\n" : "\"\n", stderr);
}

static inline bool check_bytes(const char *got, size_t got_length, const char *want,
                               size_t want_length, const char *file, int line, const char *what)
{
  bool same =
    got_length == want_length && (want_length == 0 || memcmp(got, want, want_length) == 0);
  if (!same) {
    check_report(false, file, line, what);
    check_print_bytes("got ", got, got_length);
    check_print_bytes("want", want, want_length);
  }
  return same;
}

static inline bool check_str(const char *got, const char *want, const char *file, int line,
                             const char *what)
{
  if (got == NULL || want == NULL)
    return check_report(got == want, file, line, what);
  return check_bytes(got, strlen(got), want, strlen(want), file, line, what);
}

/* Counts the checks that failed between two cases. */
static inline void check_count_outside(void)
{
  if (atomic_exchange(&check_state.failures, 0) == 0)
    return;
  check_state.failed++;
  fprintf(stderr, "FAILED: outside of a case\n");
}

static inline void check_count(void)
{
  if (atomic_load(&check_state.failures) != 0) {
    check_state.failed++;
    fprintf(stderr, "FAILED: %s\n", check_state.name);
  } else if (check_state.reason != NULL) {
    check_state.skipped++;
    fprintf(stderr, "SKIPPED: %s: %s\n", check_state.name, check_state.reason);
  } else {
    check_state.passed++;
  }
  atomic_store(&check_state.failures, 0);
  check_state.name = "outside of a case";
}

/* Skips the case when there is a reason to: a string that outlives the call. NULL runs it. */
static inline void check_run_unless(const char *reason, const char *name, void (*run)(void))
{
  check_count_outside();
  check_state.name = name;
  check_state.reason = reason;
  if (reason == NULL)
    run();
  check_count();
}

static inline void check_run(const char *name, void (*run)(void))
{
  check_run_unless(NULL, name, run);
}

/* CPU milliseconds that the process has used so far: what something costs, however busy the machine
 * is. */
static inline long long check_work(void)
{
  return clock() / (CLOCKS_PER_SEC / 1000);
}

/* The most milliseconds that CHECK_EVENTUALLY waits: a bound for hangs, not for slowness. */
enum { CHECK_PATIENCE = 60000, CHECK_PAUSE = 2 };

static inline bool check_pause(int *waited)
{
  struct timespec pause = {0, CHECK_PAUSE * 1000000L};
  nanosleep(&pause, NULL);
  *waited += CHECK_PAUSE;
  return *waited < CHECK_PATIENCE;
}

/* The exit status for main: 0 when no case failed and there was one at all. */
static inline int check_end(void)
{
  check_count_outside();
  if (check_state.skipped > 0)
    printf("%d skipped\n", check_state.skipped);
  printf("%d passed, %d failed\n", check_state.passed, check_state.failed);
  return check_state.failed == 0 && check_state.passed + check_state.skipped > 0 ? 0 : 1;
}

/* All of them are expressions that say whether the check held. */
#define CHECK(condition) check_report((condition), __FILE__, __LINE__, #condition)
#define CHECK_EQ_INT(got, want)                                                                    \
  check_int((long long)(got), (long long)(want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_EQ_STR(got, want) check_str((got), (want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_EQ_MEM(got, got_length, want, want_length)                                           \
  check_bytes((got), (got_length), (want), (want_length), __FILE__, __LINE__, #got " == " #want)

/* Against a slice or anything else with `data` and `length`. Evaluates `slice` twice. */
#define CHECK_EQ_SLICE(slice, text) CHECK_EQ_MEM((slice).data, (slice).length, (text), strlen(text))

/* Waits until the condition holds. A test that waits names the state that it waits for, never a
 * time. */
#define CHECK_EVENTUALLY(condition)                                                                \
  do {                                                                                             \
    bool check_held;                                                                               \
    for (int check_waited = 0; !(check_held = (condition)) && check_pause(&check_waited);)         \
      continue;                                                                                    \
    check_report(check_held, __FILE__, __LINE__, "eventually " #condition);                        \
  } while (0)

/* Leaves the function when the check fails. */
#define REQUIRE(condition)                                                                         \
  do {                                                                                             \
    if (!CHECK(condition))                                                                         \
      return;                                                                                      \
  } while (0)

/* Leaves the case, which counts as skipped, or as failed when a check of it failed. Only in the
 * thread of the case. */
#define CHECK_SKIP(why)                                                                            \
  do {                                                                                             \
    check_state.reason = (why);                                                                    \
    return;                                                                                        \
  } while (0)

/* Why a case cannot run under valgrind; NULL without it. Valgrind loads a library of its own. */
static inline const char *check_unless_valgrind(const char *reason)
{
  const char *preload = getenv("LD_PRELOAD");
  return preload != NULL && strstr(preload, "vgpreload") != NULL ? reason : NULL;
}

/* 1 under ThreadSanitizer, which adds a thread of its own to the first other one; else 0. */
#if defined(__has_feature)
#define CHECK_TSAN __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define CHECK_TSAN 1
#else
#define CHECK_TSAN 0
#endif

#define CHECK_RUN(function) check_run(#function, function)
#define CHECK_RUN_UNLESS(reason, function) check_run_unless((reason), #function, function)

#endif
