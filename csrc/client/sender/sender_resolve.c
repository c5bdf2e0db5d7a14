/* What becomes of the messages of a request: delivered, sent again, or given up. */
#include <stdio.h>

#include "client/call.h"
#include "client/jitter.h"
#include "client/response.h"
#include "client/sender/sender_private.h"
#include "common/clock.h"

/* Precondition: the caller holds the lock. */
static void update_waiters(struct uk_sender *sender)
{
  uint64_t oldest = UINT64_MAX;
  for (unsigned i = 0; i < sender->batch_count; i++) {
    const struct uk_sender_batch *batch = &sender->batches[i];
    if (batch->pending > 0 && batch->oldest < oldest)
      oldest = batch->oldest;
  }
  sender->oldest_batched = oldest;
  if (sender->waiters > 0)
    pthread_cond_broadcast(&sender->changed);
}

/* Counts messages that are no longer in flight. */
static void count(struct uk_sender *sender, uint64_t *counter, uint64_t messages)
{
  pthread_mutex_lock(&sender->lock);
  *counter += messages;
  sender->counts.in_flight -= messages;
  pthread_mutex_unlock(&sender->lock);
}

/* Failures. */

/* Keeps the message among the failures. Precondition: the caller holds the lock. */
static void discard(struct uk_sender *sender, const struct uk_sender_record *record,
                    enum uk_error error, int status, struct uk_slice text)
{
  if (!uk_sender_failures_add(&sender->failures, record, error, status, text))
    sender->counts.dropped_failures++;
}

/* Takes the index off a text such as "[INDEX].field: what is wrong" or "[INDEX]: what is wrong".
 * -1, with the text unchanged, when it has none. */
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
  uk_sender_count_discard(sender, false, error, status, text);
  sender->counts.in_flight--;
  pthread_mutex_unlock(&sender->lock);
}

static bool is_expired(const struct uk_sender_record *record)
{
  return (record->flags & UK_RECORD_EXPIRED) != 0;
}

void uk_sender_discard_one(struct uk_sender *sender, struct uk_sender_batch *batch,
                           struct uk_sender_record *record, enum uk_error error, int status,
                           struct uk_slice text)
{
  if (!is_expired(record))
    uk_sender_give_up(sender, record, error, status, text);
  uk_sender_batch_resolve(batch, record);
}

/* Gives up every message of the window. */
static void discard_window(struct uk_sender *sender, struct uk_sender_batch *batch,
                           const struct uk_client_failure *failure, struct uk_slice text)
{
  struct uk_sender_record *record = uk_sender_batch_first(batch), *next;
  for (; record != NULL; record = next) {
    next = uk_sender_batch_next(batch, record);
    uk_sender_discard_one(sender, batch, record, failure->error, failure->status, text);
  }
}

static struct uk_slice text_of(const struct uk_client_failure *failure)
{
  return failure->message.data != NULL ? failure->message
                                       : uk_slice_text(uk_error_text(failure->error));
}

/* The next window. */

/* Starts the attempts of a new window. */
static void begin_window(struct uk_sender_batch *batch, enum uk_batch_state state, int64_t due)
{
  batch->state = state;
  batch->due = due;
  batch->attempts = 0;
}

/* Writes the next window. A message that cannot be written is given up. */
static void write_window(struct uk_sender *sender, struct uk_sender_batch *batch)
{
  char key[UK_KEY_SIZE];
  batch->state = UK_BATCH_FREE;
  uk_sender_batch_resolve_expired(batch);
  while (batch->pending > 0) {
    uk_key_next(&sender->keys, key);
    struct uk_client_failure failure = {.status = 0};
    failure.error =
      uk_sender_batch_write(batch, sender->settings.options.binary, sender->options.gzip, key);
    if (failure.error == UK_OK) {
      begin_window(batch, UK_BATCH_READY, 0);
      return;
    }
    if (failure.error == UK_E_NO_MEMORY) {
      begin_window(batch, UK_BATCH_UNWRITTEN, uk_clock_monotonic() + UK_SENDER_MEMORY_DELAY);
      return;
    }
    if (batch->window > 1)
      uk_sender_batch_narrow(batch, -1);
    else
      discard_window(sender, batch, &failure,
                     uk_slice_text(uk_client_request_message(&batch->request)));
  }
}

void uk_sender_update_waiters(struct uk_sender *sender)
{
  pthread_mutex_lock(&sender->lock);
  update_waiters(sender);
  pthread_mutex_unlock(&sender->lock);
}

void uk_sender_write(struct uk_sender *sender, struct uk_sender_batch *batch)
{
  write_window(sender, batch);
  uk_sender_set_expiry(sender, batch);
  uk_sender_update_waiters(sender);
}

void uk_sender_rewrite(struct uk_sender *sender, struct uk_sender_batch *batch)
{
  const int64_t attempts = batch->attempts;
  uk_sender_write(sender, batch);
  batch->attempts = attempts;
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

void uk_sender_deliver_one(struct uk_sender *sender, struct uk_sender_batch *batch,
                           struct uk_sender_record *record)
{
  const int64_t taken = uk_clock_monotonic() - record->queued;
  uk_sender_batch_resolve(batch, record);
  if (is_expired(record))
    return;
  pthread_mutex_lock(&sender->latency_lock);
  uk_sender_latency_add(&sender->latency, taken);
  pthread_mutex_unlock(&sender->latency_lock);
  count(sender, &sender->counts.delivered, 1);
}

void uk_sender_deliver(struct uk_sender *sender, struct uk_sender_batch *batch)
{
  struct uk_sender_record *record = uk_sender_batch_first(batch), *next;
  const int64_t now = uk_clock_monotonic();
  uint64_t messages = 0;
  pthread_mutex_lock(&sender->latency_lock);
  for (; record != NULL; record = next) {
    next = uk_sender_batch_next(batch, record);
    uk_sender_batch_resolve(batch, record);
    if (is_expired(record))
      continue;
    uk_sender_latency_add(&sender->latency, now - record->queued);
    messages++;
  }
  pthread_mutex_unlock(&sender->latency_lock);
  uk_sender_batch_widen(batch);
  if (sender->refusal == UK_E_UNAUTHORIZED)
    sender->refused_at = 0;
  uk_sender_set_trouble(sender, UK_OK, 0, uk_slice_of(NULL, 0));
  count(sender, &sender->counts.delivered, messages);
  uk_sender_write(sender, batch);
}

/* True when the refusal may concern only some messages of the window. */
static bool is_divisible(const struct uk_sender_batch *batch, enum uk_error error)
{
  if (batch->window < 2)
    return false;
  if (error == UK_E_BAD_REQUEST || error == UK_E_TOO_LARGE)
    return true;
  return batch->mixed && (error == UK_E_FORBIDDEN || error == UK_E_NOT_FOUND);
}

static void refuse(struct uk_sender *sender, struct uk_sender_batch *batch,
                   const struct uk_client_failure *failure)
{
  struct uk_slice text = text_of(failure);
  const int64_t index = take_index(&text);
  if (is_divisible(batch, failure->error))
    uk_sender_batch_narrow(batch, index);
  else
    discard_window(sender, batch, failure, text);
  uk_sender_write(sender, batch);
}

/* True when messages of the window expired while it was sent: a refusal may concern only those. */
static bool has_expired(struct uk_sender_batch *batch)
{
  struct uk_sender_record *record = uk_sender_batch_first(batch);
  while (record != NULL && !is_expired(record))
    record = uk_sender_batch_next(batch, record);
  return record != NULL;
}

/* Retries failures below HTTP too: certificates are renewed, and proxies come back. A blocking call
 * reports them to its caller at once; queued messages can wait. */
static enum uk_error lenient(enum uk_error error)
{
  return error == UK_E_TLS_FAILED || error == UK_E_TRANSPORT_FAILED ? UK_E_CONNECT_FAILED : error;
}

/* Milliseconds until the server has refused us for give_up_after; 0 when it has. A refusal goes on
 * until credentials are accepted, or until there was none for that long: that one topic is
 * permitted says nothing about another, which would hold up both again and again. */
static int64_t refusal_left(struct uk_sender *sender, enum uk_error error, int64_t now)
{
  const int64_t most = sender->options.give_up_after;
  if (sender->refused_at == 0 || now - sender->refused_at > most)
    sender->refused_since = now;
  sender->refused_at = now;
  sender->refusal = error;
  const int64_t left = sender->refused_since + most - now;
  return left > 0 ? left : 0;
}

/* Milliseconds until the window is sent again; UK_RETRY_STOP for never. */
static int64_t delay_of(struct uk_sender *sender, const struct uk_sender_batch *batch,
                        const struct uk_client_failure *failure, int64_t now)
{
  const struct uk_settings_options *options = &sender->settings.options;
  const struct uk_retry_policy policy = {UK_RETRY_SAFE, INT64_MAX, options->retry_delay,
                                         options->retry_delay_max};
  const int64_t asked =
    failure->retry_after < UK_RETRY_AFTER_MAX ? failure->retry_after : (int64_t)UK_RETRY_AFTER_MAX;
  enum uk_error error = lenient(failure->error);
  int64_t most = INT64_MAX;
  if (uk_sender_is_refusal(error) && !is_divisible(batch, error)) {
    most = refusal_left(sender, error, now);
    error = most > 0 ? UK_E_CONNECT_FAILED : error;
  }
  const int64_t delay =
    uk_retry_delay(&policy, batch->attempts + 1, error, failure->status, asked, uk_jitter());
  return delay < most ? delay : most;
}

void uk_sender_fail(struct uk_sender *sender, struct uk_sender_batch *batch,
                    const struct uk_client_failure *failure)
{
  const int64_t attempts = batch->attempts + 1, now = uk_clock_monotonic();
  const int64_t delay = delay_of(sender, batch, failure, now);
  const bool expired = has_expired(batch), refused = delay == UK_RETRY_STOP;
  uk_sender_set_trouble(sender, refused ? UK_OK : failure->error, failure->status,
                        text_of(failure));
  if (batch->state == UK_BATCH_SENDING)
    batch->state = expired ? UK_BATCH_UNWRITTEN : UK_BATCH_READY;
  if (refused && !expired) {
    refuse(sender, batch, failure);
    return;
  }
  batch->attempts = attempts;
  batch->due = refused ? now : now + delay;
}

/* The end. */

/* Precondition: the caller holds the lock. */
static void lose_queue(struct uk_sender *sender, const struct uk_client_failure *failure)
{
  const struct uk_sender_record *record;
  while ((record = uk_sender_queue_first(&sender->queue)) != NULL) {
    discard(sender, record, failure->error, 0, failure->message);
    uk_sender_queue_drop(&sender->queue);
    uk_sender_count_discard(sender, false, failure->error, 0, failure->message);
    sender->counts.lost++;
  }
}

void uk_sender_lose(struct uk_sender *sender)
{
  const struct uk_client_failure failure = {
    .error = UK_E_CANCELLED,
    .message = uk_slice_text("the producer was closed before the message was delivered")};
  uint64_t lost = 0;
  for (unsigned i = 0; i < sender->batch_count; i++) {
    struct uk_sender_batch *batch = &sender->batches[i];
    uk_transfers_cancel(sender->transfers, i);
    uk_sender_batch_resolve_expired(batch);
    uk_sender_batch_select_all(batch);
    const uint64_t messages = batch->pending;
    if (messages > 0)
      discard_window(sender, batch, &failure, failure.message);
    batch->state = UK_BATCH_FREE;
    lost += messages;
  }
  pthread_mutex_lock(&sender->lock);
  sender->counts.lost += lost;
  lose_queue(sender, &failure);
  update_waiters(sender);
  pthread_mutex_unlock(&sender->lock);
}
