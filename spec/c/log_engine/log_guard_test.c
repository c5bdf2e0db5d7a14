/* for: log_guard.c, log_store_read.c
 *
 * Damage that LMDB meets while a log is open. Each case runs in a child: a dead log stays. */
#include "server/log_engine/log_guard.h"

#include <fcntl.h>
#include <pthread.h>
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

static void segv_after_a_guard(void)
{
  struct uk_log_guard guard = {.writes = false};
  signal(SIGSEGV, chained);
  uk_log_guard_install();
  if (UK_LOG_GUARD(&guard)) {
    uk_log_guard_leave(&guard);
    (void)*nowhere;
  }
}

static void *read_nowhere(void *argument)
{
  (void)*nowhere;
  return argument;
}

static void segv_in_another_thread(void)
{
  struct uk_log_guard guard = {.writes = false};
  pthread_t thread;
  signal(SIGSEGV, chained);
  uk_log_guard_install();
  if (UK_LOG_GUARD(&guard)) {
    pthread_create(&thread, NULL, read_nowhere, NULL);
    pthread_join(thread, NULL);
    uk_log_guard_leave(&guard);
  }
}

static volatile char *volatile cut;

static void chained_with_info(int number, siginfo_t *info, void *context)
{
  bool right = number == SIGBUS && info->si_code > 0 && context != NULL &&
               (volatile char *)info->si_addr == cut;
  _exit(right ? CHAINED : FAILED);
}

static void bus_with_a_handler(void)
{
  struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = chained_with_info};
  cut = cut_page();
  sigaction(SIGBUS, &action, NULL);
  uk_log_guard_install();
  uk_log_guard_install(); /* once for all */
  (void)*cut;
}

static sigjmp_buf back;

static void jump_back(int number)
{
  siglongjmp(back, number);
}

/* A handler that was there before may jump as often as it likes. */
static void segv_with_a_handler_that_jumps(void)
{
  struct sigaction action = {.sa_flags = SA_NODEFER, .sa_handler = jump_back};
  volatile int jumps = 0;
  sigaction(SIGSEGV, &action, NULL);
  uk_log_guard_install();
  if (sigsetjmp(back, 0) != 0)
    jumps++;
  if (jumps < 3)
    (void)*nowhere;
  CHECK_EQ_INT(jumps, 3);
}

static int deeper(int levels)
{
  volatile char bytes[PAGE];
  bytes[0] = (char)levels;
  return levels == 0 ? 0 : deeper(levels - 1) + bytes[0];
}

/* There is no room for a handler on the stack that has overflowed. */
static void segv_of_a_full_stack(void)
{
  static char room[64 << 10];
  const stack_t other = {.ss_sp = room, .ss_size = sizeof room};
  struct sigaction action = {.sa_flags = SA_ONSTACK, .sa_handler = chained};
  sigaltstack(&other, NULL);
  sigaction(SIGSEGV, &action, NULL);
  uk_log_guard_install();
  (void)deeper(1 << 20);
}

/* A crash reporter that was installed after the guard calls it, with every signal blocked. */

static struct sigaction behind;
static volatile int reports;

static void report(int number, siginfo_t *info, void *context)
{
  reports++;
  behind.sa_sigaction(number, info, context);
}

static void install_reporter(int number)
{
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK, .sa_sigaction = report};
  sigfillset(&action.sa_mask);
  CHECK_EQ_INT(sigaction(number, &action, &behind), 0);
}

static void faults_come_back_through_a_later_handler(void)
{
  struct uk_log_guard guard = {.writes = false};
  volatile int came_back = 0;
  sigset_t mask;
  uk_log_guard_install();
  install_reporter(SIGSEGV);
  for (volatile int i = 0; i < 3; i++) {
    if (UK_LOG_GUARD(&guard)) {
      (void)*nowhere;
      uk_log_guard_leave(&guard);
    } else {
      came_back++;
    }
  }
  CHECK_EQ_INT(came_back, 3);
  CHECK_EQ_INT(reports, 3);
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  CHECK(!sigismember(&mask, SIGSEGV) && !sigismember(&mask, SIGTERM));
}

static void segv_outside_with_handlers_around(void)
{
  signal(SIGSEGV, chained);
  uk_log_guard_install();
  install_reporter(SIGSEGV);
  (void)*nowhere;
}

static void segv_while_ignored(void)
{
  signal(SIGSEGV, SIG_IGN);
  uk_log_guard_install();
  (void)*nowhere;
}

static void sent_while_ignored(void)
{
  signal(SIGSEGV, SIG_IGN);
  uk_log_guard_install();
  kill(getpid(), SIGSEGV);
  kill(getpid(), SIGSEGV);
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

static void assertion_in_a_write(void)
{
  struct uk_log_guard guard = {.writes = true};
  uk_log_guard_install();
  if (UK_LOG_GUARD(&guard))
    uk_log_guard_assert("rc == 0");
}

/* LMDB's texts are short, but nothing says so. */
static char endless[1000];

static void a_long_assertion_is_cut(void)
{
  struct uk_log_guard guard = {.writes = false};
  memset(endless, 'x', sizeof endless - 1);
  if (UK_LOG_GUARD(&guard)) {
    uk_log_guard_assert(endless);
    uk_log_guard_leave(&guard);
  }
  CHECK_EQ_INT(strlen(guard.text), sizeof guard.text - 1);
  guard.writes = true;
  if (UK_LOG_GUARD(&guard))
    uk_log_guard_assert(endless);
}

static void A6_handlers_before_and_after_the_guard(void)
{
  static void (*const chain[])(void) = {segv_outside,           segv_after_a_guard,
                                        segv_in_another_thread, bus_with_a_handler,
                                        segv_of_a_full_stack,   segv_outside_with_handlers_around};
  char errors[1000];
  for (size_t i = 0; i < sizeof chain / sizeof *chain; i++) {
    if (!CHECK_EQ_INT(in_child(chain[i], errors, sizeof errors), CHAINED))
      fprintf(stderr, "  case %zu: %s\n", i, errors);
  }
  check_survives(faults_come_back_through_a_later_handler, "");
  check_survives(segv_with_a_handler_that_jumps, "");
  check_survives(sent_while_ignored, "");
  CHECK_EQ_INT(in_child(segv_while_ignored, errors, sizeof errors), -SIGSEGV);
}

static void A6_the_guard(void)
{
  char errors[1000];
  check_survives(faults_come_back_to_their_guard, "");
  CHECK_EQ_INT(in_child(bus_outside, errors, sizeof errors), -SIGBUS);
  CHECK_EQ_INT(in_child(sent, errors, sizeof errors), -SIGSEGV);
  CHECK_EQ_INT(in_child(segv_in_a_write, errors, sizeof errors), 1);
  CHECK_EQ_STR(errors, "upstash-kafka: data.mdb is damaged, which was found inside a write: a page "
                       "points to memory that does not exist (SIGSEGV); the process ends; run "
                       "upstash-kafka check\n");
  CHECK_EQ_INT(in_child(assertion_in_a_write, errors, sizeof errors), 1);
  CHECK_EQ_STR(errors, "upstash-kafka: data.mdb is damaged, which was found inside a write: rc == "
                       "0; the process ends; run upstash-kafka check\n");
  CHECK_EQ_INT(in_child(a_long_assertion_is_cut, errors, sizeof errors), 1);
  CHECK_EQ_INT(strlen(errors), 399); /* nothing but the line, and that within its bound */
  CHECK(strncmp(errors, "upstash-kafka: data.mdb is damaged, ", 36) == 0);
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

/* LMDB marks the end of a view in lock.mdb. */
static void cut_lock_and_end_a_view(void)
{
  struct uk_log_store *store;
  enum uk_log_status status;
  REQUIRE(uk_log_store_open(&store, rig_directory(), RIG_MAP_BYTES, true, message,
                            sizeof message) == UK_OK);
  struct uk_log_view *view = uk_log_view_begin(store, &status);
  REQUIRE(view != NULL && uk_log_store_fault(store) == NULL);
  CHECK_EQ_INT(truncate(raw_path("lock.mdb"), 0), 0);
  uk_log_view_end(view);
  const char *fault = uk_log_store_fault(store);
  CHECK(fault != NULL && strstr(fault, "SIGBUS") != NULL);
  CHECK(uk_log_view_begin(store, &status) == NULL);
  CHECK_EQ_INT(status, UK_LOG_FAILED);
  uk_log_store_close(store);
}

static void A5_a_fault_at_the_end_of_a_view(void)
{
  check_survives(cut_lock_and_end_a_view, "");
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

/* LMDB itself says what is wrong with a page: the log is dead, as after a fault. */
static void read_changed_pages(void (*change)(uint8_t *page), const char *text)
{
  char detail[400], want[400];
  uint8_t page[PAGE];
  struct uk_log *log = open_with_records();
  int file = open(raw_path("data.mdb"), O_RDWR);
  for (off_t at = 2 * PAGE; pread(file, page, PAGE, at) == PAGE; at += PAGE) {
    change(page);
    CHECK_EQ_INT(pwrite(file, page, PAGE, at), PAGE);
  }
  close(file);
  snprintf(want, sizeof want,
           "the log failed: data.mdb is damaged: %s; stop the server and run upstash-kafka check",
           text);
  CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), UK_OK);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(got.operation.message, want);
  CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(detail, want);
  check_dead(log);
}

static void clear_page(uint8_t *page)
{
  memset(page, 0, PAGE);
}

static void read_page_of_zeros(void)
{
  read_changed_pages(clear_page, "MDB_CORRUPTED: Located page was wrong type");
}

/* Every child of a branch lies far behind the last page. */
static void misdirect_branch(uint8_t *page)
{
  uint16_t words[PAGE / 2];
  memcpy(words, page, PAGE);
  for (size_t i = 8; words[5] == 1 && i < words[6] / 2U; i++)
    page[words[i] + 5U] = 0x7f;
}

static void read_misdirected_branches(void)
{
  read_changed_pages(misdirect_branch, "MDB_PAGE_NOTFOUND: Requested page not found");
}

static void A6_damage_that_LMDB_names(void)
{
  static const char logged[] = "upstash-kafka: the log failed: data.mdb is damaged: MDB_";
  check_survives(read_page_of_zeros, logged);
  rig_remove();
  check_survives(read_misdirected_branches, logged);
  rig_remove();
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

static const char *reason_to_skip(void)
{
  const char *reason = "faults on purpose are errors for sanitizers and valgrind";
  return SANITIZED ? reason : check_unless_valgrind(reason);
}

int main(void)
{
  const char *reason = reason_to_skip();
  rig_directory();
  CHECK_RUN_UNLESS(reason, A6_the_guard);
  CHECK_RUN_UNLESS(reason, A6_handlers_before_and_after_the_guard);
  CHECK_RUN_UNLESS(reason, A5_a_file_that_is_cut_while_it_is_open);
  CHECK_RUN_UNLESS(reason, A5_a_fault_at_the_end_of_a_view);
  CHECK_RUN_UNLESS(
    check_unless_valgrind("a dead log keeps what LMDB has: valgrind calls it a leak"),
    A6_damage_that_LMDB_names);
  CHECK_RUN_UNLESS(reason, A6_pages_of_zeros_or_noise_while_it_is_open);
  rig_remove();
  return check_end();
}
