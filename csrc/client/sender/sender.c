#include <stdlib.h>
#include <sys/random.h>

#include "client/jitter.h"
#include "client/sender/sender_private.h"
#include "common/clock.h"
#include "common/thread.h"

enum { JOIN_GRACE = 200 /* milliseconds for a thread that was told to end */ };

void uk_sender_options_default(struct uk_sender_options *options)
{
  *options = (struct uk_sender_options){
    .queue_bytes = 16 << 20,
    .batch_bytes = 512 << 10,
    .batch_messages = 10000,
    .linger = 5,
    .in_flight = 1,
    .block_timeout = 1000,
    .flush_timeout = UK_SENDER_FLUSH_MAX,
    .log = true,
  };
}

/* ---- life ---- */

static void init_locks(struct uk_sender *sender)
{
  uk_condition_init(&sender->changed);
  pthread_mutex_init(&sender->lock, NULL);
  pthread_mutex_init(&sender->latency_lock, NULL);
}

/* Not to be met again by another process or sender: two requests under one key would be taken for one. */
static uint64_t make_seed(void)
{
  uint64_t seed;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
    seed = (uint64_t)uk_jitter() << 32 ^ (uint64_t)uk_clock_epoch();
  return seed;
}

static struct uk_sender *allocate(const struct uk_settings *settings,
                                  const struct uk_sender_options *options)
{
  const unsigned slots = (unsigned)options->in_flight + 1; /* one is filled while others are sent */
  struct uk_sender *sender = calloc(1, sizeof *sender + slots * sizeof sender->slots[0]);
  if (sender == NULL)
    return NULL;
  sender->options = *options;
  sender->batched = UINT64_MAX;
  sender->wake_messages = sender->wake_bytes = SIZE_MAX;
  sender->seed = make_seed();
  sender->slot_count = slots;
  for (unsigned i = 0; i < slots; i++)
    uk_sender_batch_init(&sender->slots[i].batch);
  init_locks(sender);
  if (!uk_settings_copy(&sender->settings, settings) ||
      !uk_sender_queue_init(&sender->queue, (size_t)options->queue_bytes)) {
    uk_sender_destroy(sender);
    return NULL;
  }
  return sender;
}

struct uk_sender *uk_sender_create(const struct uk_settings *settings,
                                   const struct uk_sender_options *options, enum uk_error *error)
{
  struct uk_sender *sender = allocate(settings, options);
  *error = UK_E_NO_MEMORY;
  if (sender == NULL)
    return NULL;
  sender->transfers = uk_transfers_open(&sender->settings, sender->slot_count);
  if (sender->transfers != NULL && uk_thread_start(&sender->thread, uk_sender_run_thread, sender))
    return sender;
  uk_sender_destroy(sender);
  return NULL;
}

void uk_sender_destroy(struct uk_sender *sender)
{
  uint64_t missed;
  struct uk_sender_failure *failure = uk_sender_failures_take(&sender->failures, &missed), *next;
  for (; failure != NULL; failure = next) {
    next = failure->next;
    free(failure);
  }
  uk_transfers_close(sender->transfers);
  for (unsigned i = 0; i < sender->slot_count; i++)
    uk_sender_batch_free(&sender->slots[i].batch);
  uk_sender_queue_free(&sender->queue);
  uk_settings_free(&sender->settings);
  pthread_mutex_destroy(&sender->lock);
  pthread_mutex_destroy(&sender->latency_lock);
  pthread_cond_destroy(&sender->changed);
  free(sender);
}

void uk_sender_abandon(struct uk_sender *sender)
{
  uk_sender_queue_free(&sender->queue);
}

/* ---- waiting ---- */

/* False when the time has come. Holds the lock. */
static bool wait_until(struct uk_sender *sender, int64_t deadline)
{
  sender->waiters++;
  uk_condition_wait(&sender->changed, &sender->lock, deadline);
  sender->waiters--;
  return uk_clock_monotonic() < deadline;
}

void uk_sender_stop(struct uk_sender *sender, int64_t deadline)
{
  pthread_mutex_lock(&sender->lock);
  sender->stopping = true;
  sender->stop_at = deadline;
  pthread_cond_broadcast(&sender->changed);
  pthread_mutex_unlock(&sender->lock);
  uk_transfers_wake(sender->transfers);
}

bool uk_sender_join(struct uk_sender *sender, int64_t deadline)
{
  pthread_mutex_lock(&sender->lock);
  while (!sender->ended && wait_until(sender, deadline + JOIN_GRACE))
    continue;
  const bool ended = sender->ended;
  sender->left = !ended;
  pthread_mutex_unlock(&sender->lock);
  if (ended)
    pthread_join(sender->thread, NULL);
  return ended;
}

uint64_t uk_sender_hurry(struct uk_sender *sender)
{
  pthread_mutex_lock(&sender->lock);
  const uint64_t mark = sender->queue.sequence;
  const bool waiting = sender->queue.messages > 0 && sender->hurried < mark;
  if (waiting)
    sender->hurried = mark;
  pthread_mutex_unlock(&sender->lock);
  if (waiting)
    uk_transfers_wake(sender->transfers);
  return mark;
}

/* Holds the lock. */
static bool is_settled(const struct uk_sender *sender, uint64_t mark)
{
  return uk_sender_queue_oldest(&sender->queue) >= mark && sender->batched >= mark;
}

bool uk_sender_settled(struct uk_sender *sender, uint64_t mark)
{
  return uk_sender_wait(sender, mark, 0);
}

bool uk_sender_wait(struct uk_sender *sender, uint64_t mark, int64_t deadline)
{
  pthread_mutex_lock(&sender->lock);
  while (!is_settled(sender, mark) && deadline > 0 && wait_until(sender, deadline))
    continue;
  const bool settled = is_settled(sender, mark);
  pthread_mutex_unlock(&sender->lock);
  return settled;
}

/* ---- sending ---- */

static enum uk_error drop_oldest(struct uk_sender *sender)
{
  if (sender->queue.open) { /* for as long as a batch is copied */
    wait_until(sender, uk_clock_monotonic() + sender->options.block_timeout);
    return UK_OK;
  }
  if (uk_sender_untold(sender) == 0)
    sender->wake_messages = 0; /* the thread is to tell of it, whatever it waits for */
  uk_sender_queue_drop(&sender->queue);
  sender->counts.dropped++;
  uk_sender_text_put(sender->discard, uk_slice_text(uk_error_text(UK_E_QUEUE_FULL)));
  return UK_OK;
}

/* One step towards room in a full queue. */
static enum uk_error make_room(struct uk_sender *sender, int64_t now)
{
  switch ((enum uk_overflow)sender->options.overflow) {
  case UK_OVERFLOW_DROP_OLDEST: return drop_oldest(sender);
  case UK_OVERFLOW_BLOCK:
    if (wait_until(sender, now + sender->options.block_timeout))
      return UK_OK;
    break;
  case UK_OVERFLOW_ERROR: break;
  }
  return UK_E_QUEUE_FULL;
}

/* Room for a record; the lock is held, and let go of while waiting. */
static enum uk_error reserve(struct uk_sender *sender, size_t size, int64_t now,
                             struct uk_sender_record **record)
{
  enum uk_error error = UK_OK;
  do {
    if (sender->stopping)
      return UK_E_CANCELLED;
    *record = uk_sender_queue_reserve(&sender->queue, size);
    if (*record == NULL)
      error = make_room(sender, now);
  } while (*record == NULL && error == UK_OK);
  return error;
}

/* Whether the thread is to be woken for what waits now; once. */
static bool takes_waking(struct uk_sender *sender)
{
  if (sender->queue.messages < sender->wake_messages && sender->queue.used < sender->wake_bytes)
    return false;
  sender->wake_messages = sender->wake_bytes = SIZE_MAX;
  return true;
}

enum uk_error uk_sender_send(struct uk_sender *sender, const struct uk_message *message,
                             struct uk_slice headers)
{
  const size_t size = uk_sender_record_size(message, headers.length);
  if (size == 0 || size > sender->queue.capacity)
    return UK_E_TOO_LARGE;
  struct uk_sender_record *record;
  struct uk_message stamped = *message;
  const int64_t now = uk_clock_monotonic();
  bool wake = false;
  if (stamped.timestamp < 0)
    stamped.timestamp = uk_clock_epoch();
  pthread_mutex_lock(&sender->lock);
  const enum uk_error error = reserve(sender, size, now, &record);
  if (error == UK_OK) {
    uk_sender_record_write(record, size, &stamped, headers);
    record->queued = now;
    uk_sender_queue_commit(&sender->queue, record);
    sender->counts.sent++;
    wake = takes_waking(sender);
  } else {
    sender->counts.refused += error == UK_E_QUEUE_FULL;
  }
  pthread_mutex_unlock(&sender->lock);
  if (wake)
    uk_transfers_wake(sender->transfers);
  return error;
}

/* ---- reports ---- */

void uk_sender_stats(struct uk_sender *sender, struct uk_sender_stats *stats)
{
  pthread_mutex_lock(&sender->lock);
  *stats = sender->counts;
  stats->queued = sender->queue.messages;
  stats->bytes = sender->queue.used;
  memcpy(stats->trouble, sender->trouble, sizeof stats->trouble);
  pthread_mutex_unlock(&sender->lock);
  pthread_mutex_lock(&sender->latency_lock);
  stats->latency_mean = uk_sender_latency_mean(&sender->latency);
  stats->latency_p50 = uk_sender_latency_percentile(&sender->latency, 0.50);
  stats->latency_p99 = uk_sender_latency_percentile(&sender->latency, 0.99);
  stats->latency_max = (double)sender->latency.max;
  pthread_mutex_unlock(&sender->latency_lock);
}

struct uk_sender_failure *uk_sender_failures(struct uk_sender *sender, uint64_t *missed)
{
  pthread_mutex_lock(&sender->lock);
  struct uk_sender_failure *first = uk_sender_failures_take(&sender->failures, missed);
  pthread_mutex_unlock(&sender->lock);
  return first;
}
