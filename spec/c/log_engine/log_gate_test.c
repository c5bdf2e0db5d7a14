/* The lock of the log's environment: which threads pass side by side, and which one goes first.
 * For: log_gate.c. */
#include "server/log_engine/log_gate.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { READERS = 3, WRITERS = 2, ROUNDS = 2000 };

static struct uk_log_gate gate;

/* A thread that passes the gate once, and records the number of its passage. */
struct visitor {
  pthread_t thread;
  bool alone;
  atomic_int task; /* its thread id, once it is about to enter */
  atomic_int place;
};

static atomic_int places;

static void *visit(void *argument)
{
  struct visitor *visitor = argument;
  atomic_store(&visitor->task, (int)syscall(SYS_gettid));
  if (visitor->alone)
    uk_log_gate_enter_alone(&gate);
  else
    uk_log_gate_enter(&gate);
  atomic_store(&visitor->place, atomic_fetch_add(&places, 1) + 1);
  uk_log_gate_leave(&gate);
  return NULL;
}

static void start(struct visitor *visitor, bool alone)
{
  *visitor = (struct visitor){.alone = alone};
  CHECK_EQ_INT(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
}

/* The kernel's state letter of the thread: S when it sleeps. */
static char state_of(int task)
{
  char path[64], text[256] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", task);
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return '?';
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  const char *end = length > 0 ? strrchr(text, ')') : NULL;
  return end != NULL && end[1] != '\0' ? end[2] : '?';
}

static bool is_waiting(struct visitor *visitor)
{
  int task = atomic_load(&visitor->task);
  return task != 0 && atomic_load(&visitor->place) == 0 && state_of(task) == 'S';
}

/* A thread may sleep briefly for another reason: it counts as waiting when it is seen asleep
 * several times. */
static bool settles_down(struct visitor *visitor)
{
  int waited = 0, seen = 0;
  while (seen < 5 && atomic_load(&visitor->place) == 0 && check_pause(&waited))
    seen = is_waiting(visitor) ? seen + 1 : 0;
  return seen == 5;
}

static void f3_readers_pass_side_by_side(void)
{
  struct visitor reader;
  REQUIRE(uk_log_gate_init(&gate));
  uk_log_gate_enter(&gate);
  start(&reader, false);
  pthread_join(reader.thread, NULL);
  CHECK(atomic_load(&reader.place) > 0);
  uk_log_gate_leave(&gate);
  uk_log_gate_free(&gate);
}

static void f3_a_waiting_writer_precedes_later_readers(void)
{
  struct visitor writer, reader;
  REQUIRE(uk_log_gate_init(&gate));
  uk_log_gate_enter(&gate);
  start(&writer, true);
  CHECK(settles_down(&writer));
  start(&reader, false);
  CHECK(settles_down(&reader));
  uk_log_gate_leave(&gate);
  pthread_join(writer.thread, NULL);
  pthread_join(reader.thread, NULL);
  CHECK(atomic_load(&writer.place) < atomic_load(&reader.place));
  uk_log_gate_free(&gate);
}

/* Many threads: a writer is alone, and every thread gets through. */

static atomic_int readers, writers;

static void *read_often(void *argument)
{
  (void)argument;
  for (int i = 0; i < ROUNDS; i++) {
    uk_log_gate_enter(&gate);
    atomic_fetch_add(&readers, 1);
    CHECK_EQ_INT(atomic_load(&writers), 0);
    atomic_fetch_sub(&readers, 1);
    uk_log_gate_leave(&gate);
  }
  return NULL;
}

static void *write_often(void *argument)
{
  (void)argument;
  for (int i = 0; i < ROUNDS; i++) {
    uk_log_gate_enter_alone(&gate);
    CHECK_EQ_INT(atomic_fetch_add(&writers, 1), 0);
    CHECK_EQ_INT(atomic_load(&readers), 0);
    atomic_fetch_sub(&writers, 1);
    uk_log_gate_leave(&gate);
  }
  return NULL;
}

static void f3_a_writer_is_alone(void)
{
  pthread_t threads[READERS + WRITERS];
  REQUIRE(uk_log_gate_init(&gate));
  for (int i = 0; i < READERS + WRITERS; i++)
    pthread_create(&threads[i], NULL, i < READERS ? read_often : write_often, NULL);
  for (int i = 0; i < READERS + WRITERS; i++)
    pthread_join(threads[i], NULL);
  CHECK_EQ_INT(atomic_load(&gate.writers), 0);
  uk_log_gate_free(&gate);
}

int main(void)
{
  CHECK_RUN(f3_readers_pass_side_by_side);
  CHECK_RUN(f3_a_waiting_writer_precedes_later_readers);
  CHECK_RUN(f3_a_writer_is_alone);
  return check_end();
}
