#include "client/sender/sender_registry.h"

#include <stdlib.h>
#include <string.h>

#include "client/sender/sender_private.h"
#include "common/clock.h"
#include "common/thread.h"

/* One per process. Lock order: `lock` before that of a sender. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t retired; /* initialized before the first sender is */
  struct uk_list senders;
  unsigned count;
  unsigned retiring; /* threads that free their senders */
  bool exiting;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_uint generation;
static pthread_once_t once = PTHREAD_ONCE_INIT;

unsigned uk_registry_generation(void)
{
  return atomic_load_explicit(&generation, memory_order_relaxed);
}

static struct uk_sender *first_sender(const struct uk_list *senders)
{
  return UK_LIST_FIRST(senders, struct uk_sender, link);
}

static struct uk_sender *next_sender(const struct uk_list *senders, const struct uk_sender *sender)
{
  return UK_LIST_NEXT(senders, sender, struct uk_sender, link);
}

/* The process forks, the process ends. */

static void before_fork(void)
{
  pthread_mutex_lock(&registry.lock);
}

static void after_fork(void)
{
  pthread_mutex_unlock(&registry.lock);
}

/* The threads of the senders run in the parent only, and their locks may be held forever. */
static void begin_child(void)
{
  for (struct uk_sender *sender = first_sender(&registry.senders); sender != NULL;
       sender = next_sender(&registry.senders, sender))
    uk_sender_abandon(sender);
  registry.senders = (struct uk_list){.head = {NULL, NULL}};
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
  for (const struct uk_sender *sender = first_sender(&registry.senders); sender != NULL;
       sender = next_sender(&registry.senders, sender))
    if (sender->options.flush_timeout > longest)
      longest = sender->options.flush_timeout;
  pthread_mutex_unlock(&registry.lock);
  return longest;
}

static void end_process(void)
{
  uk_registry_close_all(exit_timeout());
}

/* Sets libcurl up before it registers end_process: exit handlers run in reverse order, so the
 * libraries of libcurl clean up after end_process. */
static void begin_process(void)
{
  uk_condition_init(&registry.retired);
  uk_transfers_prepare();
  pthread_atfork(before_fork, after_fork, begin_child);
  atexit(end_process);
}

/* References. */

/* Limits batch_bytes to half of the queue: one half fills while a batch of the other half is
 * sent. */
static struct uk_sender_options effective_options(const struct uk_sender_options *options)
{
  struct uk_sender_options effective = *options;
  if (effective.batch_bytes > effective.queue_bytes / 2)
    effective.batch_bytes = effective.queue_bytes / 2;
  return effective;
}

static bool same_options(const struct uk_sender_options *a, const struct uk_sender_options *b)
{
  return a->queue_bytes == b->queue_bytes && a->batch_bytes == b->batch_bytes &&
         a->batch_messages == b->batch_messages && a->linger == b->linger &&
         a->in_flight == b->in_flight && a->message_timeout == b->message_timeout &&
         a->give_up_after == b->give_up_after && a->block_timeout == b->block_timeout &&
         a->flush_timeout == b->flush_timeout && a->overflow == b->overflow && a->gzip == b->gzip &&
         a->log == b->log && strcmp(a->name, b->name) == 0;
}

/* Precondition of the next four: the caller holds the lock. */

static struct uk_sender *find(const struct uk_settings *settings,
                              const struct uk_sender_options *options)
{
  struct uk_sender *sender = first_sender(&registry.senders);
  while (sender != NULL && (!uk_settings_equal(&sender->settings, settings) ||
                            !same_options(&sender->options, options)))
    sender = next_sender(&registry.senders, sender);
  return sender;
}

static void list(struct uk_sender *sender)
{
  uk_list_add_first(&registry.senders, &sender->link);
  sender->listed = true;
  registry.count++;
}

static void unlist(struct uk_sender *sender)
{
  uk_list_remove(&sender->link);
  sender->listed = false;
  registry.count--;
}

static const struct uk_sender_owner owner;

static struct uk_sender *start(const struct uk_settings *settings,
                               const struct uk_sender_options *options, enum uk_error *error)
{
  *error = registry.exiting ? UK_E_CANCELLED : UK_E_TOO_MANY;
  if (registry.exiting || registry.count == UK_REGISTRY_SENDERS_MAX)
    return NULL;
  struct uk_sender *sender = uk_sender_create(settings, options, &owner, error);
  if (sender != NULL)
    list(sender);
  return sender;
}

struct uk_sender *uk_registry_acquire(const struct uk_settings *settings,
                                      const struct uk_sender_options *options, enum uk_error *error)
{
  const struct uk_sender_options effective = effective_options(options);
  pthread_once(&once, begin_process);
  pthread_mutex_lock(&registry.lock);
  struct uk_sender *sender = find(settings, &effective);
  if (sender == NULL)
    sender = start(settings, &effective, error);
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

/* The owner of the senders: called by their threads. */

static bool retire(struct uk_sender *sender)
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

static bool is_retired(const struct uk_sender *sender)
{
  pthread_mutex_lock(&registry.lock);
  const bool retired = sender->references == 0;
  pthread_mutex_unlock(&registry.lock);
  return retired;
}

static void ended(struct uk_sender *sender)
{
  if (!is_retired(sender)) {
    uk_registry_release(sender);
    return;
  }
  uk_sender_destroy(sender);
  pthread_mutex_lock(&registry.lock);
  registry.retiring--;
  pthread_cond_broadcast(&registry.retired);
  pthread_mutex_unlock(&registry.lock);
}

static const struct uk_sender_owner owner = {retire, ended};

/* Closing. */

static uint64_t unresolved(struct uk_sender *sender)
{
  struct uk_sender_stats stats;
  uk_sender_stats(sender, &stats);
  return stats.queued + stats.in_flight;
}

/* Waits for the end of a sender that is stopping and not listed. A thread that does not end in time
 * keeps the reference taken here, and with it the sender. */
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
  return uk_sender_wait(sender, uk_sender_flush_start(sender), deadline) ? 0 : unresolved(sender);
}

/* Moves every sender to `senders`, each with a reference for the caller. */
static void take_all(struct uk_list *senders)
{
  pthread_mutex_lock(&registry.lock);
  uk_list_move(senders, &registry.senders);
  for (struct uk_sender *sender = first_sender(senders); sender != NULL;
       sender = next_sender(senders, sender)) {
    sender->listed = false;
    sender->references++;
  }
  registry.count = 0;
  pthread_mutex_unlock(&registry.lock);
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
  struct uk_list senders = {.head = {NULL, NULL}};
  struct uk_sender *sender;
  uint64_t lost = 0;
  take_all(&senders);
  for (sender = first_sender(&senders); sender != NULL; sender = next_sender(&senders, sender))
    uk_sender_stop(sender, deadline);
  while ((sender = UK_LIST_TAKE(&senders, struct uk_sender, link)) != NULL) {
    lost += finish(sender, deadline);
    uk_registry_release(sender);
  }
  await_retiring(deadline);
  return lost;
}
