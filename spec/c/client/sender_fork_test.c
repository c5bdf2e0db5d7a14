/* for: sender_registry.c. Forks: the parent delivers what it has queued, and the child starts
 * senders of its own. A separate program, since sanitizers do not support a forked child that
 * starts threads. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
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

/* The queue is the parent's: the child unmaps its copy. */
static void leave_no_queue_in_the_child(void)
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

int main(void)
{
  if (rig_serve() == NULL) {
    fprintf(stderr, "the server did not start\n");
    return 1;
  }
  CHECK_RUN(belong_to_the_parent);
  CHECK_RUN(leave_no_queue_in_the_child);
  CHECK_RUN(do_not_count_in_the_child);
  rig_serve_end();
  return check_end();
}
