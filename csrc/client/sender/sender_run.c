/* The thread of a sender. */
#include <stdio.h>

#include "client/call.h"
#include "client/response.h"
#include "client/sender/sender_private.h"
#include "common/clock.h"
#include "common/standard_error.h"

static void fail_with(struct uk_sender *sender, struct uk_sender_batch *batch, enum uk_error error,
                      const char *text)
{
  struct uk_client_failure failure = {.error = error, .retry_after = -1};
  if (text[0] != '\0')
    failure.message = uk_slice_text(text);
  uk_sender_fail(sender, batch, &failure);
}

/* Requests. */

static void fill_batches(struct uk_sender *sender, int64_t now)
{
  struct uk_sender_batch *batch;
  while ((batch = uk_sender_free_batch(sender)) != NULL && uk_sender_fill(sender, batch, now))
    uk_sender_write(sender, batch);
}

static int64_t transfer_timeout(struct uk_sender *sender, int64_t now)
{
  const int64_t timeout = sender->settings.options.timeout;
  pthread_mutex_lock(&sender->lock);
  const int64_t left = sender->stopping ? sender->stop_at - now : timeout;
  pthread_mutex_unlock(&sender->lock);
  return left < 1 ? 1 : left < timeout ? left : timeout;
}

static void send_batch(struct uk_sender *sender, struct uk_sender_batch *batch, int64_t now)
{
  const enum uk_error error =
    uk_transfers_start(sender->transfers, (unsigned)(batch - sender->batches), &batch->request,
                       transfer_timeout(sender, now));
  pthread_mutex_lock(&sender->lock);
  sender->counts.retried += batch->attempts > 0;
  pthread_mutex_unlock(&sender->lock);
  if (error != UK_OK) {
    fail_with(sender, batch, error, "");
    return;
  }
  batch->state = UK_BATCH_SENDING;
  sender->sending++;
}

static void send_batches(struct uk_sender *sender, int64_t now)
{
  struct uk_sender_batch *batch;
  while ((batch = uk_sender_next_batch(sender, now)) != NULL && batch->due <= now) {
    if (batch->state == UK_BATCH_UNWRITTEN)
      uk_sender_rewrite(sender, batch);
    else
      send_batch(sender, batch, now);
  }
}

/* Answers. */

static void take_failure(struct uk_sender *sender, struct uk_sender_batch *batch,
                         struct uk_client_failure *failure, const struct uk_buffer *body)
{
  uk_call_name_proxy(&sender->settings, failure);
  if (!uk_sender_take_results(sender, batch, failure, body))
    uk_sender_fail(sender, batch, failure);
}

static void take_answer(struct uk_sender *sender, const struct uk_transfer *ended)
{
  struct uk_sender_batch *batch = &sender->batches[ended->place];
  struct uk_client_failure failure;
  struct uk_buffer *body = ended->response.body;
  sender->sending--;
  pthread_mutex_lock(&sender->lock);
  sender->counts.requests++;
  pthread_mutex_unlock(&sender->lock);
  if (ended->error != UK_OK)
    fail_with(sender, batch, ended->error, ended->message);
  else if (uk_response_failed(&failure, ended->response.status, ended->response.retry_after,
                              body->data, body->length))
    take_failure(sender, batch, &failure, body);
  else if (uk_sender_confirmed(sender, batch, &ended->response, &failure))
    uk_sender_deliver(sender, batch);
  else
    uk_sender_fail(sender, batch, &failure);
}

/* The log. */

/* Logs discarded messages, at most one line per UK_SENDER_LOG_INTERVAL, and a `last` one at any
 * time. */
static void log_discards(struct uk_sender *sender, int64_t now, bool last)
{
  char line[UK_SENDER_TEXT_SIZE + 128];
  pthread_mutex_lock(&sender->lock);
  const uint64_t count = uk_sender_unlogged(sender);
  const struct uk_sender_reason *reason = uk_sender_reasons_last(&sender->reasons);
  const int length =
    snprintf(line, sizeof line, "upstash-kafka: messages discarded: %llu; the last one: %s\n",
             (unsigned long long)count, reason != NULL ? reason->text : "");
  const bool due = count > 0 && (last || now - sender->logged_at >= uk_sender_log_interval(sender));
  if (due) {
    sender->logged += count;
    sender->logged_at = now;
    sender->logged_error = reason != NULL ? reason->error : UK_OK;
  }
  pthread_mutex_unlock(&sender->lock);
  if (due)
    uk_standard_error_write(line, (size_t)length);
}

/* The loop. */

/* One iteration. False when the thread must end; `*retired`: nobody holds the sender. */
static bool iterate(struct uk_sender *sender, bool *retired)
{
  struct uk_transfer ended;
  int64_t now = uk_clock_monotonic();
  uk_sender_skip_delays(sender, now);
  uk_sender_expire(sender, now);
  fill_batches(sender, now);
  send_batches(sender, now);
  log_discards(sender, now, false);
  uk_transfers_run(sender->transfers, uk_sender_next_wait(sender, now));
  while (uk_transfers_next(sender->transfers, &ended))
    take_answer(sender, &ended);
  now = uk_clock_monotonic();
  const bool empty = uk_sender_is_empty(sender);
  *retired = uk_sender_is_unused(sender, empty, now) && sender->owner->retire(sender);
  return !*retired && !uk_sender_is_stopped(sender, empty, now);
}

/* Reports the end to its waiters. True when there are none. */
static bool end_thread(struct uk_sender *sender)
{
  pthread_mutex_lock(&sender->lock);
  sender->ended = true;
  const bool detached = sender->detached;
  pthread_cond_broadcast(&sender->changed);
  pthread_mutex_unlock(&sender->lock);
  return detached;
}

void *uk_sender_run_thread(void *argument)
{
  struct uk_sender *sender = argument;
  bool retired = false;
  sender->idle_since = sender->logged_at = uk_clock_monotonic();
  sender->logged_at -= UK_SENDER_LOG_INTERVAL;
  while (iterate(sender, &retired))
    continue;
  uk_sender_lose(sender);
  log_discards(sender, 0, true);
  if (retired || end_thread(sender)) {
    pthread_detach(pthread_self());
    sender->owner->ended(sender);
  }
  return NULL;
}
