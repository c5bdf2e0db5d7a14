/* Senders, whole: threads, ends and memory that runs out, against a real server. */
#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "log_rig.h"
#include "sender_rig.h"

static const struct uk_settings *settings;

static int threads(void)
{
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL)
    return -1;
  while (readdir(tasks) != NULL)
    count++;
  closedir(tasks);
  return count - 2; /* . and .. */
}

/* ---- */

enum { CALLERS = 4, EACH = 3000 };

static void *call(void *argument)
{
  struct uk_sender_options options = rig_options_named("shared");
  struct uk_sender_stats stats;
  options.overflow = UK_OVERFLOW_BLOCK;
  options.block_timeout = RIG_PATIENCE;
  options.queue_bytes = 64 << 10;
  options.in_flight = 3;
  struct uk_sender *sender = rig_acquire(&options);
  for (int i = 0; i < EACH; i++) {
    CHECK_EQ_INT(rig_send(sender, argument, "from one of many"), UK_OK);
    if (i % 1000 == 0) {
      uk_sender_stats(sender, &stats);
      uk_sender_hurry(sender);
    }
  }
  CHECK(rig_flush(sender));
  uk_registry_release(sender);
  return NULL;
}

static void serves_many_threads(void)
{
  pthread_t callers[CALLERS];
  for (int i = 0; i < CALLERS; i++)
    CHECK(pthread_create(&callers[i], NULL, call, "many") == 0);
  for (int i = 0; i < CALLERS; i++)
    pthread_join(callers[i], NULL);
  CHECK_EQ_INT(rig_stored("many"), CALLERS * EACH);
}

static void drops_while_others_send(void)
{
  struct uk_sender_options options = rig_options_named("dropping");
  struct uk_sender_stats stats;
  options.overflow = UK_OVERFLOW_DROP_OLDEST;
  options.queue_bytes = UK_SENDER_QUEUE_BYTES_MIN;
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  for (int i = 0; i < 20000; i++)
    CHECK_EQ_INT(rig_send(sender, "dropped", "some text that takes its room in the queue"), UK_OK);
  CHECK(rig_flush(sender));
  uk_sender_stats(sender, &stats);
  CHECK_EQ_INT(stats.sent, 20000);
  CHECK_EQ_INT(stats.delivered + stats.dropped, 20000);
  CHECK_EQ_INT(rig_stored("dropped"), (int64_t)stats.delivered);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
}

/* Equal settings and options share; a name keeps apart; there is an end to how many. */
static void are_few(void)
{
  struct uk_sender *senders[UK_REGISTRY_SENDERS_MAX] = {NULL};
  struct uk_sender_options options = rig_options_named("same");
  enum uk_error error = UK_OK;
  struct uk_sender *one = rig_acquire(&options), *two = rig_acquire(&options);
  CHECK(one != NULL && one == two);
  uk_registry_release(one);
  CHECK_EQ_INT(rig_close(two, 0), 0);
  uk_registry_close_all(RIG_PATIENCE);
  int count = 0;
  for (; count < UK_REGISTRY_SENDERS_MAX; count++) {
    snprintf(options.name, sizeof options.name, "%d", count);
    senders[count] = rig_acquire(&options);
    if (!CHECK(senders[count] != NULL))
      break;
  }
  CHECK(uk_registry_acquire(settings, &(struct uk_sender_options){.in_flight = 1}, &error) == NULL);
  CHECK_EQ_INT(error, UK_E_TOO_MANY);
  CHECK_EQ_INT(uk_registry_close_all(RIG_PATIENCE), 0);
  for (int i = 0; i < count; i++) {
    CHECK_EQ_INT(rig_send(senders[i], "few", "too late"), UK_E_CANCELLED);
    uk_registry_release(senders[i]);
  }
}

/* A single option that differs keeps apart. */
static void share_when_all_options_are_equal(void)
{
  enum { KINDS = 13 };
  struct uk_sender_options options[KINDS];
  struct uk_sender *senders[KINDS];
  for (int i = 0; i < KINDS; i++)
    options[i] = rig_options_named("alike");
  options[1].queue_bytes *= 2;
  options[2].batch_bytes--;
  options[3].batch_messages--;
  options[4].linger++;
  options[5].in_flight++;
  options[6].message_timeout++;
  options[7].block_timeout++;
  options[8].flush_timeout--;
  options[9].overflow = UK_OVERFLOW_BLOCK;
  options[10].gzip = !options[10].gzip;
  options[11].log = !options[11].log;
  options[12].name[0] = 'A';
  for (int i = 0; i < KINDS; i++) {
    senders[i] = rig_acquire(&options[i]);
    CHECK(senders[i] != NULL);
    for (int j = 0; j < i; j++)
      if (!CHECK(senders[i] != senders[j]))
        fprintf(stderr, "  %d and %d\n", j, i);
  }
  CHECK_EQ_INT(uk_registry_close_all(RIG_PATIENCE), 0);
  for (int i = 0; i < KINDS; i++)
    uk_registry_release(senders[i]);
}

/* Without references a sender delivers what it has, and its thread goes. */
static void end_by_themselves(void)
{
  struct uk_sender_options options = rig_options_named("left");
  options.linger = 500;
  const int before = threads();
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  CHECK_EQ_INT(threads(), before + 1);
  CHECK_EQ_INT(rig_send(sender, "left", "alone"), UK_OK);
  uk_registry_release(sender);
  const int64_t deadline = uk_clock_monotonic() + RIG_PATIENCE;
  while (threads() > before && uk_clock_monotonic() < deadline)
    rig_sleep(20);
  CHECK_EQ_INT(threads(), before);
  CHECK_EQ_INT(rig_stored("left"), 1);
}

/* ---- ends ---- */

/* A server that takes connections and never says a word. */
static int listen_in_silence(int *port)
{
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return -1;
  *port = ntohs(address.sin_port);
  return listener;
}

static void stop_in_time(void)
{
  int port = 0;
  const int listener = listen_in_silence(&port);
  struct uk_settings silent = rig_settings(port);
  struct uk_sender_options options = rig_options_named("silent");
  struct uk_sender_stats stats;
  enum uk_error error;
  uint64_t missed;
  options.in_flight = 2;
  options.batch_messages = 3;
  struct uk_sender *sender = uk_registry_acquire(&silent, &options, &error);
  REQUIRE(listener >= 0 && sender != NULL);
  for (int i = 0; i < 20; i++)
    CHECK_EQ_INT(rig_send(sender, "t", "v"), UK_OK);
  bool stopped;
  const int64_t started = uk_clock_monotonic();
  CHECK_EQ_INT(uk_registry_close(sender, 300, &stopped), 20);
  CHECK(stopped);
  CHECK(uk_clock_monotonic() - started >= 300);
  do /* on a busy machine the thread may end after the call */
    uk_sender_stats(sender, &stats);
  while (stats.queued + stats.in_flight > 0 && uk_clock_monotonic() - started < RIG_PATIENCE &&
         usleep(1000) == 0);
  CHECK_EQ_INT(stats.lost, 20);
  CHECK_EQ_INT(stats.failed, 20);
  CHECK_EQ_INT(stats.queued + stats.in_flight, 0);
  struct uk_sender_failure *failure = uk_sender_failures(sender, &missed), *next;
  for (; failure != NULL; failure = next) {
    next = failure->next;
    CHECK_EQ_INT(failure->error, UK_E_CANCELLED);
    free(failure);
  }
  uk_registry_release(sender);
  uk_settings_free(&silent);
  close(listener);
}

static void give_up_what_expires(void)
{
  int port = 0;
  const int listener = listen_in_silence(&port);
  struct uk_settings silent = rig_settings(port);
  struct uk_sender_options options = rig_options_named("expiring");
  struct uk_sender_stats stats;
  enum uk_error error;
  uint64_t missed;
  int count = 0;
  options.in_flight = 2;
  options.batch_messages = 3;
  options.message_timeout = 200;
  struct uk_sender *sender = uk_registry_acquire(&silent, &options, &error);
  REQUIRE(listener >= 0 && sender != NULL);
  for (int i = 0; i < 20; i++)
    CHECK_EQ_INT(rig_send(sender, "t", "v"), UK_OK);
  CHECK(rig_flush(sender));
  uk_sender_stats(sender, &stats);
  CHECK_EQ_INT(stats.failed, 20);
  /* Two at first. On a slow machine some messages are younger than those and meet the server too; never all of them. */
  CHECK(stats.requests >= 2 && stats.requests < 7);
  CHECK_EQ_INT(stats.queued + stats.in_flight, 0);
  struct uk_sender_failure *failure = uk_sender_failures(sender, &missed), *next;
  for (; failure != NULL; failure = next, count++) {
    next = failure->next;
    CHECK_EQ_INT(failure->error, UK_E_TIMEOUT);
    free(failure);
  }
  CHECK_EQ_INT(count, 20);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
  uk_settings_free(&silent);
  close(listener);
}

/* ---- memory ---- */

/* Whatever was taken in is delivered, when one allocation fails. */
static void lose_nothing_with_any_allocation_failing(void)
{
  struct uk_sender_options options = rig_options_named("fault");
  const long live = fault_live();
  int64_t sent = 0;
  options.batch_messages = 10;
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct uk_sender *sender = rig_acquire(&options);
    for (int i = 0; i < 25 && sender != NULL; i++)
      sent += rig_send(sender, "fault", "a value") == UK_OK;
    if (sender != NULL)
      CHECK(rig_flush(sender));
    hit = fault_hit();
    fault_off();
    if (sender != NULL)
      CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
  }
  CHECK(rig_stored("fault") >= sent); /* an answer that found no memory is asked for again */
  CHECK(fault_live() == live);
}

static void go_on_when_memory_is_back(void)
{
  struct uk_sender_options options = rig_options_named("famine");
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  fault_from(1);
  for (int i = 0; i < 100; i++)
    CHECK_EQ_INT(rig_send(sender, "famine", "a value"), UK_OK);
  CHECK(!uk_sender_wait(sender, uk_sender_hurry(sender), uk_clock_monotonic() + 300));
  fault_off();
  CHECK(rig_flush(sender));
  CHECK_EQ_INT(rig_stored("famine"), 100);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
}

int main(void)
{
  settings = rig_serve();
  if (settings == NULL) {
    fprintf(stderr, "the server did not start\n");
    return 1;
  }
  CHECK_RUN(serves_many_threads);
  CHECK_RUN(drops_while_others_send);
  CHECK_RUN(are_few);
  CHECK_RUN(share_when_all_options_are_equal);
  CHECK_RUN(end_by_themselves);
  CHECK_RUN(stop_in_time);
  CHECK_RUN(give_up_what_expires);
  CHECK_RUN(lose_nothing_with_any_allocation_failing);
  CHECK_RUN(go_on_when_memory_is_back);
  rig_serve_end();
  return check_end();
}
