/* Messages that are older than message_timeout. */
#include "client/response.h"
#include "client/sender/sender_private.h"

enum {
  AT_ONCE = 1000 /* messages of the queue that are given up before the lock is released */
};

/* Why a message was not delivered. */
struct reason {
  enum uk_error error;
  int status;
  char text[UK_SENDER_TEXT_SIZE];
};

static const char no_answer[] = "the message was not delivered within message_timeout";

/* Why the last request failed, if it will be retried; otherwise that no answer came in time.
 * Precondition: the caller holds the lock. */
static struct reason reason_of(const struct uk_sender *sender)
{
  struct reason reason = {UK_E_TIMEOUT, 0, ""};
  uk_sender_text_put(reason.text, uk_slice_text(no_answer));
  if (sender->failure == UK_OK)
    return reason;
  reason.error = sender->failure;
  reason.status = sender->failure_status;
  memcpy(reason.text, sender->trouble, sizeof reason.text);
  return reason;
}

static int64_t expiry_of(const struct uk_sender *sender, const struct uk_sender_record *record)
{
  return record->queued + sender->options.message_timeout;
}

void uk_sender_set_expiry(const struct uk_sender *sender, struct uk_sender_batch *batch)
{
  const struct uk_sender_record *record = NULL;
  if (sender->options.message_timeout > 0 && batch->state != UK_BATCH_FREE)
    record = uk_sender_batch_live(batch, NULL);
  batch->expires = record != NULL ? expiry_of(sender, record) : INT64_MAX;
}

/* Batches. */

/* Gives up the expired messages of a batch, and marks them: they stay in the request under way. */
static void mark_expired(struct uk_sender *sender, struct uk_sender_batch *batch, int64_t now)
{
  struct uk_sender_record *record = uk_sender_batch_live(batch, NULL);
  pthread_mutex_lock(&sender->lock);
  const struct reason reason = reason_of(sender);
  pthread_mutex_unlock(&sender->lock);
  while (record != NULL && expiry_of(sender, record) <= now) {
    uk_sender_give_up(sender, record, reason.error, reason.status, uk_slice_text(reason.text));
    record->flags |= UK_RECORD_EXPIRED;
    record = uk_sender_batch_live(batch, record);
  }
  if (record != NULL)
    batch->oldest = record->sequence;
}

/* Cancels a request whose messages have all expired. */
static void cancel(struct uk_sender *sender, struct uk_sender_batch *batch)
{
  const struct uk_client_failure failure = {
    .error = UK_E_TIMEOUT, .retry_after = -1, .message = uk_slice_text(no_answer)};
  uk_transfers_cancel(sender->transfers, (unsigned)(batch - sender->batches));
  sender->sending--;
  pthread_mutex_lock(&sender->lock);
  sender->counts.requests++;
  pthread_mutex_unlock(&sender->lock);
  uk_sender_fail(sender, batch, &failure);
}

static void expire_batch(struct uk_sender *sender, struct uk_sender_batch *batch, int64_t now)
{
  mark_expired(sender, batch, now);
  if (batch->state == UK_BATCH_SENDING && !uk_sender_batch_is_awaited(batch))
    cancel(sender, batch);
  if (batch->state != UK_BATCH_SENDING)
    batch->state = UK_BATCH_UNWRITTEN; /* the other messages are written when the batch is due */
  if (uk_sender_batch_live(batch, NULL) == NULL)
    uk_sender_write(sender, batch);
  uk_sender_set_expiry(sender, batch);
  uk_sender_update_waiters(sender);
}

/* The queue. */

/* Gives up the oldest message if it has expired. Precondition: the caller holds the lock. */
static bool drop_expired(struct uk_sender *sender, const struct reason *reason, int64_t now)
{
  const struct uk_sender_record *record = uk_sender_queue_first(&sender->queue);
  if (record == NULL || expiry_of(sender, record) > now)
    return false;
  if (!uk_sender_failures_add(&sender->failures, record, reason->error, reason->status,
                              uk_slice_text(reason->text)))
    sender->counts.dropped_failures++;
  uk_sender_queue_drop(&sender->queue);
  uk_sender_count_discard(sender, false, reason->error, reason->status,
                          uk_slice_text(reason->text));
  return true;
}

/* Gives up at most AT_ONCE messages. True when there may be more. */
static bool expire_queue(struct uk_sender *sender, int64_t now)
{
  int dropped = 0;
  pthread_mutex_lock(&sender->lock);
  const struct reason reason = reason_of(sender);
  while (dropped < AT_ONCE && drop_expired(sender, &reason, now))
    dropped++;
  if (dropped > 0 && sender->waiters > 0)
    pthread_cond_broadcast(&sender->changed);
  pthread_mutex_unlock(&sender->lock);
  return dropped == AT_ONCE;
}

/* The thread's step. */

void uk_sender_expire(struct uk_sender *sender, int64_t now)
{
  if (sender->options.message_timeout == 0)
    return;
  for (unsigned i = 0; i < sender->batch_count; i++)
    if (sender->batches[i].state != UK_BATCH_FREE && sender->batches[i].expires <= now)
      expire_batch(sender, &sender->batches[i], now);
  while (expire_queue(sender, now))
    continue;
}

int64_t uk_sender_next_expiry(struct uk_sender *sender)
{
  int64_t next = INT64_MAX;
  if (sender->options.message_timeout == 0)
    return next;
  for (unsigned i = 0; i < sender->batch_count; i++) {
    const struct uk_sender_batch *batch = &sender->batches[i];
    if (batch->state != UK_BATCH_FREE && batch->expires < next)
      next = batch->expires;
  }
  pthread_mutex_lock(&sender->lock);
  const struct uk_sender_record *first = uk_sender_queue_first(&sender->queue);
  if (first != NULL && expiry_of(sender, first) < next)
    next = expiry_of(sender, first);
  pthread_mutex_unlock(&sender->lock);
  return next;
}
