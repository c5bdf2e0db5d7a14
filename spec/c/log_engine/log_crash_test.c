/* A log whose process is killed: everything acknowledged is there, and the offsets have no gaps.
 * For: log_writer.c, log_store_write.c. */
#include "server/log_engine/log.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "log_rig.h"

/* The pipe holds everything that a child can acknowledge in LONGEST milliseconds; a full one would
 * block it. */
enum { ROUNDS = 20, PRODUCERS = 3, LONGEST = 120 };

/* The child writes it into the pipe once it is acknowledged. */
struct acknowledged {
  int32_t partition;
  int32_t producer;
  int64_t offset;
  int64_t serial; /* number of the producer; the value contains it, too */
};

struct producer {
  struct uk_log *log;
  int32_t number;
  int pipe;
};

static void *produce_for_ever(void *argument)
{
  const struct producer *producer = argument;
  char value[2000];
  memset(value, '.', sizeof value);
  for (int64_t serial = 0;; serial++) {
    snprintf(value, sizeof value, "%d %lld", (int)producer->number, (long long)serial);
    struct uk_record record = rig_record("t", (int32_t)(serial % 2), value);
    record.value.length = serial % 7 == 0 ? sizeof value : strlen(value) + 1;
    if (rig_produce(producer->log, &record, 1, NULL) != UK_OK)
      _exit(1);
    struct acknowledged said = {record.partition, producer->number, record.offset, serial};
    if (write(producer->pipe, &said, sizeof said) != sizeof said)
      _exit(1);
  }
  return NULL;
}

/* Runs the child until a signal ends it. */
static void produce_until_killed(int pipe)
{
  struct uk_log_options options = rig_options();
  static struct producer producers[PRODUCERS];
  pthread_t threads[PRODUCERS];
  struct uk_log *log = rig_open(&options);
  if (log == NULL)
    _exit(1);
  for (int i = 0; i < PRODUCERS; i++) {
    producers[i] = (struct producer){log, i, pipe};
    if (pthread_create(&threads[i], NULL, produce_for_ever, &producers[i]) != 0)
      _exit(1);
  }
  for (;;)
    pause();
}

static bool said_is_there(struct uk_log *log, const struct acknowledged *said)
{
  static struct rig_read read;
  char want[40];
  snprintf(want, sizeof want, "%d %lld", (int)said->producer, (long long)said->serial);
  read.limit = 1;
  return CHECK_EQ_INT(rig_read(log, &read, "t", said->partition, said->offset), UK_OK) &&
         CHECK_EQ_INT(read.first_offset, said->offset) && CHECK_EQ_STR(read.text, want);
}

static void check_offsets(struct uk_log *log, int32_t partition, int64_t *end_before)
{
  static struct rig_read got;
  int64_t first, end;
  if (!uk_log_bounds(log, uk_slice_text("t"), partition, &first, &end))
    return;
  CHECK_EQ_INT(rig_read(log, &got, "t", partition, 0), UK_OK);
  CHECK(got.dense);
  CHECK_EQ_INT(got.count, end);
  CHECK(end >= *end_before);
  *end_before = end;
}

/* Returns how many records were acknowledged. */
static int check_after(int pipe, int64_t *ends)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  struct acknowledged said;
  int count = 0;
  if (!CHECK(log != NULL))
    return 0;
  while (read(pipe, &said, sizeof said) == (ssize_t)sizeof said && said_is_there(log, &said))
    count++;
  check_offsets(log, 0, &ends[0]);
  check_offsets(log, 1, &ends[1]);
  uk_log_close(log);
  return count;
}

static void wait_for_the_first(int pipe)
{
  struct pollfd readable = {.fd = pipe, .events = POLLIN};
  CHECK_EQ_INT(poll(&readable, 1, 30000), 1);
}

/* Killed while it opens the log, and while it works. */
static void killed_at_any_moment(void)
{
  unsigned seed = (unsigned)getpid();
  int64_t ends[2] = {0, 0};
  int acknowledged = 0;
  rig_directory();
  for (int round = 0; round < ROUNDS; round++) {
    int ends_of_pipe[2];
    REQUIRE(pipe(ends_of_pipe) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      close(ends_of_pipe[0]);
      produce_until_killed(ends_of_pipe[1]);
    }
    close(ends_of_pipe[1]);
    if (round % 3 > 0)
      wait_for_the_first(ends_of_pipe[0]);
    rig_sleep(rand_r(&seed) % LONGEST);
    kill(child, SIGKILL);
    int status;
    CHECK_EQ_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    acknowledged += check_after(ends_of_pipe[0], ends);
    close(ends_of_pipe[0]);
  }
  CHECK(acknowledged > 0);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(killed_at_any_moment);
  return check_end();
}
