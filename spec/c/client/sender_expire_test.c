/* for: sender_expire.c. D13: messages older than message_timeout in the queue, waiting for a retry,
 * and in a request under way. The test plays the thread of the sender and owns the clock: no real
 * time passes. */
#include "check.h"
#include "sender_still.h"

enum {
  TIMEOUT = 10000,
  OLD = 1000,
  YOUNG = 7000,
  NEVER = 1 << 30 /* milliseconds on its clock */
};

static struct uk_sender *sender;
static struct uk_sender_batch *batch; /* the only one */

static bool set_up(void)
{
  sender = still_open(1);
  if (sender == NULL)
    return false;
  sender->options.message_timeout = TIMEOUT;
  batch = sender->batches;
  return true;
}

static void tear_down(void)
{
  uk_sender_destroy(sender);
}

/* Starts the request of an old and a young message. */
static void send_two(void)
{
  still_put(sender, "old", OLD);
  still_put(sender, "young", YOUNG);
  still_fill(sender, batch);
  still_start(sender, batch);
}

static void check_counts(uint64_t delivered, uint64_t failed, uint64_t in_flight)
{
  still_check_counts(sender, delivered, failed, in_flight);
}

/* The tests. */

static const char no_answer[] = "the message was not delivered within message_timeout";

static void d13_queued_messages_expire(void)
{
  REQUIRE(set_up());
  still_put(sender, "old", OLD);
  still_put(sender, "young", YOUNG);
  CHECK_EQ_INT(uk_sender_next_expiry(sender), OLD + TIMEOUT);
  uk_sender_expire(sender, OLD + TIMEOUT - 1);
  check_counts(0, 0, 0);
  uk_sender_expire(sender, OLD + TIMEOUT);
  check_counts(0, 1, 0);
  still_check_failure(sender, "old", UK_E_TIMEOUT, 0, no_answer);
  CHECK_EQ_INT(uk_sender_next_expiry(sender), YOUNG + TIMEOUT);
  uk_sender_expire(sender, YOUNG + TIMEOUT);
  check_counts(0, 2, 0);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
  tear_down();
}

/* However long a batch waits, the thread wakes when its oldest message expires. */
static void check_waiting(enum uk_batch_state state)
{
  batch->state = state;
  CHECK_EQ_INT(uk_sender_next_expiry(sender), OLD + TIMEOUT);
  uk_sender_expire(sender, OLD + TIMEOUT - 1);
  check_counts(0, 0, 2);
  CHECK_EQ_INT(batch->state, state);
  uk_sender_expire(sender, OLD + TIMEOUT);
  check_counts(0, 1, 1);
  still_check_failure(sender, "old", UK_E_UNAVAILABLE, 503, "later");
  CHECK_EQ_INT(batch->state, UK_BATCH_UNWRITTEN);
  CHECK_EQ_INT(batch->due, NEVER); /* the young message still waits as long as the server asked */
  CHECK_EQ_INT(uk_sender_next_expiry(sender), YOUNG + TIMEOUT);
  uk_sender_expire(sender, YOUNG + TIMEOUT);
  check_counts(0, 2, 0);
  CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
}

static void d13_a_longer_retry_after_is_not_waited_for(void)
{
  for (enum uk_batch_state state = UK_BATCH_READY; state <= UK_BATCH_UNWRITTEN; state++) {
    REQUIRE(set_up());
    send_two();
    still_fail(sender, batch, UK_E_UNAVAILABLE, 503, "later", 100000);
    CHECK_EQ_INT(batch->state, UK_BATCH_READY);
    batch->due = NEVER;
    check_waiting(state);
    tear_down();
  }
}

static void d13_a_request_continues_for_unexpired_messages(void)
{
  REQUIRE(set_up());
  send_two();
  CHECK_EQ_INT(uk_sender_next_expiry(sender), OLD + TIMEOUT);
  uk_sender_expire(sender, OLD + TIMEOUT);
  check_counts(0, 1, 1);
  still_check_failure(sender, "old", UK_E_TIMEOUT, 0, no_answer);
  CHECK_EQ_INT(batch->state, UK_BATCH_SENDING);
  CHECK_EQ_INT(sender->oldest_batched, 1); /* a flush waits only for the young message */
  CHECK_EQ_INT(uk_sender_next_expiry(sender), YOUNG + TIMEOUT);
  sender->sending--;
  uk_sender_deliver(sender, batch);
  check_counts(1, 1, 0);
  CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
  CHECK(sender->oldest_batched == UINT64_MAX);
  tear_down();
}

static enum uk_error start_transfer(void)
{
  return uk_transfers_start(sender->transfers, 0, &batch->request, 60000);
}

static void d13_a_request_is_given_up_with_its_last_message(void)
{
  REQUIRE(set_up());
  send_two();
  CHECK_EQ_INT(start_transfer(), UK_OK);
  uk_sender_expire(sender, YOUNG + TIMEOUT - 1);
  CHECK_EQ_INT(batch->state, UK_BATCH_SENDING);
  CHECK_EQ_INT(sender->sending, 1);
  uk_sender_expire(sender, YOUNG + TIMEOUT);
  check_counts(0, 2, 0);
  CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
  CHECK_EQ_INT(sender->sending, 0);
  CHECK_EQ_INT(sender->counts.requests, 1);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
  CHECK_EQ_INT(start_transfer(), UK_OK); /* the transfer of the first request is cancelled */
  tear_down();
}

/* More than the lock is held for. */
static void d13_any_number_of_messages_expires_at_once(void)
{
  enum { COUNT = 2001 };
  REQUIRE(set_up());
  for (int i = 0; i < COUNT; i++)
    still_put(sender, "v", i < COUNT - 1 ? OLD : YOUNG);
  uk_sender_expire(sender, OLD + TIMEOUT);
  check_counts(0, COUNT - 1, 0);
  CHECK_EQ_INT(sender->queue.messages, 1);
  CHECK_EQ_INT(sender->counts.dropped_failures, COUNT - 1 - UK_SENDER_FAILURES_MAX);
  tear_down();
}

/* A request that was refused is not why a later message comes too late. */
static void d13_a_refusal_explains_no_other_message(void)
{
  REQUIRE(set_up());
  still_put(sender, "refused", OLD);
  still_fill(sender, batch);
  still_start(sender, batch);
  still_fail(sender, batch, UK_E_BAD_REQUEST, 400, "no", -1);
  still_check_failure(sender, "refused", UK_E_BAD_REQUEST, 400, "no");
  still_put(sender, "queued", OLD);
  uk_sender_expire(sender, OLD + TIMEOUT);
  still_check_failure(sender, "queued", UK_E_TIMEOUT, 0, no_answer);
  tear_down();
}

/* The refusal may concern the expired message: the others are sent again without it. */
static void d13_a_refusal_may_concern_the_expired_message(void)
{
  REQUIRE(set_up());
  send_two();
  uk_sender_expire(sender, OLD + TIMEOUT);
  still_fail(sender, batch, UK_E_BAD_REQUEST, 400, "[0].value: bad", -1);
  check_counts(0, 1, 1);
  CHECK_EQ_INT(batch->state, UK_BATCH_UNWRITTEN);
  uk_sender_write(sender, batch);
  CHECK_EQ_INT(batch->state, UK_BATCH_READY);
  CHECK_EQ_SLICE(batch->request.body, "[{\"timestamp\":5,\"value\":\"young\"}]");
  uk_sender_deliver(sender, batch);
  check_counts(1, 1, 0);
  tear_down();
}

static void d13_nothing_expires_without_message_timeout(void)
{
  REQUIRE(set_up());
  sender->options.message_timeout = 0;
  send_two();
  still_put(sender, "queued", OLD);
  CHECK(uk_sender_next_expiry(sender) == INT64_MAX);
  uk_sender_expire(sender, INT64_MAX);
  check_counts(0, 0, 2);
  CHECK_EQ_INT(batch->state, UK_BATCH_SENDING);
  tear_down();
}

int main(void)
{
  CHECK_RUN(d13_queued_messages_expire);
  CHECK_RUN(d13_a_longer_retry_after_is_not_waited_for);
  CHECK_RUN(d13_a_request_continues_for_unexpired_messages);
  CHECK_RUN(d13_a_request_is_given_up_with_its_last_message);
  CHECK_RUN(d13_any_number_of_messages_expires_at_once);
  CHECK_RUN(d13_a_refusal_explains_no_other_message);
  CHECK_RUN(d13_a_refusal_may_concern_the_expired_message);
  CHECK_RUN(d13_nothing_expires_without_message_timeout);
  return check_end();
}
