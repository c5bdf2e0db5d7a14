/* for: sender_registry.c. Forks: the parent delivers what it has queued, and the child starts
 * senders of its own. A separate program, since sanitizers do not support a forked child that
 * starts threads. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "client/sender/sender_private.h"
#include "sender_rig.h"

static void child(struct uk_sender *inherited, unsigned generation)
{
  struct uk_sender_options options = rig_options_named("forked");
  options.linger = 60000;
  struct uk_sender *own = rig_acquire(&options);
  const bool good = uk_registry_generation() != generation && own != NULL && own != inherited &&
                    rig_send(own, "forked", "child") == UK_OK;
  exit(good ? 0 : 1); /* exiting delivers the message */
}

/* Starts as many senders as a process may have; returns how many it could start. */
static unsigned start_senders(void)
{
  unsigned count = 0;
  for (; count < UK_REGISTRY_SENDERS_MAX; count++) {
    char name[32];
    snprintf(name, sizeof name, "sender-%u", count);
    struct uk_sender_options options = rig_options_named(name);
    if (rig_acquire(&options) == NULL)
      break;
  }
  return count;
}

/* Ends the child as another program: what it cannot free, since the threads of the parent's sender
 * are not here, is no leak of this test. */
static void leave(bool good)
{
  if (good)
    execlp("true", "true", (char *)NULL);
  _exit(1);
}

/* Megabytes of address space that this process has mapped. */
static long mapped(void)
{
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%ld", &pages) == 1);
  if (file != NULL)
    fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) >> 10) >> 10;
}

/* The queue is the parent's: the child unmaps its copy, and the parent its own at the end. */
static void leave_no_queue_behind(void)
{
  struct uk_sender_options options = rig_options_named("large");
  int status = -1;
  options.queue_bytes = 512 << 20;
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  const long before = mapped();
  const pid_t process = fork();
  if (process == 0)
    leave(mapped() <= before - 512);
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 0);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
  CHECK_EVENTUALLY(mapped() < before - 256); /* threads map memory too */
}

static void do_not_count_in_the_child(void)
{
  struct uk_sender_options options = rig_options_named("of-the-parent");
  int status = -1;
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  const pid_t process = fork();
  if (process == 0)
    leave(start_senders() == UK_REGISTRY_SENDERS_MAX);
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 0);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
}

static void belong_to_the_parent(void)
{
  struct uk_sender_options options = rig_options_named("forked");
  int status = -1;
  options.linger = 60000;
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  CHECK_EQ_INT(rig_send(sender, "forked", "parent"), UK_OK);
  const pid_t process = fork();
  if (process == 0)
    child(sender, uk_registry_generation() - 1);
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 0);
  CHECK_EQ_INT(rig_stored("forked"), 1);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
  CHECK_EQ_INT(rig_stored("forked"), 2);
}

/* The exit of a process that has a sender with something to deliver, and one that has not: it takes
 * as long as the more patient one may. */
static void deliver_within_the_longest_time_at_the_exit(void)
{
  for (int order = 0; order <= 1; order++) {
    char topic[16];
    int status = -1;
    snprintf(topic, sizeof topic, "patient-%d", order);
    const pid_t process = fork();
    if (process == 0) {
      for (int i = 0; i < 2; i++) {
        const bool busy = i == order;
        struct uk_sender_options options = rig_options_named(busy ? "busy" : "idle");
        options.linger = 60000;
        options.flush_timeout = busy ? RIG_PATIENCE : 0;
        struct uk_sender *sender = rig_acquire(&options);
        if (sender == NULL || (busy && rig_send(sender, topic, "v") != UK_OK))
          _exit(1);
        uk_registry_release(sender); /* its thread lingers */
      }
      exit(0);
    }
    CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
    CHECK_EQ_INT(WEXITSTATUS(status), 0);
    CHECK_EQ_INT(rig_stored(topic), 1);
  }
}

static bool acquires_at_exit; /* in a child */

/* Runs after the handler of the registry, which was registered later. */
static void acquire_at_exit(void)
{
  enum uk_error error = UK_OK;
  const struct uk_sender_options options = rig_options_named("late");
  struct uk_settings settings;
  if (!acquires_at_exit)
    return;
  settings = rig_settings(1);
  const bool none = uk_registry_acquire(&settings, &options, &error) == NULL;
  uk_settings_free(&settings);
  _exit(none && error == UK_E_CANCELLED ? 0 : 1);
}

static void start_no_more_at_the_exit(void)
{
  int status = -1;
  const pid_t process = fork();
  if (process == 0) {
    acquires_at_exit = true;
    exit(2);
  }
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 0);
}

/* A thread of the parent frees its sender: the child has no such thread to wait for. */
static void do_not_retire_in_the_child(void)
{
  const struct uk_sender_options options = rig_options_named("retiring");
  int status = -1;
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  uk_sender_stop(sender, 0);
  REQUIRE(uk_sender_join(sender, INT64_MAX / 2));
  uk_registry_release(sender);
  REQUIRE(sender->owner->retire(sender)); /* this thread plays that of the sender */
  const pid_t process = fork();
  if (process == 0) {
    alarm(RIG_PATIENCE / 2000); /* seconds */
    leave(uk_registry_close_all(RIG_PATIENCE) == 0);
  }
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 0);
  sender->owner->ended(sender);
}

int main(void)
{
  atexit(acquire_at_exit);
  if (rig_serve() == NULL) {
    fprintf(stderr, "the server did not start\n");
    return 1;
  }
  CHECK_RUN(belong_to_the_parent);
  CHECK_RUN(leave_no_queue_behind);
  CHECK_RUN(do_not_count_in_the_child);
  CHECK_RUN(deliver_within_the_longest_time_at_the_exit);
  CHECK_RUN(start_no_more_at_the_exit);
  CHECK_RUN(do_not_retire_in_the_child);
  rig_serve_end();
  return check_end();
}
