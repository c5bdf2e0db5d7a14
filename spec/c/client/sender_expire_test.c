/* D13: messages that are older than message_timeout, in the queue, waiting for a retry and in a request that is under
 * way. The test owns the clock: it plays the sender's thread, and no real time passes. */
#include <stdlib.h>

#include "check.h"
#include "client/response.h"
#include "client/sender_private.h"
#include "common/thread.h"

enum {
  TIMEOUT = 10000,
  OLD = 1000,
  YOUNG = 7000,
  NEVER = 1 << 30 /* in milliseconds of its clock */
};

static struct uk_sender *sender;
static struct uk_sender_slot *slot; /* its only one */

/* ---- a sender without a thread ---- */

static bool set_up(void)
{
  char message[200];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  options.url = uk_slice_text("http://127.0.0.1:1");
  sender = calloc(1, sizeof *sender + sizeof *slot);
  if (sender == NULL)
    return false;
  uk_sender_options_default(&sender->options);
  sender->options.message_timeout = TIMEOUT;
  sender->batched = UINT64_MAX;
  sender->slot_count = 1;
  slot = sender->slots;
  uk_sender_batch_init(&slot->batch);
  uk_condition_init(&sender->changed);
  pthread_mutex_init(&sender->lock, NULL);
  pthread_mutex_init(&sender->latency_lock, NULL);
  return uk_settings_init(&sender->settings, &options, message, sizeof message) &&
         uk_sender_queue_init(&sender->queue, 1 << 16) &&
         (sender->transfers = uk_transfers_open(&sender->settings, 1)) != NULL;
}

static void tear_down(void)
{
  uk_sender_destroy(sender);
}

/* As if it had been sent at that time. */
static void put(const char *value, int64_t time)
{
  const struct uk_message message = {
    .topic = {"t", 1}, .value = uk_slice_text(value), .partition = -1, .timestamp = 5};
  const size_t size = uk_sender_record_size(&message, 0);
  struct uk_sender_record *record = uk_sender_queue_reserve(&sender->queue, size);
  REQUIRE(record != NULL);
  uk_sender_record_write(record, size, &message, uk_slice_of(NULL, 0));
  record->queued = time;
  uk_sender_queue_commit(&sender->queue, record);
}

/* All that is queued, in the slot, ready to be sent. */
static void batch(void)
{
  struct uk_sender_run run;
  uk_sender_run_open(&run, &sender->queue);
  CHECK(uk_sender_batch_fill(&slot->batch, &run, 1 << 16, 100));
  uk_sender_run_close(&run, &sender->queue);
  sender->counts.in_flight += run.messages;
  uk_sender_write(sender, slot);
  CHECK_EQ_INT(slot->state, UK_SLOT_READY);
}

/* The request of an old and a young message is under way. */
static void send_two(void)
{
  put("old", OLD);
  put("young", YOUNG);
  batch();
  slot->state = UK_SLOT_SENDING;
  sender->sending = 1;
}

/* The server answers with that status. */
static void fail(int status, enum uk_error error, const char *text, int64_t retry_after)
{
  const struct uk_client_failure failure = {
    .error = error, .status = status, .retry_after = retry_after, .message = uk_slice_text(text)};
  sender->sending--;
  uk_sender_fail(sender, slot, &failure);
}

static void check_counts(uint64_t delivered, uint64_t failed, uint64_t in_flight)
{
  CHECK_EQ_INT(sender->counts.delivered, delivered);
  CHECK_EQ_INT(sender->counts.failed, failed);
  CHECK_EQ_INT(sender->counts.in_flight, in_flight);
}

/* The oldest message that was given up; takes it off. */
static void check_failure(const char *value, enum uk_error error, int status, const char *text)
{
  struct uk_message message;
  uint64_t missed;
  struct uk_sender_failure *failure = uk_sender_failures_take(&sender->failures, &missed), *next;
  REQUIRE(failure != NULL);
  uk_sender_record_read(uk_sender_failure_record(failure), &message);
  CHECK_EQ_SLICE(message.value, value);
  CHECK_EQ_INT(failure->error, error);
  CHECK_EQ_INT(failure->status, status);
  CHECK_EQ_STR(failure->text, text);
  for (; failure != NULL; failure = next) {
    next = failure->next;
    free(failure);
  }
}

/* ---- */

static const char no_answer[] = "the message was not delivered within message_timeout";

static void d13_what_is_queued_expires(void)
{
  REQUIRE(set_up());
  put("old", OLD);
  put("young", YOUNG);
  CHECK_EQ_INT(uk_sender_next_expiry(sender), OLD + TIMEOUT);
  uk_sender_expire(sender, OLD + TIMEOUT - 1);
  check_counts(0, 0, 0);
  uk_sender_expire(sender, OLD + TIMEOUT);
  check_counts(0, 1, 0);
  check_failure("old", UK_E_TIMEOUT, 0, no_answer);
  CHECK_EQ_INT(uk_sender_next_expiry(sender), YOUNG + TIMEOUT);
  uk_sender_expire(sender, YOUNG + TIMEOUT);
  check_counts(0, 2, 0);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
  tear_down();
}

/* A batch that waits, however long: the thread is to wake when its oldest message expires. */
static void check_waiting(enum uk_slot_state state)
{
  slot->state = state;
  CHECK_EQ_INT(uk_sender_next_expiry(sender), OLD + TIMEOUT);
  uk_sender_expire(sender, OLD + TIMEOUT - 1);
  check_counts(0, 0, 2);
  CHECK_EQ_INT(slot->state, state);
  uk_sender_expire(sender, OLD + TIMEOUT);
  check_counts(0, 1, 1);
  check_failure("old", UK_E_UNAVAILABLE, 503, "later");
  CHECK_EQ_INT(slot->state, UK_SLOT_UNWRITTEN);
  CHECK_EQ_INT(slot->due, NEVER); /* the young one still waits for as long as the server asked */
  CHECK_EQ_INT(uk_sender_next_expiry(sender), YOUNG + TIMEOUT);
  uk_sender_expire(sender, YOUNG + TIMEOUT);
  check_counts(0, 2, 0);
  CHECK_EQ_INT(slot->state, UK_SLOT_FREE);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
}

static void d13_no_retry_after_is_waited_for_beyond_it(void)
{
  for (enum uk_slot_state state = UK_SLOT_READY; state <= UK_SLOT_UNWRITTEN; state++) {
    REQUIRE(set_up());
    send_two();
    fail(503, UK_E_UNAVAILABLE, "later", 100000);
    CHECK_EQ_INT(slot->state, UK_SLOT_READY);
    slot->due = NEVER;
    check_waiting(state);
    tear_down();
  }
}

static void d13_a_request_goes_on_for_those_that_have_time(void)
{
  REQUIRE(set_up());
  send_two();
  CHECK_EQ_INT(uk_sender_next_expiry(sender), OLD + TIMEOUT);
  uk_sender_expire(sender, OLD + TIMEOUT);
  check_counts(0, 1, 1);
  check_failure("old", UK_E_TIMEOUT, 0, no_answer);
  CHECK_EQ_INT(slot->state, UK_SLOT_SENDING);
  CHECK_EQ_INT(sender->batched, 1); /* a flush waits for the young one only */
  CHECK_EQ_INT(uk_sender_next_expiry(sender), YOUNG + TIMEOUT);
  sender->sending--;
  uk_sender_deliver(sender, slot);
  check_counts(1, 1, 0);
  CHECK_EQ_INT(slot->state, UK_SLOT_FREE);
  CHECK(sender->batched == UINT64_MAX);
  tear_down();
}

static void d13_a_request_is_given_up_with_its_last_message(void)
{
  REQUIRE(set_up());
  send_two();
  uk_sender_expire(sender, YOUNG + TIMEOUT - 1);
  CHECK_EQ_INT(slot->state, UK_SLOT_SENDING);
  CHECK_EQ_INT(sender->sending, 1);
  uk_sender_expire(sender, YOUNG + TIMEOUT);
  check_counts(0, 2, 0);
  CHECK_EQ_INT(slot->state, UK_SLOT_FREE);
  CHECK_EQ_INT(sender->sending, 0);
  CHECK_EQ_INT(sender->counts.requests, 1);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
  tear_down();
}

/* The refusal may be about the message that has expired: the others are sent again, without it. */
static void d13_a_refusal_is_not_taken_for_the_others_own(void)
{
  REQUIRE(set_up());
  send_two();
  uk_sender_expire(sender, OLD + TIMEOUT);
  fail(400, UK_E_BAD_REQUEST, "[0].value: bad", -1);
  check_counts(0, 1, 1);
  CHECK_EQ_INT(slot->state, UK_SLOT_UNWRITTEN);
  uk_sender_write(sender, slot);
  CHECK_EQ_INT(slot->state, UK_SLOT_READY);
  CHECK_EQ_SLICE(slot->batch.request.body, "[{\"timestamp\":5,\"value\":\"young\"}]");
  uk_sender_deliver(sender, slot);
  check_counts(1, 1, 0);
  tear_down();
}

static void d13_nothing_expires_without_message_timeout(void)
{
  REQUIRE(set_up());
  sender->options.message_timeout = 0;
  send_two();
  put("queued", OLD);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
  uk_sender_expire(sender, INT64_MAX);
  check_counts(0, 0, 2);
  CHECK_EQ_INT(slot->state, UK_SLOT_SENDING);
  tear_down();
}

int main(void)
{
  CHECK_RUN(d13_what_is_queued_expires);
  CHECK_RUN(d13_no_retry_after_is_waited_for_beyond_it);
  CHECK_RUN(d13_a_request_goes_on_for_those_that_have_time);
  CHECK_RUN(d13_a_request_is_given_up_with_its_last_message);
  CHECK_RUN(d13_a_refusal_is_not_taken_for_the_others_own);
  CHECK_RUN(d13_nothing_expires_without_message_timeout);
  return check_end();
}
