#include "client/sender/sender_registry.h"

#include <stdlib.h>
#include <string.h>

#include "client/sender/sender_private.h"
#include "common/clock.h"
#include "common/thread.h"

/* Of the process. `lock` is taken before any sender's. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t retired; /* from the first sender on */
  struct uk_sender *first;
  unsigned count;
  unsigned retiring; /* threads that destroy their senders */
  bool exiting;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_uint generation;
static pthread_once_t once = PTHREAD_ONCE_INIT;

unsigned uk_registry_generation(void)
{
  return atomic_load_explicit(&generation, memory_order_relaxed);
}

/* ---- the process forks, the process ends ---- */

static void before_fork(void)
{
  pthread_mutex_lock(&registry.lock);
}

static void after_fork(void)
{
  pthread_mutex_unlock(&registry.lock);
}

/* The senders' threads are the parent's, and their locks may be held for ever. */
static void begin_child(void)
{
  for (struct uk_sender *sender = registry.first; sender != NULL; sender = sender->next)
    uk_sender_abandon(sender);
  registry.first = NULL;
  registry.count = registry.retiring = 0;
  uk_condition_init(&registry.retired);
  pthread_mutex_init(&registry.lock, NULL);
  atomic_fetch_add(&generation, 1);
}

static int64_t exit_timeout(void)
{
  int64_t longest = 0;
  pthread_mutex_lock(&registry.lock);
  registry.exiting = true;
  for (const struct uk_sender *sender = registry.first; sender != NULL; sender = sender->next)
    if (sender->options.flush_timeout > longest)
      longest = sender->options.flush_timeout;
  pthread_mutex_unlock(&registry.lock);
  return longest;
}

static void end_process(void)
{
  uk_registry_close_all(exit_timeout());
}

/* libcurl comes first, so that what its libraries do at the exit is done after end_process. */
static void begin_process(void)
{
  uk_condition_init(&registry.retired);
  uk_transfers_prepare();
  pthread_atfork(before_fork, after_fork, begin_child);
  atexit(end_process);
}

/* ---- references ---- */

/* A batch does not wait for more than half of the queue. */
static struct uk_sender_options settle(const struct uk_sender_options *options)
{
  struct uk_sender_options settled = *options;
  if (settled.batch_bytes > settled.queue_bytes / 2)
    settled.batch_bytes = settled.queue_bytes / 2;
  return settled;
}

static bool same_options(const struct uk_sender_options *a, const struct uk_sender_options *b)
{
  return a->queue_bytes == b->queue_bytes && a->batch_bytes == b->batch_bytes &&
         a->batch_messages == b->batch_messages && a->linger == b->linger &&
         a->in_flight == b->in_flight && a->message_timeout == b->message_timeout &&
         a->block_timeout == b->block_timeout && a->flush_timeout == b->flush_timeout &&
         a->overflow == b->overflow && a->gzip == b->gzip && a->log == b->log &&
         strcmp(a->name, b->name) == 0;
}

static struct uk_sender *find(const struct uk_settings *settings,
                              const struct uk_sender_options *options)
{
  struct uk_sender *sender = registry.first;
  while (sender != NULL && (!uk_settings_equal(&sender->settings, settings) ||
                            !same_options(&sender->options, options)))
    sender = sender->next;
  return sender;
}

/* Holds the lock. */
static struct uk_sender *start(const struct uk_settings *settings,
                               const struct uk_sender_options *options, enum uk_error *error)
{
  *error = registry.exiting ? UK_E_CANCELLED : UK_E_TOO_MANY;
  if (registry.exiting || registry.count == UK_REGISTRY_SENDERS_MAX)
    return NULL;
  struct uk_sender *sender = uk_sender_create(settings, options, error);
  if (sender == NULL)
    return NULL;
  sender->next = registry.first;
  sender->listed = true;
  registry.first = sender;
  registry.count++;
  return sender;
}

static void unlist(struct uk_sender *sender)
{
  struct uk_sender **link = &registry.first;
  while (*link != sender)
    link = &(*link)->next;
  *link = sender->next;
  sender->listed = false;
  registry.count--;
}

struct uk_sender *uk_registry_acquire(const struct uk_settings *settings,
                                      const struct uk_sender_options *options, enum uk_error *error)
{
  const struct uk_sender_options settled = settle(options);
  pthread_once(&once, begin_process);
  pthread_mutex_lock(&registry.lock);
  struct uk_sender *sender = find(settings, &settled);
  if (sender == NULL)
    sender = start(settings, &settled, error);
  if (sender != NULL) {
    sender->references++;
    atomic_store(&sender->orphaned, false);
  }
  pthread_mutex_unlock(&registry.lock);
  return sender;
}

void uk_registry_release(struct uk_sender *sender)
{
  pthread_mutex_lock(&registry.lock);
  const bool unused = --sender->references == 0, listed = sender->listed;
  if (unused && listed) {
    atomic_store(&sender->orphaned, true);
    uk_transfers_wake(sender->transfers);
  }
  pthread_mutex_unlock(&registry.lock);
  if (unused && !listed)
    uk_sender_destroy(sender);
}

/* ---- ends ---- */

bool uk_registry_retire(struct uk_sender *sender)
{
  pthread_mutex_lock(&registry.lock);
  const bool unused = sender->listed && sender->references == 0;
  if (unused) {
    unlist(sender);
    registry.retiring++;
  }
  pthread_mutex_unlock(&registry.lock);
  return unused;
}

void uk_registry_retired(void)
{
  pthread_mutex_lock(&registry.lock);
  registry.retiring--;
  pthread_cond_broadcast(&registry.retired);
  pthread_mutex_unlock(&registry.lock);
}

static uint64_t unsettled(struct uk_sender *sender)
{
  struct uk_sender_stats stats;
  uk_sender_stats(sender, &stats);
  return stats.queued + stats.in_flight;
}

/* Waits for the end of a sender that was told to stop and is not listed. A thread that does not end keeps its
 * sender for as long. */
static uint64_t finish(struct uk_sender *sender, int64_t deadline)
{
  struct uk_sender_stats stats;
  pthread_mutex_lock(&registry.lock);
  sender->references++;
  pthread_mutex_unlock(&registry.lock);
  const bool joined = uk_sender_join(sender, deadline);
  uk_sender_stats(sender, &stats);
  if (joined)
    uk_registry_release(sender);
  return stats.lost + stats.queued + stats.in_flight;
}

uint64_t uk_registry_close(struct uk_sender *sender, int64_t timeout, bool *stopped)
{
  const int64_t deadline = uk_clock_monotonic() + timeout;
  pthread_mutex_lock(&registry.lock);
  const bool ours = sender->listed && sender->references == 1;
  if (ours)
    unlist(sender);
  *stopped = !sender->listed;
  pthread_mutex_unlock(&registry.lock);
  if (ours) {
    uk_sender_stop(sender, deadline);
    return finish(sender, deadline);
  }
  return uk_sender_wait(sender, uk_sender_hurry(sender), deadline) ? 0 : unsettled(sender);
}

/* Every sender, not listed any more, each with a reference for the caller. */
static struct uk_sender *take_all(void)
{
  pthread_mutex_lock(&registry.lock);
  struct uk_sender *first = registry.first;
  for (struct uk_sender *sender = first; sender != NULL; sender = sender->next) {
    sender->listed = false;
    sender->references++;
  }
  registry.first = NULL;
  registry.count = 0;
  pthread_mutex_unlock(&registry.lock);
  return first;
}

static void await_retiring(int64_t deadline)
{
  pthread_mutex_lock(&registry.lock);
  while (registry.retiring > 0 && uk_clock_monotonic() < deadline)
    uk_condition_wait(&registry.retired, &registry.lock, deadline);
  pthread_mutex_unlock(&registry.lock);
}

uint64_t uk_registry_close_all(int64_t timeout)
{
  const int64_t deadline = uk_clock_monotonic() + timeout;
  struct uk_sender *first = take_all(), *next;
  uint64_t lost = 0;
  for (struct uk_sender *sender = first; sender != NULL; sender = sender->next)
    uk_sender_stop(sender, deadline);
  for (struct uk_sender *sender = first; sender != NULL; sender = next) {
    next = sender->next;
    lost += finish(sender, deadline);
    uk_registry_release(sender);
  }
  await_retiring(deadline);
  return lost;
}
