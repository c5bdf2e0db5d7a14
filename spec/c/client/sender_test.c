/* for: sender.c, sender_run.c, sender_registry.c. Threads, ends and failing allocations, against a
 * real server. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "log_rig.h"
#include "client/sender/sender_private.h"
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

static int alone; /* threads while no sender runs */

/* Sending. */

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
      uk_sender_flush_start(sender);
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

/* The table of docs/producer.md. */
static void defaults_match_the_documentation(void)
{
  struct uk_sender_options options;
  uk_sender_options_default(&options);
  CHECK_EQ_INT(options.queue_bytes, 16777216);
  CHECK_EQ_INT(options.batch_bytes, 524288);
  CHECK_EQ_INT(options.batch_messages, 10000);
  CHECK_EQ_INT(options.linger, 5);
  CHECK_EQ_INT(options.in_flight, 1);
  CHECK_EQ_INT(options.message_timeout, 0);
  CHECK_EQ_INT(options.give_up_after, 120000);
  CHECK_EQ_INT(options.block_timeout, 1000);
  CHECK_EQ_INT(options.flush_timeout, 2000);
  CHECK_EQ_INT(options.overflow, UK_OVERFLOW_ERROR);
  CHECK(options.log && !options.gzip);
  CHECK_EQ_STR(options.name, "");
}

static uint64_t delivered(struct uk_sender *sender)
{
  struct uk_sender_stats stats;
  uk_sender_stats(sender, &stats);
  return stats.delivered;
}

static size_t record_size(const char *topic, size_t value)
{
  const struct uk_message message = {.topic = uk_slice_text(topic), .value = {"", value}};
  return uk_sender_record_size(&message, 0);
}

/* A full batch does not linger: by messages, and by bytes at the exact limit. */
static void full_batches_are_sent_at_once(void)
{
  for (int by_bytes = 0; by_bytes <= 1; by_bytes++) {
    struct uk_sender_options options = rig_options_named("full");
    options.linger = 10 * RIG_PATIENCE;
    if (by_bytes)
      options.batch_bytes = (int64_t)(3 * record_size("full", strlen("a value")));
    else
      options.batch_messages = 3;
    struct uk_sender *sender = rig_acquire(&options);
    REQUIRE(sender != NULL);
    for (uint64_t round = 1; round <= 3; round++) {
      for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(rig_send(sender, "full", "a value"), UK_OK);
      CHECK_EVENTUALLY(delivered(sender) == 3 * round);
    }
    CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
  }
}

/* A message may be as large as the queue, and not a byte larger. */
static void a_message_may_fill_the_queue(void)
{
  static char text[UK_SENDER_QUEUE_BYTES_MIN];
  struct uk_sender_options options = rig_options_named("whole");
  struct uk_sender_stats stats;
  options.queue_bytes = UK_SENDER_QUEUE_BYTES_MIN;
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  size_t most = 0;
  while (record_size("whole", most + 1) <= UK_SENDER_QUEUE_BYTES_MIN)
    most++;
  CHECK_EQ_INT(record_size("whole", most), UK_SENDER_QUEUE_BYTES_MIN);
  memset(text, 'x', most + 1);
  CHECK_EQ_INT(rig_send(sender, "whole", text), UK_E_TOO_LARGE);
  text[most] = '\0';
  CHECK_EQ_INT(rig_send(sender, "whole", text), UK_OK);
  CHECK(rig_flush(sender));
  uk_sender_stats(sender, &stats);
  CHECK_EQ_INT(stats.sent, 1);
  CHECK_EQ_INT(stats.delivered, 1);
  CHECK_EQ_INT(stats.refused, 0);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
}

/* Fills an empty registry to its limit and one past it. */
static void acquire_as_many_as_there_may_be(void)
{
  struct uk_sender *senders[UK_REGISTRY_SENDERS_MAX] = {NULL};
  struct uk_sender_options options = rig_options_named("");
  struct uk_sender_stats stats;
  enum uk_error error = UK_OK;
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
    uk_sender_stats(senders[i], &stats);
    CHECK_EQ_INT(stats.refused, 0);
    uk_registry_release(senders[i]);
  }
}

/* Equal settings and options share a sender, and their number is limited. */
static void are_few(void)
{
  struct uk_sender_options options = rig_options_named("same");
  struct uk_sender *one = rig_acquire(&options), *two = rig_acquire(&options);
  CHECK(one != NULL && one == two);
  uk_registry_release(one);
  CHECK_EQ_INT(rig_close(two, 0), 0);
  uk_registry_close_all(RIG_PATIENCE);
  acquire_as_many_as_there_may_be();
}

/* One different option makes another sender, and so do other settings. */
static void share_when_all_options_are_equal(void)
{
  enum { KINDS = 14 };
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
  options[13].give_up_after++;
  struct uk_settings elsewhere = rig_settings(1);
  enum uk_error error;
  struct uk_sender *other = uk_registry_acquire(&elsewhere, &options[0], &error);
  for (int i = 0; i < KINDS; i++) {
    senders[i] = rig_acquire(&options[i]);
    CHECK(senders[i] != other);
    CHECK(senders[i] != NULL);
    for (int j = 0; j < i; j++)
      if (!CHECK(senders[i] != senders[j]))
        fprintf(stderr, "  %d and %d\n", j, i);
  }
  CHECK_EQ_INT(uk_registry_close_all(RIG_PATIENCE), 0);
  for (int i = 0; i < KINDS; i++)
    uk_registry_release(senders[i]);
  uk_registry_release(other);
  uk_settings_free(&elsewhere);
}

/* One half of a queue fills while a batch of the other half is sent. */
static void fill_half_of_their_queue_into_a_batch(void)
{
  static const int64_t asked[] = {UK_SENDER_QUEUE_BYTES_MIN / 2 - 1, UK_SENDER_QUEUE_BYTES_MIN / 2,
                                  UK_SENDER_QUEUE_BYTES_MIN / 2 + 1, UK_SENDER_QUEUE_BYTES_MIN};
  struct uk_sender_options options = rig_options_named("halves");
  struct uk_sender *senders[4];
  options.queue_bytes = UK_SENDER_QUEUE_BYTES_MIN;
  for (int i = 0; i < 4; i++) {
    options.batch_bytes = asked[i];
    senders[i] = rig_acquire(&options);
    REQUIRE(senders[i] != NULL);
    CHECK_EQ_INT(senders[i]->options.batch_bytes, asked[i] < asked[1] ? asked[i] : asked[1]);
    CHECK_EQ_INT(senders[i]->options.queue_bytes, UK_SENDER_QUEUE_BYTES_MIN);
  }
  CHECK(senders[0] != senders[1] && senders[1] == senders[2] && senders[2] == senders[3]);
  uk_registry_close_all(RIG_PATIENCE);
  for (int i = 0; i < 4; i++)
    uk_registry_release(senders[i]);
}

/* Closing a sender again, or one that close_all has stopped, changes nothing. */
static void are_closed_once(void)
{
  const struct uk_sender_options options = rig_options_named("once");
  uk_registry_close_all(RIG_PATIENCE);
  for (int all = 0; all <= 1; all++) {
    struct uk_sender *sender = rig_acquire(&options);
    REQUIRE(sender != NULL);
    if (all)
      CHECK_EQ_INT(uk_registry_close_all(RIG_PATIENCE), 0);
    for (int i = 0; i < 2; i++) {
      bool stopped = false;
      CHECK_EQ_INT(uk_registry_close(sender, RIG_PATIENCE, &stopped), 0);
      CHECK(stopped);
      CHECK_EQ_INT(sender->references, 1); /* the caller keeps its own */
    }
    uk_registry_release(sender);
  }
  acquire_as_many_as_there_may_be();
}

/* A sender without references delivers its queue, and its thread ends; also that of one that had
 * nothing to do, and slept. */
static void end_without_references(void)
{
  struct uk_sender_options options = rig_options_named("left");
  options.linger = 500;
  uk_registry_close_all(RIG_PATIENCE);
  CHECK_EVENTUALLY(threads() == alone); /* a thread that was joined may still end */
  struct uk_sender *busy = rig_acquire(&options);
  options.name[0] = 'L';
  struct uk_sender *idle = rig_acquire(&options);
  REQUIRE(busy != NULL && idle != NULL);
  CHECK_EQ_INT(threads(), alone + 2);
  rig_sleep(50);
  CHECK_EQ_INT(rig_send(busy, "left", "alone"), UK_OK);
  uk_registry_release(busy);
  uk_registry_release(idle);
  /* Half of the time after which a sleeping thread wakes anyway. */
  const int64_t deadline = uk_clock_monotonic() + RIG_PATIENCE / 2;
  while (threads() > alone && uk_clock_monotonic() < deadline)
    rig_sleep(20);
  CHECK_EQ_INT(threads(), alone);
  CHECK_EQ_INT(rig_stored("left"), 1);
  acquire_as_many_as_there_may_be();
}

/* A sender whose last reference was given back is used again. */
static void are_used_again(void)
{
  const struct uk_sender_options options = rig_options_named("again");
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  CHECK(!atomic_load(&sender->orphaned));
  uk_registry_release(sender);
  CHECK(rig_acquire(&options) == sender);
  CHECK(!atomic_load(&sender->orphaned)); /* else its thread would not sleep */
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
}

/* Megabytes of memory that the process has mapped. */
static long mapped(void)
{
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%ld", &pages) == 1);
  if (file != NULL)
    fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) >> 10) >> 10;
}

/* A sender that has ended makes room for another, and leaves no stack of its thread behind. */
static void leave_room_when_they_end(void)
{
  uk_registry_close_all(RIG_PATIENCE);
  const long before = mapped();
  for (int i = 0; i <= UK_REGISTRY_SENDERS_MAX; i++) {
    const struct uk_sender_options options = rig_options_named("one of many");
    struct uk_sender *sender = rig_acquire(&options);
    REQUIRE(sender != NULL);
    CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
  }
  CHECK(mapped() < before + 200);
  acquire_as_many_as_there_may_be();
}

/* The owner. */

static atomic_int owner_told;

static bool never_retire(struct uk_sender *sender)
{
  return sender == NULL;
}

static void count_ended(struct uk_sender *sender)
{
  CHECK(sender != NULL);
  atomic_fetch_add(&owner_told, 1);
}

static const struct uk_sender_owner counting = {never_retire, count_ended};

static struct uk_sender *create(void)
{
  const struct uk_sender_options options = rig_options_named("owned");
  enum uk_error error;
  atomic_store(&owner_told, 0);
  return uk_sender_create(settings, &options, &counting, &error);
}

/* The owner is notified when a thread that nobody joins ends, and only then. */
static void notify_their_owner_if_no_thread_joins_them(void)
{
  struct uk_sender *sender = create();
  REQUIRE(sender != NULL);
  pthread_mutex_lock(&sender->lock);
  CHECK(sender->oldest_batched == UINT64_MAX); /* no message is in a batch */
  pthread_mutex_unlock(&sender->lock);
  const int64_t started = uk_clock_monotonic();
  uk_sender_stop(sender, started);
  CHECK(uk_sender_join(sender, started + RIG_PATIENCE));
  CHECK(uk_clock_monotonic() - started < RIG_PATIENCE / 2); /* the end of the thread wakes it */
  CHECK_EQ_INT(atomic_load(&owner_told), 0);
  uk_sender_destroy(sender);
  const long memory = mapped();
  for (int i = 0; i < 40; i++) {
    sender = create();
    REQUIRE(sender != NULL);
    CHECK(!uk_sender_join(sender, 0)); /* it was not stopped */
    CHECK_EQ_INT(atomic_load(&owner_told), 0);
    uk_sender_stop(sender, uk_clock_monotonic());
    CHECK_EVENTUALLY(atomic_load(&owner_told) == 1);
    CHECK_EVENTUALLY(threads() == alone);
    uk_sender_destroy(sender);
  }
  CHECK(mapped() < memory + 200); /* their stacks are gone */
}

/* A thread that nobody could wait for has a reference, and gives it back when it ends. Here this
 * thread plays it. */
static void lose_the_reference_of_a_thread_that_ends_late(void)
{
  const struct uk_sender_options options = rig_options_named("late");
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL && rig_acquire(&options) == sender);
  CHECK_EQ_INT(sender->references, 2);
  sender->owner->ended(sender);
  CHECK_EQ_INT(sender->references, 1);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
}

/* The state of the thread of `main`; 'S' while it sleeps. */
static char state_of_main(void)
{
  char state = '?';
  FILE *file = fopen("/proc/self/stat", "r");
  CHECK(file != NULL && fscanf(file, "%*d %*s %c", &state) == 1);
  if (file != NULL)
    fclose(file);
  return state;
}

static atomic_bool closing, freeing;

static void *end_while_main_closes_all(void *sender)
{
  CHECK_EVENTUALLY(atomic_load(&closing) && state_of_main() == 'S');
  atomic_store(&freeing, true);
  ((struct uk_sender *)sender)->owner->ended(sender);
  return NULL;
}

/* A sender has retired, but has not been freed yet. Closing all waits for that, and returns as soon
 * as it is done. Here another thread plays the thread of the sender. */
static void are_all_closed_once_the_retired_one_is_freed(void)
{
  const struct uk_sender_options options = rig_options_named("retiring");
  pthread_t thread;
  uk_registry_close_all(RIG_PATIENCE);
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  uk_sender_stop(sender, uk_clock_monotonic());
  REQUIRE(uk_sender_join(sender, uk_clock_monotonic() + RIG_PATIENCE));
  uk_registry_release(sender);
  REQUIRE(sender->owner->retire(sender));
  atomic_store(&closing, false);
  REQUIRE(pthread_create(&thread, NULL, end_while_main_closes_all, sender) == 0);
  const int64_t started = uk_clock_monotonic();
  atomic_store(&closing, true);
  CHECK_EQ_INT(uk_registry_close_all(RIG_PATIENCE), 0);
  CHECK(atomic_load(&freeing));
  CHECK(uk_clock_monotonic() - started < RIG_PATIENCE / 2);
  pthread_join(thread, NULL);
}

/* Ends. */

/* A server that accepts connections and never answers. */
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
  struct uk_list failures = {.head = {NULL, NULL}};
  struct uk_sender_failure *failure;
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
  do /* on a busy machine the thread may end later */
    uk_sender_stats(sender, &stats);
  while (stats.queued + stats.in_flight > 0 && uk_clock_monotonic() - started < RIG_PATIENCE &&
         usleep(1000) == 0);
  CHECK_EQ_INT(stats.lost, 20);
  CHECK_EQ_INT(stats.failed, 20);
  CHECK_EQ_INT(stats.queued + stats.in_flight, 0);
  CHECK_EQ_INT(uk_sender_take_failures(sender, &failures), 0);
  while ((failure = UK_LIST_TAKE(&failures, struct uk_sender_failure, link)) != NULL) {
    CHECK_EQ_INT(failure->error, UK_E_CANCELLED);
    free(failure);
  }
  uk_registry_release(sender);
  uk_settings_free(&silent);
  close(listener);
}

/* A sender with one message per request, whose server never answers. */
static struct uk_sender *acquire_silent(struct uk_settings *silent, int listener, int port,
                                        struct uk_sender_options *options)
{
  enum uk_error error;
  *silent = rig_settings(port);
  options->batch_messages = 1;
  struct uk_sender *sender = uk_registry_acquire(silent, options, &error);
  CHECK(listener >= 0 && sender != NULL);
  return sender;
}

/* A sender fills in_flight + 1 batches; all other messages wait in the queue. */
static void fill_one_batch_ahead(void)
{
  int port = 0;
  const int listener = listen_in_silence(&port);
  struct uk_settings silent;
  struct uk_sender_options options = rig_options_named("ahead");
  struct uk_sender_stats stats;
  options.in_flight = 3;
  struct uk_sender *sender = acquire_silent(&silent, listener, port, &options);
  REQUIRE(sender != NULL);
  for (int i = 0; i < 20; i++)
    CHECK_EQ_INT(rig_send(sender, "t", "v"), UK_OK);
  CHECK_EVENTUALLY((uk_sender_stats(sender, &stats), stats.in_flight == 4));
  CHECK_EQ_INT(stats.queued, 16);
  CHECK_EQ_INT(stats.bytes, 16 * record_size("t", 1));
  CHECK_EQ_INT(rig_close(sender, 0), 20);
  uk_settings_free(&silent);
  close(listener);
}

/* While another caller holds the sender, closing it only reports what is pending. */
static void continue_for_others_when_closed(void)
{
  int port = 0;
  const int listener = listen_in_silence(&port);
  struct uk_settings silent;
  struct uk_sender_options options = rig_options_named("two");
  struct uk_sender_stats stats;
  enum uk_error error;
  bool stopped = true;
  struct uk_sender *one = acquire_silent(&silent, listener, port, &options);
  struct uk_sender *two = uk_registry_acquire(&silent, &options, &error);
  REQUIRE(one != NULL && one == two);
  for (int i = 0; i < 20; i++)
    CHECK_EQ_INT(rig_send(one, "t", "v"), UK_OK);
  CHECK_EVENTUALLY((uk_sender_stats(one, &stats), stats.in_flight == 2));
  CHECK_EQ_INT(uk_registry_close(one, 20, &stopped), 20);
  CHECK(!stopped);
  uk_registry_release(one);
  CHECK_EQ_INT(rig_send(two, "t", "v"), UK_OK);
  CHECK_EQ_INT(uk_registry_close(two, 0, &stopped), 21);
  CHECK(stopped);
  CHECK_EQ_INT(rig_send(two, "t", "v"), UK_E_CANCELLED);
  uk_registry_release(two);
  uk_settings_free(&silent);
  close(listener);
}

static void *send_until_it_fails(void *sender)
{
  enum uk_error error = UK_OK;
  while (error == UK_OK)
    error = rig_send(sender, "t", "some text that takes its room in the queue");
  return error == UK_E_CANCELLED ? sender : NULL;
}

static bool has_waiter(struct uk_sender *sender)
{
  pthread_mutex_lock(&sender->lock);
  const bool waiting = sender->waiters > 0;
  pthread_mutex_unlock(&sender->lock);
  return waiting;
}

/* The end of a sender wakes and refuses the callers that wait for room. */
static void refuse_waiting_callers_when_they_end(void)
{
  int port = 0;
  const int listener = listen_in_silence(&port);
  struct uk_settings silent;
  struct uk_sender_options options = rig_options_named("blocking");
  struct uk_sender_stats stats;
  pthread_t thread;
  void *cancelled = NULL;
  options.overflow = UK_OVERFLOW_BLOCK;
  options.block_timeout = 10 * RIG_PATIENCE;
  options.queue_bytes = UK_SENDER_QUEUE_BYTES_MIN;
  struct uk_sender *sender = acquire_silent(&silent, listener, port, &options);
  REQUIRE(sender != NULL);
  REQUIRE(pthread_create(&thread, NULL, send_until_it_fails, sender) == 0);
  CHECK_EVENTUALLY(has_waiter(sender));
  uk_registry_close_all(0);
  pthread_join(thread, &cancelled);
  CHECK(cancelled != NULL);
  uk_sender_stats(sender, &stats);
  CHECK_EQ_INT(stats.refused, 0);
  CHECK_EQ_INT(stats.lost, stats.sent);
  uk_registry_release(sender);
  uk_settings_free(&silent);
  close(listener);
}

static void give_up_expired_messages(void)
{
  int port = 0;
  const int listener = listen_in_silence(&port);
  struct uk_settings silent = rig_settings(port);
  struct uk_sender_options options = rig_options_named("expiring");
  struct uk_sender_stats stats;
  enum uk_error error;
  struct uk_list failures = {.head = {NULL, NULL}};
  struct uk_sender_failure *failure;
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
  CHECK(stats.requests <= 7); /* on a slow machine each expires in a request, or none does */
  CHECK_EQ_INT(stats.queued + stats.in_flight, 0);
  CHECK_EQ_INT(uk_sender_take_failures(sender, &failures), 0);
  for (; (failure = UK_LIST_TAKE(&failures, struct uk_sender_failure, link)) != NULL; count++) {
    CHECK_EQ_INT(failure->error, UK_E_TIMEOUT);
    free(failure);
  }
  CHECK_EQ_INT(count, 20);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
  uk_settings_free(&silent);
  close(listener);
}

/* Memory. */

/* Every accepted message is delivered although one allocation fails. */
static void lose_nothing_with_any_allocation_failing(void)
{
  struct uk_sender_options options = rig_options_named("fault");
  CHECK_EVENTUALLY(threads() == alone); /* nobody waited for the last ones */
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
  CHECK(rig_stored("fault") >= sent); /* a request is repeated when its answer finds no memory */
  CHECK(fault_live() == live);
}

static void continue_when_memory_is_back(void)
{
  struct uk_sender_options options = rig_options_named("famine");
  struct uk_sender *sender = rig_acquire(&options);
  REQUIRE(sender != NULL);
  fault_from(1);
  for (int i = 0; i < 100; i++)
    CHECK_EQ_INT(rig_send(sender, "famine", "a value"), UK_OK);
  CHECK(!uk_sender_wait(sender, uk_sender_flush_start(sender), uk_clock_monotonic() + 300));
  fault_off();
  CHECK(rig_flush(sender));
  CHECK_EQ_INT(rig_stored("famine"), 100);
  CHECK_EQ_INT(rig_close(sender, RIG_PATIENCE), 0);
}

static long live; /* before anything else */

static void leave_no_memory_behind(void)
{
  uk_registry_close_all(RIG_PATIENCE);
  rig_serve_end();
  CHECK_EVENTUALLY(fault_live() == live);
}

int main(void)
{
  live = fault_live();
  alone = threads() + CHECK_TSAN;
  settings = rig_serve();
  if (settings == NULL) {
    fprintf(stderr, "the server did not start\n");
    return 1;
  }
  CHECK_RUN(serves_many_threads);
  CHECK_RUN(drops_while_others_send);
  CHECK_RUN(defaults_match_the_documentation);
  CHECK_RUN(full_batches_are_sent_at_once);
  CHECK_RUN(a_message_may_fill_the_queue);
  CHECK_RUN(are_few);
  CHECK_RUN(share_when_all_options_are_equal);
  CHECK_RUN(fill_half_of_their_queue_into_a_batch);
  CHECK_RUN(are_closed_once);
  CHECK_RUN(end_without_references);
  CHECK_RUN(are_used_again);
  CHECK_RUN(leave_room_when_they_end);
  CHECK_RUN(notify_their_owner_if_no_thread_joins_them);
  CHECK_RUN(lose_the_reference_of_a_thread_that_ends_late);
  CHECK_RUN(are_all_closed_once_the_retired_one_is_freed);
  CHECK_RUN(fill_one_batch_ahead);
  CHECK_RUN(continue_for_others_when_closed);
  CHECK_RUN(refuse_waiting_callers_when_they_end);
  CHECK_RUN(stop_in_time);
  CHECK_RUN(give_up_expired_messages);
  CHECK_RUN(lose_nothing_with_any_allocation_failing);
  CHECK_RUN(continue_when_memory_is_back);
  CHECK_RUN(leave_no_memory_behind);
  return check_end();
}
