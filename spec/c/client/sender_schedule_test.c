/* for: sender_schedule.c, sender.c, sender_run.c. When messages leave the queue, which batch is
 * sent next, how long the thread sleeps, and what wakes it. The test owns the clock. */
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "sender_still.h"

enum { NOW = 100000, LONG = 60000 /* the sleep without anything to do */ };

static struct uk_sender *sender;
static struct uk_sender_batch *first, *second;

static bool set_up(void)
{
  sender = still_open(2);
  if (sender == NULL)
    return false;
  first = &sender->batches[0];
  second = &sender->batches[1];
  sender->options.linger = 50;
  return true;
}

static void tear_down(void)
{
  uk_sender_destroy(sender);
}

static int64_t wait_at(int64_t now)
{
  return uk_sender_next_wait(sender, now);
}

/* From the queue to batches. */

/* Checks how long a message that was sent at NOW stays in the queue. */
static void check_lingers(int64_t linger, int64_t message_timeout, int64_t expected)
{
  REQUIRE(set_up());
  sender->options.linger = linger;
  sender->options.message_timeout = message_timeout;
  still_put(sender, "v", NOW);
  CHECK_EQ_INT(wait_at(NOW), expected);
  if (expected > 0)
    CHECK(!uk_sender_fill(sender, first, NOW + expected - 1));
  CHECK(uk_sender_fill(sender, first, NOW + expected));
  tear_down();
}

static void a_message_lingers(void)
{
  check_lingers(50, 0, 50);
  check_lingers(0, 0, 0);
  check_lingers(50, 200, 50);
  check_lingers(50, 98, 49);
  check_lingers(50, 2, 1);
  check_lingers(1, 3, 1);
}

/* Otherwise a full queue would wait before it drops its oldest message. */
static void a_queue_that_is_not_due_is_not_read(void)
{
  REQUIRE(set_up());
  sender->options.linger = 50;
  still_put(sender, "v", NOW);
  CHECK(!uk_sender_fill(sender, first, NOW));
  CHECK(!sender->queue.open);
  CHECK(uk_sender_fill(sender, first, NOW + 50));
  CHECK(!sender->queue.open);
  tear_down();
}

static void an_empty_queue_is_never_due(void)
{
  REQUIRE(set_up());
  sender->stopping = true;
  sender->stop_at = NOW + 9;
  CHECK(!uk_sender_fill(sender, first, NOW));
  CHECK_EQ_INT(wait_at(NOW), 9);
  tear_down();
}

static void a_full_batch_does_not_linger(void)
{
  for (int by_bytes = 0; by_bytes <= 1; by_bytes++) {
    REQUIRE(set_up());
    still_put(sender, "1", NOW);
    if (by_bytes)
      sender->options.batch_bytes = (int64_t)sender->queue.used * 3;
    else
      sender->options.batch_messages = 3;
    still_put(sender, "2", NOW);
    CHECK(!uk_sender_fill(sender, first, NOW));
    still_put(sender, "3", NOW);
    CHECK_EQ_INT(wait_at(NOW), 0);
    still_put(sender, "4", NOW);
    CHECK(uk_sender_fill(sender, first, NOW));
    CHECK_EQ_INT(first->pending, 3);
    CHECK_EQ_INT(sender->queue.messages, 1);
    CHECK_EQ_INT(sender->counts.in_flight, 3);
    CHECK(!uk_sender_fill(sender, second, NOW));
    tear_down();
  }
}

static void a_flush_covers_earlier_messages(void)
{
  REQUIRE(set_up());
  CHECK_EQ_INT(uk_sender_flush_start(sender), 0);
  still_put(sender, "before", NOW);
  CHECK(!uk_sender_fill(sender, first, NOW));
  CHECK_EQ_INT(uk_sender_flush_start(sender), 1);
  CHECK_EQ_INT(wait_at(NOW), 0);
  CHECK(uk_sender_fill(sender, first, NOW));
  still_put(sender, "after", NOW);
  CHECK(!uk_sender_fill(sender, second, NOW));
  CHECK(!uk_sender_is_flushed(sender, 1));
  CHECK(uk_sender_is_flushed(sender, 0));
  tear_down();
}

static void a_stopped_sender_does_not_linger(void)
{
  REQUIRE(set_up());
  still_put(sender, "v", NOW);
  uk_sender_stop(sender, NOW + 1000);
  CHECK(uk_sender_fill(sender, first, NOW));
  tear_down();
}

/* Without memory nothing leaves the queue, and there is no other attempt for a while. */
static void it_waits_for_memory(void)
{
  REQUIRE(set_up());
  still_put(sender, "v", NOW - 1000);
  fault_at(1);
  CHECK(!uk_sender_fill(sender, first, NOW));
  fault_off();
  CHECK_EQ_INT(sender->queue.messages, 1);
  CHECK_EQ_INT(sender->counts.in_flight, 0);
  CHECK(!sender->queue.open);
  CHECK(sender->oldest_batched == UINT64_MAX);
  CHECK_EQ_INT(wait_at(NOW), UK_SENDER_MEMORY_DELAY);
  CHECK(!uk_sender_fill(sender, first, NOW + UK_SENDER_MEMORY_DELAY - 1));
  CHECK(uk_sender_fill(sender, first, NOW + UK_SENDER_MEMORY_DELAY));
  tear_down();
}

/* The same for the request of a batch. */
static void a_batch_waits_for_memory(void)
{
  REQUIRE(set_up());
  still_put(sender, "v", 0);
  CHECK(uk_sender_fill(sender, first, NOW));
  first->attempts = 3;
  const int64_t before = uk_clock_monotonic();
  fault_at(1);
  uk_sender_write(sender, first);
  fault_off();
  CHECK_EQ_INT(first->state, UK_BATCH_UNWRITTEN);
  CHECK_EQ_INT(first->attempts, 0);
  CHECK(first->due >= before + UK_SENDER_MEMORY_DELAY);
  CHECK(first->due <= uk_clock_monotonic() + UK_SENDER_MEMORY_DELAY);
  CHECK_EQ_INT(sender->counts.in_flight, 1);
  CHECK_EQ_INT(sender->oldest_batched, 0);
  uk_sender_write(sender, first);
  CHECK_EQ_INT(first->state, UK_BATCH_READY);
  CHECK_EQ_INT(first->due, 0);
  tear_down();
}

static void the_oldest_message_of_all_batches_is_known(void)
{
  REQUIRE(set_up());
  still_put(sender, "0", NOW - 1000);
  CHECK(uk_sender_fill(sender, second, NOW));
  CHECK_EQ_INT(sender->oldest_batched, 0);
  still_put(sender, "1", NOW - 1000);
  CHECK(uk_sender_fill(sender, first, NOW));
  CHECK_EQ_INT(sender->oldest_batched, 0);
  CHECK(!uk_sender_is_flushed(sender, 1));
  for (uint64_t oldest = 1; oldest <= 2; oldest++) { /* of either batch */
    first->oldest = oldest;
    second->oldest = 3 - oldest;
    uk_sender_update_waiters(sender);
    CHECK_EQ_INT(sender->oldest_batched, 1);
  }
  second->pending = 0;
  uk_sender_update_waiters(sender);
  CHECK_EQ_INT(sender->oldest_batched, 2);
  tear_down();
}

static void a_free_batch_is_found(void)
{
  REQUIRE(set_up());
  CHECK(uk_sender_free_batch(sender) == first);
  for (enum uk_batch_state state = UK_BATCH_READY; state <= UK_BATCH_SENDING; state++) {
    first->state = state;
    CHECK(uk_sender_free_batch(sender) == second);
  }
  second->state = UK_BATCH_READY;
  CHECK(uk_sender_free_batch(sender) == NULL);
  tear_down();
}

/* From batches to the server. */

static void make(struct uk_sender_batch *batch, enum uk_batch_state state, uint64_t oldest,
                 int64_t due)
{
  batch->state = state;
  batch->oldest = oldest;
  batch->due = due;
  batch->expires = INT64_MAX;
}

/* Two batches with due times: true when the one with the older messages is sent first at NOW. */
static void the_next_batch_is_chosen(void)
{
  static const struct {
    int64_t in_flight, older_due, newer_due;
    bool older;
  } rows[] = {
    {1, 0, 0, true},
    {1, NOW + 500, 0, true}, /* keeps the order */
    {1, NOW - 1, NOW - 2, true},
    {2, 0, 0, true},
    {2, NOW - 1, NOW - 2, true}, /* both are due */
    {2, NOW, NOW - 2, true},
    {2, NOW + 1, NOW - 2, false},
    {2, NOW + 1, NOW, false},
    {2, NOW + 2, NOW + 1, false},
    {2, NOW + 1, NOW + 1, true},
    {2, NOW + 1, NOW + 2, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int swap = 0; swap <= 1; swap++) {
      REQUIRE(set_up());
      struct uk_sender_batch *older = swap ? second : first, *newer = swap ? first : second;
      sender->options.in_flight = rows[i].in_flight;
      make(older, UK_BATCH_READY, 3, rows[i].older_due);
      make(newer, UK_BATCH_UNWRITTEN, 4, rows[i].newer_due);
      if (!CHECK(uk_sender_next_batch(sender, NOW) == (rows[i].older ? older : newer)))
        fprintf(stderr, "  row %zu\n", i);
      tear_down();
    }
}

static void only_waiting_batches_are_sent(void)
{
  REQUIRE(set_up());
  sender->options.in_flight = 2;
  CHECK(uk_sender_next_batch(sender, NOW) == NULL);
  make(first, UK_BATCH_SENDING, 0, 0);
  sender->sending = 1;
  CHECK(uk_sender_next_batch(sender, NOW) == NULL);
  make(second, UK_BATCH_READY, 1, 0);
  CHECK(uk_sender_next_batch(sender, NOW) == second);
  sender->options.in_flight = 1;
  CHECK(uk_sender_next_batch(sender, NOW) == NULL);
  sender->sending = 0;
  tear_down();
}

/* Only once: a batch that fails again waits as usual. */
static void a_stop_skips_the_delays(void)
{
  REQUIRE(set_up());
  make(first, UK_BATCH_READY, 0, NOW + 5000);
  make(second, UK_BATCH_READY, 1, NOW - 5);
  uk_sender_skip_delays(sender, NOW);
  CHECK_EQ_INT(first->due, NOW + 5000);
  uk_sender_stop(sender, NOW + 9000);
  uk_sender_skip_delays(sender, NOW);
  CHECK_EQ_INT(first->due, NOW);
  CHECK_EQ_INT(second->due, NOW - 5);
  first->due = NOW + 7000;
  uk_sender_skip_delays(sender, NOW + 1);
  CHECK_EQ_INT(first->due, NOW + 7000);
  tear_down();
}

/* Sleep. */

static void the_thread_sleeps_until_the_next_event(void)
{
  REQUIRE(set_up());
  CHECK_EQ_INT(wait_at(NOW), LONG);
  make(first, UK_BATCH_READY, 0, NOW + 70);
  CHECK_EQ_INT(wait_at(NOW), 70);
  CHECK_EQ_INT(wait_at(NOW + 70), 0);
  CHECK_EQ_INT(wait_at(NOW + 71), 0);
  sender->options.message_timeout = 1000;
  first->expires = NOW + 60;
  CHECK_EQ_INT(wait_at(NOW), 60);
  sender->options.message_timeout = 0;
  still_put(sender, "v", NOW); /* it lingers for 50 */
  CHECK_EQ_INT(wait_at(NOW), 50);
  make(second, UK_BATCH_SENDING, 1, 0);
  CHECK_EQ_INT(wait_at(NOW), 70); /* no batch has room for it */
  sender->stopping = true;
  sender->stop_at = NOW + 40;
  CHECK_EQ_INT(wait_at(NOW), 40);
  CHECK_EQ_INT(wait_at(NOW + 41), 0);
  tear_down();
}

static void the_thread_sleeps_until_the_next_line_of_the_log(void)
{
  REQUIRE(set_up());
  sender->counts.failed = 3;
  sender->counts.dropped = 2;
  sender->logged = 4;
  sender->logged_at = NOW - 900;
  CHECK_EQ_INT(uk_sender_unlogged(sender), 0); /* it does not log */
  CHECK_EQ_INT(wait_at(NOW), LONG);
  sender->options.log = true;
  CHECK_EQ_INT(uk_sender_unlogged(sender), 1);
  CHECK_EQ_INT(wait_at(NOW), 100);
  sender->logged = 5;
  CHECK_EQ_INT(wait_at(NOW), LONG);
  tear_down();
}

/* Only a refusal like that of the last line waits for a minute. */
static void the_log_says_once_a_minute_that_the_server_refuses(void)
{
  static const struct {
    enum uk_error logged, last;
    int64_t interval;
  } rows[] = {
    {UK_OK, UK_E_UNAUTHORIZED, 1000},          {UK_E_QUEUE_FULL, UK_E_UNAUTHORIZED, 1000},
    {UK_E_UNAUTHORIZED, UK_E_FORBIDDEN, 1000}, {UK_E_UNAUTHORIZED, UK_E_QUEUE_FULL, 1000},
    {UK_E_QUEUE_FULL, UK_E_QUEUE_FULL, 1000},  {UK_E_UNAUTHORIZED, UK_E_UNAUTHORIZED, 60000},
    {UK_E_FORBIDDEN, UK_E_FORBIDDEN, 60000},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    REQUIRE(set_up());
    CHECK_EQ_INT(uk_sender_log_interval(sender), 1000);
    sender->options.log = true;
    sender->logged_error = rows[i].logged;
    sender->logged_at = NOW;
    uk_sender_count_discard(sender, false, rows[i].last, 0, uk_slice_of(NULL, 0));
    CHECK_EQ_INT(uk_sender_log_interval(sender), rows[i].interval);
    CHECK_EQ_INT(wait_at(NOW + 1), rows[i].interval - 1);
    tear_down();
  }
}

static void an_unused_sender_stays_for_a_while(void)
{
  REQUIRE(set_up());
  sender->idle_since = NOW - 4000;
  CHECK_EQ_INT(wait_at(NOW), LONG);
  atomic_store(&sender->orphaned, true);
  CHECK_EQ_INT(wait_at(NOW), UK_SENDER_IDLE - 4000);
  CHECK_EQ_INT(wait_at(NOW + 9000), 0);
  tear_down();
}

/* It must be empty and without references all the time. */
static void a_sender_that_is_used_does_not_retire(void)
{
  REQUIRE(set_up());
  sender->idle_since = NOW;
  CHECK(!uk_sender_is_unused(sender, true, NOW + 9000));
  CHECK_EQ_INT(sender->idle_since, NOW + 9000);
  atomic_store(&sender->orphaned, true);
  CHECK(!uk_sender_is_unused(sender, false, NOW + 18000));
  CHECK_EQ_INT(sender->idle_since, NOW + 18000);
  CHECK(!uk_sender_is_unused(sender, true, NOW + 18000 + UK_SENDER_IDLE - 1));
  CHECK_EQ_INT(sender->idle_since, NOW + 18000);
  CHECK(uk_sender_is_unused(sender, true, NOW + 18000 + UK_SENDER_IDLE));
  tear_down();
}

static void a_stopped_sender_ends_when_it_is_empty_or_out_of_time(void)
{
  REQUIRE(set_up());
  CHECK(!uk_sender_is_stopped(sender, true, NOW));
  uk_sender_stop(sender, NOW + 10);
  CHECK(uk_sender_is_stopped(sender, true, NOW));
  CHECK(!uk_sender_is_stopped(sender, false, NOW + 9));
  CHECK(uk_sender_is_stopped(sender, false, NOW + 10));
  tear_down();
}

static void it_is_empty_without_batches_and_queue(void)
{
  REQUIRE(set_up());
  CHECK(uk_sender_is_empty(sender));
  second->state = UK_BATCH_UNWRITTEN;
  CHECK(!uk_sender_is_empty(sender));
  second->state = UK_BATCH_FREE;
  still_put(sender, "v", NOW);
  CHECK(!uk_sender_is_empty(sender));
  tear_down();
}

/* What wakes the thread. */

/* True when a thread that sleeps for `wait` milliseconds wakes before they are over. */
static bool wakes_within(int64_t wait)
{
  const int64_t started = uk_clock_monotonic();
  uk_transfers_run(sender->transfers, wait);
  return uk_clock_monotonic() - started < wait;
}

/* True when something has woken the thread, however busy the machine is. */
static bool is_awake(void)
{
  return wakes_within(LONG);
}

static bool is_asleep(void)
{
  return !wakes_within(40);
}

static void send_value(const char *value)
{
  const struct uk_message message = {
    .topic = {"t", 1}, .value = uk_slice_text(value), .partition = -1, .timestamp = 1};
  CHECK_EQ_INT(uk_sender_send(sender, &message, uk_slice_of(NULL, 0)), UK_OK);
}

static void queue_levels_wake_the_thread(void)
{
  REQUIRE(set_up());
  sender->options.batch_messages = 3;
  sender->options.batch_bytes = 1 << 17;
  wait_at(NOW);
  CHECK_EQ_INT(sender->wake_messages, 1); /* the first message sets the time of the next batch */
  CHECK_EQ_INT(sender->wake_bytes, 1 << 17);
  send_value("1");
  CHECK(is_awake());
  wait_at(NOW);
  CHECK_EQ_INT(sender->wake_messages, 3);
  send_value("2");
  CHECK(is_asleep());
  send_value("3");
  CHECK(is_awake());
  send_value("4");
  CHECK(is_asleep()); /* once is enough */
  make(first, UK_BATCH_READY, 0, NOW + 9000);
  make(second, UK_BATCH_READY, 0, NOW + 9000);
  wait_at(NOW);
  CHECK(sender->wake_messages == SIZE_MAX && sender->wake_bytes == SIZE_MAX);
  tear_down();
}

static void a_flush_and_a_stop_wake_the_thread(void)
{
  REQUIRE(set_up());
  uk_sender_flush_start(sender);
  CHECK(is_asleep()); /* there is nothing to flush */
  send_value("1");
  uk_sender_flush_start(sender);
  CHECK(is_awake());
  uk_sender_flush_start(sender);
  CHECK(is_asleep()); /* the flush is under way */
  send_value("2");
  uk_sender_flush_start(sender);
  CHECK(is_awake());
  uk_sender_stop(sender, NOW);
  CHECK(is_awake());
  tear_down();
}

/* A sender that logs wakes its thread for the first dropped message. */
static void a_drop_wakes_the_thread_that_logs(void)
{
  for (int log = 0; log <= 1; log++) {
    REQUIRE(set_up());
    sender->options.log = log;
    sender->options.overflow = UK_OVERFLOW_DROP_OLDEST;
    sender->wake_messages = sender->wake_bytes = SIZE_MAX;
    while (sender->counts.dropped == 0)
      send_value("v");
    CHECK(log ? is_awake() : is_asleep());
    CHECK_EQ_STR(uk_sender_reasons_last(&sender->reasons)->text, uk_error_text(UK_E_QUEUE_FULL));
    send_value("v");
    CHECK_EQ_INT(sender->counts.dropped, 2);
    CHECK(is_asleep());
    tear_down();
  }
}

/* The thread. */

static long transfer_time; /* of the last transfer, in milliseconds */

#undef curl_easy_setopt

/* In front of that of libcurl, whose options are pointers and integers of the same size. The first
 * transfer is the last one: the time of the sender is up then. */
__attribute__((visibility("default"))) CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
  CURLcode (*real)(CURL *, CURLoption, ...) = NULL;
  va_list arguments;
  va_start(arguments, option);
  void *const value = va_arg(arguments, void *);
  va_end(arguments);
  *(void **)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
  if (option == CURLOPT_TIMEOUT_MS) {
    transfer_time = (long)(intptr_t)value;
    sender->stop_at = 0;
  }
  return real(curl, option, value);
}

/* Plays the thread of a sender that is stopped, for a message that it cannot deliver. Returns the
 * time of its first transfer. */
static long time_of_transfer(int64_t timeout, int64_t left)
{
  transfer_time = 0;
  if (!set_up())
    return -1;
  sender->settings.options.timeout = timeout;
  still_put(sender, "v", 0);
  uk_sender_stop(sender, uk_clock_monotonic() + left);
  CHECK(uk_sender_run_thread(sender) == NULL);
  CHECK(sender->ended);
  CHECK_EQ_INT(sender->counts.lost, 1);
  CHECK_EQ_INT(sender->queue.messages, 0);
  tear_down();
  return transfer_time;
}

/* A transfer of a sender that ends takes no longer than that, but is made. */
static void a_transfer_has_its_time(void)
{
  enum { HOUR = 3600000, DAY = 24 * HOUR };
  CHECK_EQ_INT(time_of_transfer(7, DAY), 7);
  CHECK_EQ_INT(time_of_transfer(DAY, -5), 1);
  const long most = time_of_transfer(2 * DAY, DAY);
  CHECK(most > DAY - HOUR && most <= DAY);
}

/* Reports. */

static void stats_are_those_of_the_sender(void)
{
  struct uk_sender_stats stats;
  REQUIRE(set_up());
  still_put(sender, "1", NOW);
  const size_t bytes = sender->queue.used;
  still_put(sender, "2", NOW);
  sender->counts = (struct uk_sender_stats){.sent = 1,
                                            .delivered = 2,
                                            .failed = 3,
                                            .dropped = 4,
                                            .refused = 5,
                                            .lost = 6,
                                            .retried = 7,
                                            .requests = 8,
                                            .in_flight = 9,
                                            .dropped_failures = 10};
  uk_sender_set_trouble(sender, UK_E_TIMEOUT, 0, uk_slice_text("late"));
  for (int64_t latency = 1; latency <= 10; latency++)
    uk_sender_latency_add(&sender->latency, latency);
  uk_sender_stats(sender, &stats);
  CHECK_EQ_INT(stats.queued, 2);
  CHECK_EQ_INT(stats.bytes, 2 * bytes);
  CHECK_EQ_INT(stats.sent, 1);
  CHECK_EQ_INT(stats.in_flight, 9);
  CHECK_EQ_INT(stats.dropped_failures, 10);
  CHECK_EQ_STR(stats.trouble, "late");
  CHECK(stats.latency_mean == 5.5 && stats.latency_p50 == 5 && stats.latency_p99 == 10 &&
        stats.latency_max == 10);
  for (int i = 0; i < 1000; i++)
    uk_sender_latency_add(&sender->latency, 2);
  uk_sender_stats(sender, &stats);
  CHECK(stats.latency_p99 == 2 && stats.latency_max == 10);
  tear_down();
}

static void discards_are_counted_and_explained(void)
{
  struct uk_sender_reason reason = {.number = 77};
  REQUIRE(set_up());
  CHECK_EQ_INT(uk_sender_discards(sender, 0, &reason), 0);
  CHECK_EQ_INT(reason.number, 77);
  uk_sender_count_discard(sender, true, UK_E_QUEUE_FULL, 0, uk_slice_of(NULL, 0));
  uk_sender_count_discard(sender, false, UK_E_FORBIDDEN, 403, uk_slice_text("no"));
  CHECK_EQ_INT(sender->counts.dropped, 1);
  CHECK_EQ_INT(sender->counts.failed, 1);
  CHECK_EQ_INT(uk_sender_discards(sender, 0, &reason), 2);
  CHECK_EQ_INT(reason.error, UK_E_QUEUE_FULL);
  CHECK_EQ_INT(uk_sender_discards(sender, 1, &reason), 2);
  CHECK_EQ_INT(reason.number, 2);
  CHECK_EQ_INT(reason.status, 403);
  CHECK_EQ_STR(reason.text, "no");
  CHECK_EQ_INT(uk_sender_discards(sender, 2, &reason), 2);
  CHECK_EQ_STR(reason.text, "no"); /* left alone */
  tear_down();
}

int main(void)
{
  CHECK_RUN(a_message_lingers);
  CHECK_RUN(a_queue_that_is_not_due_is_not_read);
  CHECK_RUN(an_empty_queue_is_never_due);
  CHECK_RUN(a_full_batch_does_not_linger);
  CHECK_RUN(a_flush_covers_earlier_messages);
  CHECK_RUN(a_stopped_sender_does_not_linger);
  CHECK_RUN(it_waits_for_memory);
  CHECK_RUN(a_batch_waits_for_memory);
  CHECK_RUN(the_oldest_message_of_all_batches_is_known);
  CHECK_RUN(a_free_batch_is_found);
  CHECK_RUN(the_next_batch_is_chosen);
  CHECK_RUN(only_waiting_batches_are_sent);
  CHECK_RUN(a_stop_skips_the_delays);
  CHECK_RUN(the_thread_sleeps_until_the_next_event);
  CHECK_RUN(the_thread_sleeps_until_the_next_line_of_the_log);
  CHECK_RUN(the_log_says_once_a_minute_that_the_server_refuses);
  CHECK_RUN(an_unused_sender_stays_for_a_while);
  CHECK_RUN(a_sender_that_is_used_does_not_retire);
  CHECK_RUN(a_stopped_sender_ends_when_it_is_empty_or_out_of_time);
  CHECK_RUN(it_is_empty_without_batches_and_queue);
  CHECK_RUN(queue_levels_wake_the_thread);
  CHECK_RUN(a_flush_and_a_stop_wake_the_thread);
  CHECK_RUN(a_drop_wakes_the_thread_that_logs);
  CHECK_RUN(a_transfer_has_its_time);
  CHECK_RUN(stats_are_those_of_the_sender);
  CHECK_RUN(discards_are_counted_and_explained);
  return check_end();
}
