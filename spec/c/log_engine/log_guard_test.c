/* for: log_guard.c
 *
 * Damage that LMDB meets while a log is open. Each case runs in a child: a dead log stays. */
#include "server/log_engine/log_guard.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "log_raw.h"
#include "log_rig.h"

#if defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { PAGE = 4096, RECORDS = 400, SURVIVED = 0, FAILED = 1, CHAINED = 42 };

static char message[UK_MESSAGE_SIZE];
static volatile char *volatile nowhere = (volatile char *)(uintptr_t)16;
static struct rig_read got;

/* Runs it in a child, with standard error in `errors`. Returns its exit status, or minus the signal
 * that ended it. */
static int in_child(void (*run)(void), char *errors, size_t size)
{
  int pipes[2], status = 0;
  CHECK_EQ_INT(pipe(pipes), 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[0]);
    close(pipes[1]);
    run();
    _exit(atomic_load(&check_state.failures) == 0 ? SURVIVED : FAILED);
  }
  close(pipes[1]);
  size_t length = 0;
  for (ssize_t count;
       length < size - 1 && (count = read(pipes[0], errors + length, size - 1 - length)) > 0;)
    length += (size_t)count;
  errors[length] = '\0';
  close(pipes[0]);
  CHECK_EQ_INT(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void check_survives(void (*run)(void), const char *logged)
{
  static char errors[8000];
  if (!CHECK_EQ_INT(in_child(run, errors, sizeof errors), SURVIVED) ||
      !CHECK(strstr(errors, logged) != NULL))
    fprintf(stderr, "%s\n", errors);
}

/* The guard. */

/* A page of a file that was cut. */
static volatile char *cut_page(void)
{
  char *page = MAP_FAILED;
  int file = open(raw_path("cut"), O_RDWR | O_CREAT, 0600);
  if (CHECK(file >= 0 && ftruncate(file, PAGE) == 0))
    page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
  CHECK(page != MAP_FAILED && ftruncate(file, 0) == 0);
  close(file);
  unlink(raw_path("cut"));
  return page;
}

static void faults_come_back_to_their_guard(void)
{
  volatile char *page = cut_page();
  volatile int came_back = 0;
  uk_log_guard_install();
  struct uk_log_guard outer = {.writes = true}, inner = {.writes = false};
  if (UK_LOG_GUARD(&outer)) {
    if (UK_LOG_GUARD(&inner)) {
      (void)*page;
      uk_log_guard_leave(&inner);
    } else {
      came_back++;
      CHECK(strstr(inner.text, "SIGBUS") != NULL);
    }
    (void)*page; /* a write survives a page that cannot be read */
    uk_log_guard_leave(&outer);
  } else {
    came_back++;
  }
  CHECK_EQ_INT(came_back, 2);
  if (UK_LOG_GUARD(&inner)) {
    (void)*nowhere;
    uk_log_guard_leave(&inner);
  } else {
    came_back++;
    CHECK(strstr(inner.text, "SIGSEGV") != NULL);
  }
  if (UK_LOG_GUARD(&inner)) {
    uk_log_guard_assert("page is not a page");
    uk_log_guard_leave(&inner);
  } else {
    came_back++;
    CHECK_EQ_STR(inner.text, "page is not a page");
  }
  CHECK_EQ_INT(came_back, 4);
  uk_log_guard_assert("nobody's");
}

static void chained(int number)
{
  _exit(number == SIGSEGV ? CHAINED : FAILED);
}

static void segv_outside(void)
{
  signal(SIGSEGV, chained);
  uk_log_guard_install();
  (void)*nowhere;
}

static void bus_outside(void)
{
  volatile char *page = cut_page();
  signal(SIGBUS, SIG_DFL);
  uk_log_guard_install();
  (void)*page;
}

static void sent(void)
{
  struct uk_log_guard guard = {.writes = false};
  signal(SIGSEGV, SIG_DFL);
  uk_log_guard_install();
  if (UK_LOG_GUARD(&guard))
    kill(getpid(), SIGSEGV);
}

static void segv_in_a_write(void)
{
  struct uk_log_guard guard = {.writes = true};
  uk_log_guard_install();
  if (UK_LOG_GUARD(&guard))
    (void)*nowhere;
}

static void A6_the_guard(void)
{
  char errors[1000];
  check_survives(faults_come_back_to_their_guard, "");
  CHECK_EQ_INT(in_child(segv_outside, errors, sizeof errors), CHAINED);
  CHECK_EQ_INT(in_child(bus_outside, errors, sizeof errors), -SIGBUS);
  CHECK_EQ_INT(in_child(sent, errors, sizeof errors), -SIGSEGV);
  CHECK_EQ_INT(in_child(segv_in_a_write, errors, sizeof errors), 1);
  CHECK_EQ_STR(errors, "upstash-kafka: data.mdb is damaged, which was found inside a write: a page "
                       "points to memory that does not exist (SIGSEGV); the process ends; run "
                       "upstash-kafka check\n");
}

/* A log. */

static struct uk_log *open_with_records(void)
{
  static char value[1500];
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  memset(value, 'x', sizeof value - 1);
  for (int i = 0; i < RECORDS; i++)
    CHECK_EQ_INT(rig_put(log, "t", 0, value, -1), i);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 5), UK_OK);
  return log;
}

/* The dead log answers everything with 503, and says why. */
static void check_dead(struct uk_log *log)
{
  int64_t offset;
  char health[400] = "";
  struct uk_record record = rig_record("t", 0, "late");
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_E_UNAVAILABLE);
  CHECK(strstr(got.operation.message, "data.mdb is damaged: ") != NULL);
  CHECK_EQ_INT(uk_log_health(log, health, sizeof health), UK_E_UNAVAILABLE);
  CHECK(strstr(health, "run upstash-kafka check") != NULL);
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(rig_create(log, "u", 1, -1, -1), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset),
               UK_E_UNAVAILABLE);
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("t"), 0, 1, &offset), UK_E_UNAVAILABLE);
  uk_log_close(log);
}

static void cut_and_read(void)
{
  struct uk_log *log = open_with_records();
  CHECK_EQ_INT(truncate(raw_path("data.mdb"), 2 * PAGE), 0);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_E_UNAVAILABLE);
  check_dead(log);
}

static void cut_and_write(void)
{
  struct uk_log *log = open_with_records();
  struct uk_record record = rig_record("t", 0, "late");
  CHECK_EQ_INT(truncate(raw_path("data.mdb"), 2 * PAGE), 0);
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "SIGBUS") != NULL);
  check_dead(log);
}

static void A5_a_file_that_is_cut_while_it_is_open(void)
{
  check_survives(cut_and_read, "upstash-kafka: the log failed: data.mdb is damaged: ");
  rig_remove();
  check_survives(cut_and_write, "upstash-kafka: the log failed: data.mdb is damaged: ");
  rig_remove();
}

/* Fills all pages behind the meta pages, then reads everything: no record is wrong, nothing
 * ends. */
static void fill_and_read(int byte)
{
  static char bytes[PAGE];
  struct stat status;
  struct uk_log *log = open_with_records();
  int64_t offset;
  memset(bytes, byte, sizeof bytes);
  int file = open(raw_path("data.mdb"), O_RDWR);
  CHECK(fstat(file, &status) == 0);
  for (off_t at = 2 * PAGE; at < status.st_size; at += PAGE)
    CHECK_EQ_INT(pwrite(file, bytes, PAGE, at), PAGE);
  close(file);
  for (int i = 0; i < RECORDS; i += 50)
    CHECK(rig_read(log, &got, "t", 0, i) != UK_OK);
  CHECK(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset) != UK_OK);
  CHECK(uk_log_offset_for_time(log, uk_slice_text("t"), 0, 1, &offset) != UK_OK);
}

static void read_zeros(void)
{
  fill_and_read(0);
}

static void read_noise(void)
{
  fill_and_read(0xa5);
}

static void A6_pages_of_zeros_or_noise_while_it_is_open(void)
{
  check_survives(read_zeros, "");
  rig_remove();
  check_survives(read_noise, "");
  rig_remove();
}

/* Valgrind loads a library of its own. It and the sanitizers count these faults as errors. */
static const char *reason_to_skip(void)
{
  const char *preload = getenv("LD_PRELOAD");
  bool watched = SANITIZED || (preload != NULL && strstr(preload, "vgpreload") != NULL);
  return watched ? "faults on purpose are errors for sanitizers and valgrind" : NULL;
}

int main(void)
{
  const char *reason = reason_to_skip();
  rig_directory();
  CHECK_RUN_UNLESS(reason, A6_the_guard);
  CHECK_RUN_UNLESS(reason, A5_a_file_that_is_cut_while_it_is_open);
  CHECK_RUN_UNLESS(reason, A6_pages_of_zeros_or_noise_while_it_is_open);
  rig_remove();
  return check_end();
}
