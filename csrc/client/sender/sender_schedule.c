/* What the sender does next, and when. Nothing here blocks, and nothing here reads a clock. */
#include "client/sender/sender_private.h"

enum { WAIT_MAX = 60000 /* milliseconds */ };

static int64_t earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

/* From the queue to batches. */

/* A message lingers for at most half of its message_timeout: the other half is left for
 * delivery. */
static int64_t linger_of(const struct uk_sender_options *options)
{
  const int64_t half = options->message_timeout / 2;
  return half > 0 ? earlier(half, options->linger) : options->linger;
}

/* Milliseconds until messages leave the queue; INT64_MAX when it is empty. Precondition: the caller
 * holds the lock. */
static int64_t queue_due(struct uk_sender *sender, int64_t now)
{
  const struct uk_sender_options *options = &sender->options;
  const struct uk_sender_record *first = uk_sender_queue_first(&sender->queue);
  if (first == NULL)
    return INT64_MAX;
  if (now < sender->no_memory_until)
    return sender->no_memory_until - now;
  if (sender->stopping || first->sequence < sender->flush_mark ||
      sender->queue.messages >= (size_t)options->batch_messages ||
      sender->queue.used >= (size_t)options->batch_bytes)
    return 0;
  return later(first->queued + linger_of(options) - now, 0);
}

struct uk_sender_batch *uk_sender_free_batch(struct uk_sender *sender)
{
  for (unsigned i = 0; i < sender->batch_count; i++)
    if (sender->batches[i].state == UK_BATCH_FREE)
      return &sender->batches[i];
  return NULL;
}

/* Opens the reader when messages are due. */
static bool open_due(struct uk_sender *sender, struct uk_queue_reader *reader, int64_t now)
{
  pthread_mutex_lock(&sender->lock);
  const bool due = queue_due(sender, now) == 0;
  if (due)
    uk_queue_reader_open(reader, &sender->queue);
  pthread_mutex_unlock(&sender->lock);
  return due;
}

bool uk_sender_fill(struct uk_sender *sender, struct uk_sender_batch *batch, int64_t now)
{
  struct uk_queue_reader reader;
  if (!open_due(sender, &reader, now))
    return false;
  /* Copies without the lock. */
  const bool filled = uk_sender_batch_fill(batch, &reader, (size_t)sender->options.batch_bytes,
                                           (size_t)sender->options.batch_messages);
  pthread_mutex_lock(&sender->lock);
  uk_queue_reader_close(&reader, &sender->queue);
  sender->counts.in_flight += reader.messages;
  if (filled && batch->oldest < sender->oldest_batched)
    sender->oldest_batched = batch->oldest;
  if (sender->waiters > 0)
    pthread_cond_broadcast(&sender->changed);
  pthread_mutex_unlock(&sender->lock);
  if (!filled)
    sender->no_memory_until = now + UK_SENDER_MEMORY_DELAY;
  return filled;
}

/* From batches to the server. */

static bool waits(const struct uk_sender_batch *batch)
{
  return batch->state == UK_BATCH_READY || batch->state == UK_BATCH_UNWRITTEN;
}

/* True when `a` is sent before `b`: of two that are due, the one with older messages. With one
 * request in flight always the one with older messages, even when it is not due yet: that keeps the
 * order. */
static bool precedes(const struct uk_sender *sender, const struct uk_sender_batch *a,
                     const struct uk_sender_batch *b, int64_t now)
{
  const int64_t a_due = later(a->due, now), b_due = later(b->due, now);
  if (sender->options.in_flight > 1 && a_due != b_due)
    return a_due < b_due;
  return a->oldest < b->oldest;
}

struct uk_sender_batch *uk_sender_next_batch(struct uk_sender *sender, int64_t now)
{
  struct uk_sender_batch *next = NULL;
  if (sender->sending == (unsigned)sender->options.in_flight)
    return NULL;
  for (unsigned i = 0; i < sender->batch_count; i++) {
    struct uk_sender_batch *batch = &sender->batches[i];
    if (waits(batch) && (next == NULL || precedes(sender, batch, next, now)))
      next = batch;
  }
  return next;
}

void uk_sender_skip_delays(struct uk_sender *sender, int64_t now)
{
  pthread_mutex_lock(&sender->lock);
  const bool stopping = sender->stopping;
  pthread_mutex_unlock(&sender->lock);
  if (!stopping || sender->delays_skipped)
    return;
  sender->delays_skipped = true;
  for (unsigned i = 0; i < sender->batch_count; i++)
    sender->batches[i].due = earlier(sender->batches[i].due, now);
}

/* Sleep. */

/* Sets the queue levels at which a caller wakes the thread: below them it could do nothing new.
 * Precondition: the caller holds the lock. */
static void set_wake_levels(struct uk_sender *sender, bool has_room)
{
  const struct uk_sender_queue *queue = &sender->queue;
  sender->wake_messages = sender->wake_bytes = SIZE_MAX;
  if (!has_room)
    return;
  sender->wake_messages = queue->messages > 0 ? (size_t)sender->options.batch_messages : 1;
  sender->wake_bytes = (size_t)sender->options.batch_bytes;
}

int64_t uk_sender_next_wait(struct uk_sender *sender, int64_t now)
{
  const bool has_room = uk_sender_free_batch(sender) != NULL;
  const struct uk_sender_batch *next = uk_sender_next_batch(sender, now);
  int64_t wait = next != NULL ? earlier(WAIT_MAX, next->due - now) : WAIT_MAX;
  const int64_t expiry = uk_sender_next_expiry(sender);
  wait = earlier(wait, expiry == INT64_MAX ? WAIT_MAX : expiry - now);
  pthread_mutex_lock(&sender->lock);
  if (has_room)
    wait = earlier(wait, queue_due(sender, now));
  if (sender->stopping)
    wait = earlier(wait, sender->stop_at - now);
  if (uk_sender_unlogged(sender) > 0)
    wait = earlier(wait, sender->logged_at + uk_sender_log_interval(sender) - now);
  set_wake_levels(sender, has_room);
  pthread_mutex_unlock(&sender->lock);
  if (atomic_load(&sender->orphaned))
    wait = earlier(wait, sender->idle_since + UK_SENDER_IDLE - now);
  return later(wait, 0);
}

bool uk_sender_is_empty(struct uk_sender *sender)
{
  for (unsigned i = 0; i < sender->batch_count; i++)
    if (sender->batches[i].state != UK_BATCH_FREE)
      return false;
  pthread_mutex_lock(&sender->lock);
  const bool empty = sender->queue.messages == 0;
  pthread_mutex_unlock(&sender->lock);
  return empty;
}

/* The end. */

bool uk_sender_is_unused(struct uk_sender *sender, bool empty, int64_t now)
{
  if (!empty || !atomic_load(&sender->orphaned))
    sender->idle_since = now;
  return now - sender->idle_since >= UK_SENDER_IDLE;
}

bool uk_sender_is_stopped(struct uk_sender *sender, bool empty, int64_t now)
{
  pthread_mutex_lock(&sender->lock);
  const bool stopped = sender->stopping && (empty || now >= sender->stop_at);
  pthread_mutex_unlock(&sender->lock);
  return stopped;
}
