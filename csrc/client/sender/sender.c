#include <stdlib.h>

#include "client/sender/sender_private.h"
#include "common/clock.h"
#include "common/thread.h"

enum { JOIN_GRACE = 200 /* milliseconds that a thread may take to end after its deadline */ };

void uk_sender_options_default(struct uk_sender_options *options)
{
  *options = (struct uk_sender_options){
    .queue_bytes = 16 << 20,
    .batch_bytes = 512 << 10,
    .batch_messages = 10000,
    .linger = 5,
    .in_flight = 1,
    .give_up_after = 120000,
    .block_timeout = 1000,
    .flush_timeout = UK_SENDER_FLUSH_MAX,
    .log = true,
  };
}

/* Life. */

static void init_locks(struct uk_sender *sender)
{
  uk_condition_init(&sender->changed);
  pthread_mutex_init(&sender->lock, NULL);
  pthread_mutex_init(&sender->latency_lock, NULL);
}

static struct uk_sender *allocate(const struct uk_settings *settings,
                                  const struct uk_sender_options *options,
                                  const struct uk_sender_owner *owner)
{
  const unsigned batches =
    (unsigned)options->in_flight + 1; /* one fills while the others are sent */
  struct uk_sender *sender = calloc(1, sizeof *sender + batches * sizeof sender->batches[0]);
  if (sender == NULL)
    return NULL;
  sender->options = *options;
  sender->owner = owner;
  sender->oldest_batched = UINT64_MAX;
  sender->wake_messages = sender->wake_bytes = SIZE_MAX;
  sender->batch_count = batches;
  for (unsigned i = 0; i < batches; i++)
    uk_sender_batch_init(&sender->batches[i]);
  init_locks(sender);
  if (!uk_settings_copy(&sender->settings, settings) ||
      !uk_sender_queue_init(&sender->queue, (size_t)options->queue_bytes)) {
    uk_sender_destroy(sender);
    return NULL;
  }
  return sender;
}

struct uk_sender *uk_sender_create(const struct uk_settings *settings,
                                   const struct uk_sender_options *options,
                                   const struct uk_sender_owner *owner, enum uk_error *error)
{
  struct uk_sender *sender = allocate(settings, options, owner);
  *error = UK_E_NO_MEMORY;
  if (sender == NULL)
    return NULL;
  sender->transfers = uk_transfers_open(&sender->settings, sender->batch_count);
  if (sender->transfers != NULL && uk_thread_start(&sender->thread, uk_sender_run_thread, sender))
    return sender;
  uk_sender_destroy(sender);
  return NULL;
}

void uk_sender_destroy(struct uk_sender *sender)
{
  struct uk_list *failures = &sender->failures.list;
  for (void *failure; (failure = UK_LIST_TAKE(failures, struct uk_sender_failure, link)) != NULL;)
    free(failure);
  uk_transfers_close(sender->transfers);
  for (unsigned i = 0; i < sender->batch_count; i++)
    uk_sender_batch_free(&sender->batches[i]);
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

/* Waiting. */

/* Precondition: the caller holds the lock, which is released while it waits. False at the
 * deadline. */
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
  sender->detached = !ended;
  pthread_mutex_unlock(&sender->lock);
  if (ended)
    pthread_join(sender->thread, NULL);
  return ended;
}

uint64_t uk_sender_flush_start(struct uk_sender *sender)
{
  pthread_mutex_lock(&sender->lock);
  const uint64_t mark = sender->queue.sequence;
  const bool waiting = sender->queue.messages > 0 && sender->flush_mark < mark;
  if (waiting)
    sender->flush_mark = mark;
  pthread_mutex_unlock(&sender->lock);
  if (waiting)
    uk_transfers_wake(sender->transfers);
  return mark;
}

/* Precondition: the caller holds the lock. */
static bool is_flushed(const struct uk_sender *sender, uint64_t mark)
{
  return uk_sender_queue_oldest(&sender->queue) >= mark && sender->oldest_batched >= mark;
}

bool uk_sender_is_flushed(struct uk_sender *sender, uint64_t mark)
{
  return uk_sender_wait(sender, mark, 0);
}

bool uk_sender_wait(struct uk_sender *sender, uint64_t mark, int64_t deadline)
{
  pthread_mutex_lock(&sender->lock);
  while (!is_flushed(sender, mark) && deadline > 0 && wait_until(sender, deadline))
    continue;
  const bool flushed = is_flushed(sender, mark);
  pthread_mutex_unlock(&sender->lock);
  return flushed;
}

/* Sending. */

static enum uk_error drop_oldest(struct uk_sender *sender)
{
  if (sender->queue.open) { /* a batch is being copied out of it */
    wait_until(sender, uk_clock_monotonic() + sender->options.block_timeout);
    return UK_OK;
  }
  if (sender->options.log && uk_sender_unlogged(sender) == 0)
    sender->wake_messages = 0; /* wakes the thread, which logs the drop */
  uk_sender_queue_drop(&sender->queue);
  uk_sender_count_discard(sender, true, UK_E_QUEUE_FULL, 0, uk_slice_of(NULL, 0));
  return UK_OK;
}

/* Takes one step towards room in a full queue. Precondition: the caller holds the lock. */
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

/* Room for a record. Precondition: the caller holds the lock, which is released while it waits. */
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

/* True, once, when the queue has reached a level that wakes the thread. */
static bool is_wake_due(struct uk_sender *sender)
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
    wake = is_wake_due(sender);
  } else {
    sender->counts.refused += error == UK_E_QUEUE_FULL;
  }
  pthread_mutex_unlock(&sender->lock);
  if (wake)
    uk_transfers_wake(sender->transfers);
  return error;
}

/* Reports. */

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

static uint64_t discards(const struct uk_sender *sender)
{
  return sender->counts.failed + sender->counts.dropped;
}

uint64_t uk_sender_discards(struct uk_sender *sender, uint64_t since,
                            struct uk_sender_reason *first)
{
  pthread_mutex_lock(&sender->lock);
  const struct uk_sender_reason *reason = uk_sender_reasons_after(&sender->reasons, since);
  if (reason != NULL)
    *first = *reason;
  const uint64_t count = discards(sender);
  pthread_mutex_unlock(&sender->lock);
  return count;
}

void uk_sender_count_discard(struct uk_sender *sender, bool dropped, enum uk_error error,
                             int status, struct uk_slice text)
{
  if (dropped)
    sender->counts.dropped++;
  else
    sender->counts.failed++;
  uk_sender_reasons_add(&sender->reasons, discards(sender), error, status, text);
}

bool uk_sender_is_refusal(enum uk_error error)
{
  return error == UK_E_UNAUTHORIZED || error == UK_E_FORBIDDEN;
}

int64_t uk_sender_log_interval(const struct uk_sender *sender)
{
  const struct uk_sender_reason *last = uk_sender_reasons_last(&sender->reasons);
  const bool again =
    last != NULL && last->error == sender->logged_error && uk_sender_is_refusal(last->error);
  return again ? UK_SENDER_LOG_AGAIN : UK_SENDER_LOG_INTERVAL;
}

uint64_t uk_sender_unlogged(const struct uk_sender *sender)
{
  return sender->options.log ? discards(sender) - sender->logged : 0;
}

uint64_t uk_sender_take_failures(struct uk_sender *sender, struct uk_list *failures)
{
  pthread_mutex_lock(&sender->lock);
  const uint64_t dropped = uk_sender_failures_take(&sender->failures, failures);
  pthread_mutex_unlock(&sender->lock);
  return dropped;
}
