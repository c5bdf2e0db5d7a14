#include <stdio.h>

#include "client/call.h"
#include "client/jitter.h"
#include "client/response.h"
#include "client/sender/sender_private.h"
#include "common/clock.h"

enum { KEY_SIZE = 64 };

/* Puts the mark right that waiters look at, and wakes them. Holds the lock. */
static void publish(struct uk_sender *sender)
{
  uint64_t oldest = UINT64_MAX;
  for (unsigned i = 0; i < sender->slot_count; i++) {
    const struct uk_sender_batch *batch = &sender->slots[i].batch;
    if (batch->pending > 0 && batch->oldest < oldest)
      oldest = batch->oldest;
  }
  sender->batched = oldest;
  if (sender->waiters > 0)
    pthread_cond_broadcast(&sender->changed);
}

/* Counts what was settled. */
static void count(struct uk_sender *sender, uint64_t *counter, uint64_t messages)
{
  pthread_mutex_lock(&sender->lock);
  *counter += messages;
  sender->counts.in_flight -= messages;
  pthread_mutex_unlock(&sender->lock);
}

/* ---- failures ---- */

/* Keeps the message among the failures. Holds the lock. */
static void discard(struct uk_sender *sender, const struct uk_sender_record *record,
                    enum uk_error error, int status, struct uk_slice text)
{
  if (!uk_sender_failures_add(&sender->failures, record, error, status, text))
    sender->counts.missed++;
}

/* The index in "[INDEX].field: what is wrong" or "[INDEX]: …", -1 without one; the text is then what
 * stands behind it. */
static int64_t take_index(struct uk_slice *text)
{
  int64_t index;
  const char *end = text->length > 0 ? memchr(text->data, ']', text->length) : NULL;
  if (end == NULL || text->data[0] != '[' ||
      !uk_parse_int64(uk_slice_of(text->data + 1, (size_t)(end - text->data) - 1), &index) ||
      index < 0)
    return -1;
  size_t at = (size_t)(end - text->data) + 1;
  while (at < text->length &&
         (text->data[at] == '.' || text->data[at] == ':' || text->data[at] == ' '))
    at++;
  *text = uk_slice_of(text->data + at, text->length - at);
  return index;
}

void uk_sender_give_up(struct uk_sender *sender, const struct uk_sender_record *record,
                       enum uk_error error, int status, struct uk_slice text)
{
  pthread_mutex_lock(&sender->lock);
  discard(sender, record, error, status, text);
  uk_sender_text_put(sender->discard, text.length > 0 ? text : uk_slice_text(uk_error_text(error)));
  pthread_mutex_unlock(&sender->lock);
  count(sender, &sender->counts.failed, 1);
}

static bool is_expired(const struct uk_sender_record *record)
{
  return (record->flags & UK_RECORD_EXPIRED) != 0;
}

void uk_sender_discard_one(struct uk_sender *sender, struct uk_sender_slot *slot,
                           struct uk_sender_record *record, enum uk_error error, int status,
                           struct uk_slice text)
{
  if (!is_expired(record))
    uk_sender_give_up(sender, record, error, status, text);
  uk_sender_batch_settle(&slot->batch, record);
}

/* Discards the messages of the window. */
static void discard_window(struct uk_sender *sender, struct uk_sender_slot *slot,
                           const struct uk_client_failure *failure, struct uk_slice text)
{
  struct uk_sender_record *record = uk_sender_batch_first(&slot->batch), *next;
  for (; record != NULL; record = next) {
    next = uk_sender_batch_next(&slot->batch, record);
    uk_sender_discard_one(sender, slot, record, failure->error, failure->status, text);
  }
}

static struct uk_slice text_of(const struct uk_client_failure *failure)
{
  return failure->message.data != NULL ? failure->message
                                       : uk_slice_text(uk_error_text(failure->error));
}

/* ---- the next window ---- */

/* What a batch looks like to its slot, afresh: nothing was tried yet. */
static void ready_slot(struct uk_sender_slot *slot, enum uk_slot_state state, int64_t due)
{
  slot->state = state;
  slot->due = due;
  slot->attempts = 0;
}

/* Writes the window; what cannot be written is a failure at once. */
static void write_window(struct uk_sender *sender, struct uk_sender_slot *slot)
{
  char key[KEY_SIZE];
  struct uk_sender_batch *batch = &slot->batch;
  slot->state = UK_SLOT_FREE;
  uk_sender_batch_forget(batch);
  while (batch->pending > 0) {
    snprintf(key, sizeof key, "%016llx-%llu", (unsigned long long)sender->seed,
             (unsigned long long)sender->keys++);
    struct uk_client_failure failure = {.status = 0};
    failure.error =
      uk_sender_batch_write(batch, sender->settings.options.binary, sender->options.gzip, key);
    if (failure.error == UK_OK) {
      ready_slot(slot, UK_SLOT_READY, 0);
      return;
    }
    if (failure.error == UK_E_NO_MEMORY) {
      ready_slot(slot, UK_SLOT_UNWRITTEN, uk_clock_monotonic() + UK_SENDER_STARVED);
      return;
    }
    if (batch->window > 1)
      uk_sender_batch_narrow(batch, -1);
    else
      discard_window(sender, slot, &failure,
                     uk_slice_text(uk_client_request_message(&batch->request)));
  }
}

void uk_sender_publish(struct uk_sender *sender)
{
  pthread_mutex_lock(&sender->lock);
  publish(sender);
  pthread_mutex_unlock(&sender->lock);
}

void uk_sender_write(struct uk_sender *sender, struct uk_sender_slot *slot)
{
  write_window(sender, slot);
  uk_sender_set_expiry(sender, slot);
  uk_sender_publish(sender);
}

void uk_sender_set_trouble(struct uk_sender *sender, enum uk_error error, int status,
                           struct uk_slice text)
{
  sender->failure = error;
  sender->failure_status = status;
  pthread_mutex_lock(&sender->lock);
  uk_sender_text_put(sender->trouble, text);
  pthread_mutex_unlock(&sender->lock);
}

void uk_sender_deliver_one(struct uk_sender *sender, struct uk_sender_slot *slot,
                           struct uk_sender_record *record)
{
  const int64_t taken = uk_clock_monotonic() - record->queued;
  uk_sender_batch_settle(&slot->batch, record);
  if (is_expired(record))
    return;
  pthread_mutex_lock(&sender->latency_lock);
  uk_sender_latency_add(&sender->latency, taken);
  pthread_mutex_unlock(&sender->latency_lock);
  count(sender, &sender->counts.delivered, 1);
}

void uk_sender_deliver(struct uk_sender *sender, struct uk_sender_slot *slot)
{
  struct uk_sender_batch *batch = &slot->batch;
  struct uk_sender_record *record = uk_sender_batch_first(batch), *next;
  const int64_t now = uk_clock_monotonic();
  uint64_t messages = 0;
  pthread_mutex_lock(&sender->latency_lock);
  for (; record != NULL; record = next) {
    next = uk_sender_batch_next(batch, record);
    uk_sender_batch_settle(batch, record);
    if (is_expired(record))
      continue;
    uk_sender_latency_add(&sender->latency, now - record->queued);
    messages++;
  }
  pthread_mutex_unlock(&sender->latency_lock);
  uk_sender_batch_widen(batch);
  uk_sender_set_trouble(sender, UK_OK, 0, uk_slice_of(NULL, 0));
  count(sender, &sender->counts.delivered, messages);
  uk_sender_write(sender, slot);
}

/* Whether the refusal may be about some messages of the window only. */
static bool divides(const struct uk_sender_slot *slot, enum uk_error error)
{
  if (slot->batch.window < 2)
    return false;
  if (error == UK_E_BAD_REQUEST || error == UK_E_TOO_LARGE)
    return true;
  return slot->batch.mixed && (error == UK_E_FORBIDDEN || error == UK_E_NOT_FOUND);
}

static void refuse(struct uk_sender *sender, struct uk_sender_slot *slot,
                   const struct uk_client_failure *failure)
{
  struct uk_slice text = text_of(failure);
  const int64_t index = take_index(&text);
  if (divides(slot, failure->error))
    uk_sender_batch_narrow(&slot->batch, index);
  else
    discard_window(sender, slot, failure, text);
  uk_sender_write(sender, slot);
}

/* Whether some messages of the window have expired while it was sent. A refusal may be about them. */
static bool has_expired(struct uk_sender_slot *slot)
{
  struct uk_sender_record *record = uk_sender_batch_first(&slot->batch);
  while (record != NULL && !is_expired(record))
    record = uk_sender_batch_next(&slot->batch, record);
  return record != NULL;
}

/* What failed below HTTP was not answered, and may come right: a certificate is renewed, a proxy comes
 * back. A caller would want to know; here the messages can wait. */
static enum uk_error lenient(enum uk_error error)
{
  return error == UK_E_TLS_FAILED || error == UK_E_TRANSPORT_FAILED ? UK_E_CONNECT_FAILED : error;
}

void uk_sender_fail(struct uk_sender *sender, struct uk_sender_slot *slot,
                    const struct uk_client_failure *failure)
{
  const struct uk_settings_options *options = &sender->settings.options;
  const struct uk_retry_policy policy = {UK_RETRY_SAFE, INT64_MAX, options->retry_delay,
                                         options->retry_delay_max};
  const int64_t asked =
    failure->retry_after < UK_RETRY_AFTER_MAX ? failure->retry_after : (int64_t)UK_RETRY_AFTER_MAX;
  const int64_t attempts = slot->attempts + 1, now = uk_clock_monotonic();
  const int64_t delay =
    uk_retry_delay(&policy, attempts, lenient(failure->error), failure->status, asked, uk_jitter());
  const bool expired = has_expired(slot), refused = delay == UK_RETRY_STOP;
  uk_sender_set_trouble(sender, refused ? UK_OK : failure->error, failure->status,
                        text_of(failure));
  if (slot->state == UK_SLOT_SENDING)
    slot->state = expired ? UK_SLOT_UNWRITTEN : UK_SLOT_READY;
  if (refused && !expired) {
    refuse(sender, slot, failure);
    return;
  }
  slot->attempts = attempts;
  slot->due = refused ? now : now + delay;
}

/* ---- the end ---- */

/* Holds the lock. */
static void lose_queue(struct uk_sender *sender, const struct uk_client_failure *failure)
{
  const struct uk_sender_record *record;
  if (sender->queue.messages > 0)
    uk_sender_text_put(sender->discard, failure->message);
  while ((record = uk_sender_queue_first(&sender->queue)) != NULL) {
    discard(sender, record, failure->error, 0, failure->message);
    uk_sender_queue_drop(&sender->queue);
    sender->counts.failed++;
    sender->counts.lost++;
  }
}

void uk_sender_lose(struct uk_sender *sender)
{
  const struct uk_client_failure failure = {
    .error = UK_E_CANCELLED,
    .message = uk_slice_text("the producer was closed before the message was delivered")};
  uint64_t lost = 0;
  for (unsigned i = 0; i < sender->slot_count; i++) {
    struct uk_sender_slot *slot = &sender->slots[i];
    uk_transfers_cancel(sender->transfers, i);
    uk_sender_batch_forget(&slot->batch);
    uk_sender_batch_whole(&slot->batch);
    const uint64_t messages = slot->batch.pending;
    if (messages > 0)
      discard_window(sender, slot, &failure, failure.message);
    slot->state = UK_SLOT_FREE;
    lost += messages;
  }
  pthread_mutex_lock(&sender->lock);
  sender->counts.lost += lost;
  lose_queue(sender, &failure);
  publish(sender);
  pthread_mutex_unlock(&sender->lock);
}
