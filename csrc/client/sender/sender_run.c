#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "client/response.h"
#include "client/sender/sender_private.h"
#include "client/sender/sender_registry.h"
#include "common/clock.h"

enum { LOG_INTERVAL = 1000, WAIT_MAX = 60000 };

/* ---- from the queue to slots ---- */

/* A message that lingers has at least half of its time left to be delivered. */
static int64_t linger_of(const struct uk_sender_options *options)
{
  const int64_t half = options->message_timeout / 2;
  return half > 0 && half < options->linger ? half : options->linger;
}

/* Milliseconds until messages should leave the queue, INT64_MAX when there are none. Holds the lock. */
static int64_t queue_due(struct uk_sender *sender, int64_t now)
{
  const struct uk_sender_options *options = &sender->options;
  const struct uk_sender_record *first = uk_sender_queue_first(&sender->queue);
  if (first == NULL)
    return INT64_MAX;
  if (now < sender->starved_until)
    return sender->starved_until - now;
  if (sender->stopping || first->sequence < sender->hurried ||
      sender->queue.messages >= (size_t)options->batch_messages ||
      sender->queue.used >= (size_t)options->batch_bytes)
    return 0;
  const int64_t left = first->queued + linger_of(options) - now;
  return left > 0 ? left : 0;
}

static struct uk_sender_slot *free_slot(struct uk_sender *sender)
{
  for (unsigned i = 0; i < sender->slot_count; i++)
    if (sender->slots[i].state == UK_SLOT_FREE)
      return &sender->slots[i];
  return NULL;
}

/* Copies a batch out of the queue, most of the time without the lock. */
static bool fill_slot(struct uk_sender *sender, struct uk_sender_slot *slot, int64_t now)
{
  struct uk_sender_run run;
  pthread_mutex_lock(&sender->lock);
  const bool due = queue_due(sender, now) == 0;
  if (due)
    uk_sender_run_open(&run, &sender->queue);
  pthread_mutex_unlock(&sender->lock);
  if (!due)
    return false;
  const bool filled = uk_sender_batch_fill(&slot->batch, &run, (size_t)sender->options.batch_bytes,
                                           (size_t)sender->options.batch_messages);
  pthread_mutex_lock(&sender->lock);
  uk_sender_run_close(&run, &sender->queue);
  sender->counts.in_flight += run.messages;
  if (filled && slot->batch.oldest < sender->batched)
    sender->batched = slot->batch.oldest;
  if (sender->waiters > 0)
    pthread_cond_broadcast(&sender->changed);
  pthread_mutex_unlock(&sender->lock);
  if (!filled)
    sender->starved_until = now + UK_SENDER_STARVED;
  return filled;
}

static void fill_slots(struct uk_sender *sender, int64_t now)
{
  struct uk_sender_slot *slot;
  while ((slot = free_slot(sender)) != NULL && fill_slot(sender, slot, now))
    uk_sender_write(sender, slot);
}

/* ---- from slots to the server ---- */

static bool waits(const struct uk_sender_slot *slot)
{
  return slot->state == UK_SLOT_READY || slot->state == UK_SLOT_UNWRITTEN;
}

static int64_t later(int64_t a, int64_t b)
{
  return a > b ? a : b;
}

/* Whether `a` is to be sent before `b`: the older messages of those that are due. With one request in
 * flight the older ones in any case, whatever they wait for. */
static bool precedes(const struct uk_sender *sender, const struct uk_sender_slot *a,
                     const struct uk_sender_slot *b, int64_t now)
{
  const int64_t a_due = later(a->due, now), b_due = later(b->due, now);
  if (sender->options.in_flight > 1 && a_due != b_due)
    return a_due < b_due;
  return a->batch.oldest < b->batch.oldest;
}

/* The slot to be sent next, at its time; NULL when none waits, or no more may be in flight. */
static struct uk_sender_slot *next_slot(struct uk_sender *sender, int64_t now)
{
  struct uk_sender_slot *next = NULL;
  if (sender->sending == (unsigned)sender->options.in_flight)
    return NULL;
  for (unsigned i = 0; i < sender->slot_count; i++) {
    struct uk_sender_slot *slot = &sender->slots[i];
    if (waits(slot) && (next == NULL || precedes(sender, slot, next, now)))
      next = slot;
  }
  return next;
}

static void fail_with(struct uk_sender *sender, struct uk_sender_slot *slot, enum uk_error error,
                      const char *text)
{
  struct uk_client_failure failure = {.error = error, .retry_after = -1};
  if (text[0] != '\0')
    failure.message = uk_slice_text(text);
  uk_sender_fail(sender, slot, &failure);
}

static int64_t transfer_timeout(struct uk_sender *sender, int64_t now)
{
  const int64_t timeout = sender->settings.options.timeout;
  pthread_mutex_lock(&sender->lock);
  const int64_t left = sender->stopping ? sender->stop_at - now : timeout;
  pthread_mutex_unlock(&sender->lock);
  return left < 1 ? 1 : left < timeout ? left : timeout;
}

static void send_slot(struct uk_sender *sender, struct uk_sender_slot *slot, int64_t now)
{
  const enum uk_error error =
    uk_transfers_start(sender->transfers, (unsigned)(slot - sender->slots), &slot->batch.request,
                       transfer_timeout(sender, now));
  pthread_mutex_lock(&sender->lock);
  sender->counts.retried += slot->attempts > 0;
  pthread_mutex_unlock(&sender->lock);
  if (error != UK_OK) {
    fail_with(sender, slot, error, "");
    return;
  }
  slot->state = UK_SLOT_SENDING;
  sender->sending++;
}

/* It is the same attempt as before, with fewer messages. */
static void write_slot(struct uk_sender *sender, struct uk_sender_slot *slot)
{
  const int64_t attempts = slot->attempts;
  uk_sender_write(sender, slot);
  slot->attempts = attempts;
}

static void send_slots(struct uk_sender *sender, int64_t now)
{
  struct uk_sender_slot *slot;
  while ((slot = next_slot(sender, now)) != NULL && slot->due <= now) {
    if (slot->state == UK_SLOT_UNWRITTEN)
      write_slot(sender, slot);
    else
      send_slot(sender, slot, now);
  }
}

/* ---- answers ---- */

static void take_failure(struct uk_sender *sender, struct uk_sender_slot *slot,
                         const struct uk_client_failure *failure, const struct uk_buffer *body)
{
  if (!uk_sender_take_results(sender, slot, failure, body))
    uk_sender_fail(sender, slot, failure);
}

static void take_answer(struct uk_sender *sender, const struct uk_transfer *ended)
{
  struct uk_sender_slot *slot = &sender->slots[ended->place];
  struct uk_client_failure failure;
  struct uk_buffer *body = ended->response.body;
  sender->sending--;
  pthread_mutex_lock(&sender->lock);
  sender->counts.requests++;
  pthread_mutex_unlock(&sender->lock);
  if (ended->error != UK_OK)
    fail_with(sender, slot, ended->error, ended->message);
  else if (uk_response_failed(&failure, ended->response.status, ended->response.retry_after,
                              body->data, body->length))
    take_failure(sender, slot, &failure, body);
  else if (uk_sender_confirmed(sender, slot, &ended->response, &failure))
    uk_sender_deliver(sender, slot);
  else
    uk_sender_fail(sender, slot, &failure);
}

/* ---- discards ---- */

uint64_t uk_sender_untold(const struct uk_sender *sender)
{
  return sender->options.log ? sender->counts.failed + sender->counts.dropped - sender->logged : 0;
}

/* Does not wait for somebody who should read the pipe: delivery goes on. */
static void tell(const char *line, size_t length)
{
  struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
  if (poll(&out, 1, 0) == 1 && write(STDERR_FILENO, line, length) < 0)
    return;
}

/* At most one line in LOG_INTERVAL, but for the last one. */
static void log_discards(struct uk_sender *sender, int64_t now, bool last)
{
  char line[UK_SENDER_TEXT_SIZE + 128];
  pthread_mutex_lock(&sender->lock);
  const uint64_t count = uk_sender_untold(sender);
  const int length =
    snprintf(line, sizeof line, "upstash-kafka: messages discarded: %llu; the last one: %s\n",
             (unsigned long long)count, sender->discard);
  const bool due = count > 0 && (last || now - sender->logged_at >= LOG_INTERVAL);
  if (due) {
    sender->logged += count;
    sender->logged_at = now;
  }
  pthread_mutex_unlock(&sender->lock);
  if (due)
    tell(line, (size_t)length);
}

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* Tells callers when to wake the thread, which cannot do anything new before. Holds the lock. */
static void arm(struct uk_sender *sender, bool room)
{
  const struct uk_sender_queue *queue = &sender->queue;
  sender->wake_messages = sender->wake_bytes = SIZE_MAX;
  if (!room)
    return;
  sender->wake_messages = queue->messages > 0 ? (size_t)sender->options.batch_messages : 1;
  sender->wake_bytes = (size_t)sender->options.batch_bytes;
}

/* How long the thread may sleep. */
static int64_t next_wait(struct uk_sender *sender, int64_t now)
{
  const bool room = free_slot(sender) != NULL;
  const struct uk_sender_slot *next = next_slot(sender, now);
  int64_t wait = next != NULL ? earlier(WAIT_MAX, next->due - now) : WAIT_MAX;
  const int64_t expiry = uk_sender_next_expiry(sender);
  wait = earlier(wait, expiry == INT64_MAX ? WAIT_MAX : expiry - now);
  pthread_mutex_lock(&sender->lock);
  if (room)
    wait = earlier(wait, queue_due(sender, now));
  if (sender->stopping)
    wait = earlier(wait, sender->stop_at - now);
  if (uk_sender_untold(sender) > 0)
    wait = earlier(wait, sender->logged_at + LOG_INTERVAL - now);
  arm(sender, room);
  pthread_mutex_unlock(&sender->lock);
  if (atomic_load(&sender->orphaned))
    wait = earlier(wait, sender->idle_since + UK_REGISTRY_KEEP - now);
  return wait > 0 ? wait : 0;
}

/* A sender that was stopped tries at once what was to wait. */
static void hasten(struct uk_sender *sender, int64_t now)
{
  pthread_mutex_lock(&sender->lock);
  const bool stopping = sender->stopping;
  pthread_mutex_unlock(&sender->lock);
  if (!stopping || sender->hastened)
    return;
  sender->hastened = true;
  for (unsigned i = 0; i < sender->slot_count; i++)
    if (sender->slots[i].due > now)
      sender->slots[i].due = now;
}

static bool idle(struct uk_sender *sender)
{
  for (unsigned i = 0; i < sender->slot_count; i++)
    if (sender->slots[i].state != UK_SLOT_FREE)
      return false;
  pthread_mutex_lock(&sender->lock);
  const bool empty = sender->queue.messages == 0;
  pthread_mutex_unlock(&sender->lock);
  return empty;
}

/* Whether the thread is to end: it was stopped and has nothing left, or no time. */
static bool stopped(struct uk_sender *sender, bool nothing_left, int64_t now)
{
  pthread_mutex_lock(&sender->lock);
  const bool end = sender->stopping && (nothing_left || now >= sender->stop_at);
  pthread_mutex_unlock(&sender->lock);
  return end;
}

/* One turn. False when the thread is to end; `*retired`: without anybody to wait for it. */
static bool turn(struct uk_sender *sender, bool *retired)
{
  struct uk_transfer ended;
  int64_t now = uk_clock_monotonic();
  hasten(sender, now);
  uk_sender_expire(sender, now);
  fill_slots(sender, now);
  send_slots(sender, now);
  log_discards(sender, now, false);
  uk_transfers_run(sender->transfers, next_wait(sender, now));
  while (uk_transfers_next(sender->transfers, &ended))
    take_answer(sender, &ended);
  now = uk_clock_monotonic();
  const bool nothing_left = idle(sender);
  if (!nothing_left || !atomic_load(&sender->orphaned))
    sender->idle_since = now;
  else if (now - sender->idle_since >= UK_REGISTRY_KEEP)
    *retired = uk_registry_retire(sender);
  return !*retired && !stopped(sender, nothing_left, now);
}

void *uk_sender_run_thread(void *argument)
{
  struct uk_sender *sender = argument;
  bool retired = false;
  sender->idle_since = sender->logged_at = uk_clock_monotonic();
  sender->logged_at -= LOG_INTERVAL;
  while (turn(sender, &retired))
    continue;
  uk_sender_lose(sender);
  log_discards(sender, 0, true);
  if (retired) {
    pthread_detach(pthread_self());
    uk_sender_destroy(sender);
    uk_registry_retired();
    return NULL;
  }
  pthread_mutex_lock(&sender->lock);
  sender->ended = true;
  const bool left = sender->left;
  pthread_cond_broadcast(&sender->changed);
  pthread_mutex_unlock(&sender->lock);
  if (left) {
    pthread_detach(pthread_self());
    uk_registry_release(sender);
  }
  return NULL;
}
