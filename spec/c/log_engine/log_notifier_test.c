/* The notifier's ring of events: which notifications become one event, and what happens when the
 * ring is full. For: log_notifier.c. */
#include "server/log_engine/log_notifier.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "fake_clients.h"
#include "log_rig.h"

static struct uk_log_notifier notifier;

static void changed(const char *topic, int32_t partition)
{
  uk_log_notifier_changed(&notifier, uk_slice_text(topic), partition);
}

static void repeated_notifications_are_one_event(void)
{
  static const struct {
    const char *topic;
    int32_t partition;
    size_t events;
  } rows[] = {{"t", 0, 1}, {"t", 0, 1}, {"t", 1, 2},  {"t", 0, 3},
              {"u", 0, 4}, {"u", 0, 4}, {"u", -1, 5}, {"uu", -1, 6}};
  REQUIRE(uk_log_notifier_init(&notifier));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    changed(rows[i].topic, rows[i].partition);
    CHECK_EQ_INT(notifier.event_count, rows[i].events);
  }
  uk_log_notifier_free(&notifier);
}

static atomic_int begun, passed;

static void *push_one_more(void *argument)
{
  (void)argument;
  atomic_store(&begun, 1);
  changed("more", 0);
  atomic_store(&passed, 1);
  return NULL;
}

/* Fills the ring while no thread empties it. One more event has to wait. */
static bool fill(pthread_t *pusher)
{
  atomic_store(&begun, 0);
  atomic_store(&passed, 0);
  if (!CHECK(uk_log_notifier_init(&notifier)))
    return false;
  for (int32_t i = 0; i < UK_LOG_EVENTS; i++)
    changed("t", i);
  CHECK_EQ_INT(notifier.event_count, UK_LOG_EVENTS);
  if (!CHECK(pthread_create(pusher, NULL, push_one_more, NULL) == 0))
    return false;
  CHECK_EVENTUALLY(atomic_load(&begun) == 1);
  rig_sleep(20); /* a slow thread finds fewer faults, and fails nothing */
  CHECK_EQ_INT(atomic_load(&passed), 0);
  CHECK_EQ_INT(notifier.event_count, UK_LOG_EVENTS);
  return true;
}

static size_t events_left(void)
{
  pthread_mutex_lock(&notifier.mutex);
  size_t left = notifier.event_count;
  pthread_mutex_unlock(&notifier.mutex);
  return left;
}

static void an_event_waits_for_room(void)
{
  pthread_t pusher;
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  start_groups();
  REQUIRE(log != NULL && groups != NULL && fill(&pusher));
  REQUIRE(uk_log_notifier_start(&notifier, log, groups));
  CHECK_EVENTUALLY(atomic_load(&passed) == 1);
  pthread_join(pusher, NULL);
  CHECK_EVENTUALLY(events_left() == 0);
  uk_log_notifier_stop(&notifier);
  CHECK_EQ_INT(notifier.event_first, 1); /* once round the ring, and one more */
  stop_groups();
  uk_log_close(log);
  uk_log_notifier_free(&notifier);
  rig_remove();
}

static void *nothing(void *argument)
{
  return argument;
}

/* Otherwise the writer would wait forever for a thread that has ended. */
static void stopping_lets_an_event_go(void)
{
  pthread_t pusher;
  REQUIRE(fill(&pusher));
  REQUIRE(pthread_create(&notifier.thread, NULL, nothing, NULL) == 0);
  uk_log_notifier_stop(&notifier);
  CHECK_EVENTUALLY(atomic_load(&passed) == 1);
  pthread_join(pusher, NULL);
  changed("later", 0); /* dropped */
  CHECK_EQ_INT(notifier.event_count, UK_LOG_EVENTS);
  uk_log_notifier_free(&notifier);
}

/* A fetch whose records come between its first look and the moment it would begin to wait. */

static atomic_int task; /* the id of the fetching thread */

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  (void)record;
  ++*(int *)operation->context;
  return true;
}

static void no_more(struct uk_operation *operation)
{
  (void)operation;
}

static void *fetch_one(void *argument)
{
  struct uk_topic_partition_offset at = {uk_slice_text("t"), 0, 0};
  struct uk_fetch fetch = {.operation = {.done = no_more, .context = argument},
                           .positions = &at,
                           .count = 1,
                           .sink = {take, NULL}};
  fetch.operation.deadline = INT64_MAX;
  atomic_store(&task, (int)syscall(SYS_gettid));
  uk_log_notifier_fetch(&notifier, &fetch);
  return NULL;
}

/* The kernel's state letter of the thread: S when it sleeps. */
static char state_of(int thread)
{
  char path[64], text[256] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return '?';
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  const char *end = length > 0 ? strrchr(text, ')') : NULL;
  return end != NULL && end[1] != '\0' ? end[2] : '?';
}

static void records_that_come_before_the_wait_are_seen(void)
{
  pthread_t thread;
  int count = 0;
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL && uk_log_notifier_init(&notifier));
  REQUIRE(rig_create(log, "t", 1, -1, -1) == UK_OK);
  notifier.log = log;
  pthread_mutex_lock(&notifier.mutex);
  atomic_store(&task, 0);
  REQUIRE(pthread_create(&thread, NULL, fetch_one, &count) == 0);
  CHECK_EVENTUALLY(atomic_load(&task) != 0 && state_of(atomic_load(&task)) == 'S');
  rig_sleep(20); /* a slow thread finds fewer faults, and fails nothing */
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
  pthread_mutex_unlock(&notifier.mutex);
  pthread_join(thread, NULL);
  CHECK_EQ_INT(count, 1);
  CHECK_EQ_INT(notifier.waiters.count, 0);
  uk_log_close(log);
  uk_log_notifier_free(&notifier);
  rig_remove();
}

/* While the thread is awake, everything that becomes due must make it look again before it
 * sleeps. */

static atomic_int looked;

static void look_at_the_thread(void)
{
  pthread_mutex_lock(&notifier.mutex);
  CHECK_EQ_INT(notifier.sleeps_until, INT64_MAX);
  pthread_mutex_unlock(&notifier.mutex);
  atomic_store(&looked, 1);
}

static bool is_asleep(void)
{
  pthread_mutex_lock(&notifier.mutex);
  bool asleep = !notifier.woken && notifier.event_count == 0;
  pthread_mutex_unlock(&notifier.mutex);
  return asleep;
}

static void a_thread_that_is_awake_looks_again(void)
{
  static struct call waiting;
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  start_groups();
  fake_topic("t", 1);
  fake_now = 1000;
  REQUIRE(log != NULL && uk_log_notifier_init(&notifier));
  consume(&waiting, "g", "a", "t", INT64_MAX / 2);
  REQUIRE(uk_log_notifier_start(&notifier, log, groups));
  CHECK_EVENTUALLY(is_asleep());
  fake_during_read(look_at_the_thread);
  fake_produce("t", 0, 1);
  changed("t", 0);
  CHECK_EVENTUALLY(atomic_load(&looked) == 1);
  CHECK_EVENTUALLY(is_asleep()); /* and then sleeps, instead of looking on and on */
  uk_log_notifier_stop(&notifier);
  OUTCOME(&waiting, "t:0:0");
  stop_groups();
  uk_log_close(log);
  uk_log_notifier_free(&notifier);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(records_that_come_before_the_wait_are_seen);
  CHECK_RUN(a_thread_that_is_awake_looks_again);
  CHECK_RUN(repeated_notifications_are_one_event);
  CHECK_RUN(an_event_waits_for_room);
  CHECK_RUN(stopping_lets_an_event_go);
  return check_end();
}
