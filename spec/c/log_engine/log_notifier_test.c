/* The notifier's ring of events: which notifications become one event, and what happens when the
 * ring is full. For: log_notifier.c. */
#include "server/log_engine/log_notifier.h"

#include <stdatomic.h>

#include "check.h"
#include "fake_log.h"
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
  struct uk_groups_log below = fake_log();
  struct uk_log *log = rig_open(&options);
  struct uk_groups *groups = uk_groups_open(&below);
  fake_log_reset();
  REQUIRE(log != NULL && groups != NULL && fill(&pusher));
  REQUIRE(uk_log_notifier_start(&notifier, log, groups));
  CHECK_EVENTUALLY(atomic_load(&passed) == 1);
  pthread_join(pusher, NULL);
  CHECK_EVENTUALLY(events_left() == 0);
  uk_log_notifier_stop(&notifier);
  CHECK_EQ_INT(notifier.event_first, 1); /* once round the ring, and one more */
  uk_groups_close(groups);
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

int main(void)
{
  CHECK_RUN(repeated_notifications_are_one_event);
  CHECK_RUN(an_event_waits_for_room);
  CHECK_RUN(stopping_lets_an_event_go);
  return check_end();
}
