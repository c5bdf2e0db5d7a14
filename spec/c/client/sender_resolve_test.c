/* for: sender_reasons.c, sender_resolve.c, sender_results.c. The effect of every outcome of a
 * request on its messages: counts, the next request and its time, and the waiters. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "sender_still.h"

enum { SECONDS = 60 /* until a thread counts as hanging */ };

/* The time while the clock stands still, in milliseconds; 0 = it goes. */
static int64_t stands_at;

/* In front of that of libc. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
  if (stands_at == 0)
    return (int)syscall(SYS_clock_gettime, clock, now);
  *now = (struct timespec){.tv_sec = stands_at / 1000, .tv_nsec = stands_at % 1000 * 1000000};
  return 0;
}

static struct uk_sender *sender;
static struct uk_sender_batch *batch;

static bool set_up(void)
{
  sender = still_open(2);
  if (sender == NULL)
    return false;
  batch = sender->batches;
  sender->options.give_up_after = 0; /* 401 and 403 fail at once, unless a test says otherwise */
  return true;
}

static void tear_down(void)
{
  uk_sender_destroy(sender);
}

/* Starts a request of the messages "0", "1", ... */
static void send(int count)
{
  char value[12];
  for (int i = 0; i < count; i++) {
    snprintf(value, sizeof value, "%d", i);
    still_put(sender, value, 0);
  }
  still_fill(sender, batch);
  still_start(sender, batch);
}

static bool set_up_sending(int count)
{
  const bool fine = set_up();
  if (fine)
    send(count);
  return fine;
}

static void fail(enum uk_error error, int status, const char *text)
{
  still_fail(sender, batch, error, status, text, -1);
}

static void check_body(const char *body)
{
  CHECK_EQ_SLICE(batch->request.body, body);
}

/* The key is in the first header line, which is NUL-terminated: the seed of the sender, and a
 * number. */
static void check_key(int number)
{
  char line[80] = "Idempotency-Key: ", end[16];
  for (int i = 0; i < UK_KEY_SEED_BYTES; i++)
    snprintf(line + strlen(line), 3, "%02x", sender->keys.seed[i]);
  snprintf(end, sizeof end, "-%d", number);
  strcat(line, end);
  CHECK_EQ_STR(batch->request.headers.data, line);
}

/* A failure of the whole request. */

/* A blocking call reports a bad certificate or wrong credentials to its caller; the messages of a
 * sender can wait. */
static bool can_wait(enum uk_error error)
{
  return uk_error_retriable(error) || error == UK_E_TLS_FAILED || error == UK_E_TRANSPORT_FAILED ||
         error == UK_E_UNAUTHORIZED || error == UK_E_FORBIDDEN;
}

static void check_retried(enum uk_error error)
{
  CHECK_EQ_INT(batch->state, UK_BATCH_READY);
  CHECK_EQ_INT(batch->attempts, 1);
  CHECK_EQ_INT(sender->oldest_batched, 0);
  CHECK_EQ_INT(sender->failure, error);
  CHECK_EQ_INT(sender->failure_status, 599);
  still_check_counts(sender, 0, 0, 1);
}

static void check_given_up(enum uk_error error)
{
  CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
  CHECK(sender->oldest_batched == UINT64_MAX);
  CHECK_EQ_INT(sender->failure, UK_OK);
  still_check_counts(sender, 0, 1, 0);
  CHECK_EQ_STR(uk_sender_reasons_last(&sender->reasons)->text, uk_error_text(error));
  still_check_failure(sender, "0", error, 599, uk_error_text(error));
}

static void each_error_is_retried_or_given_up(void)
{
  for (int i = UK_OK + 1; i < UK_ERROR_COUNT; i++) {
    const enum uk_error error = (enum uk_error)i;
    REQUIRE(set_up_sending(1));
    sender->options.give_up_after = 10000;
    fail(error, 599, NULL);
    CHECK_EQ_STR(sender->trouble, uk_error_text(error));
    if (can_wait(error))
      check_retried(error);
    else
      check_given_up(error);
    CHECK_EQ_INT(sender->sending, 0);
    tear_down();
  }
}

/* The time until the next attempt: Retry-After, up to a minute, or a delay that doubles. */
static void the_next_attempt_is_timed(void)
{
  static const struct {
    int64_t attempts, asked, least, most;
  } rows[] = {
    {0, -1, 50, 100},         {0, 0, 50, 100},       {1, -1, 100, 200},     {2, -1, 200, 400},
    {1000, -1, 500, 1000},    {0, 1, 1000, 1000},    {0, 60, 60000, 60000}, {0, 61, 60000, 60000},
    {0, 86400, 60000, 60000}, {1000, 1, 1000, 1000},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    REQUIRE(set_up_sending(1));
    sender->settings.options.retry_delay = 100;
    sender->settings.options.retry_delay_max = 1000;
    batch->attempts = rows[i].attempts;
    const int64_t before = uk_clock_monotonic();
    still_fail(sender, batch, UK_E_UNAVAILABLE, 503, NULL, rows[i].asked);
    const int64_t after = uk_clock_monotonic();
    if (!CHECK(batch->due >= before + rows[i].least && batch->due <= after + rows[i].most))
      fprintf(stderr, "  row %zu: %lld\n", i, (long long)(batch->due - before));
    CHECK_EQ_INT(batch->attempts, rows[i].attempts + 1);
    tear_down();
  }
}

/* Says that the server refused us for that long, until that long ago, and refuses us again. */
static void refuse_again(enum uk_error error, int64_t lasted, int64_t ago)
{
  const int64_t now = uk_clock_monotonic();
  sender->options.give_up_after = 10000;
  sender->refused_since = now - ago - lasted;
  sender->refused_at = now - ago;
  fail(error, 401, NULL);
}

/* D2: 401 and 403 are retried until they have lasted for give_up_after. */
static void refusals_are_waited_for(void)
{
  static const struct {
    int64_t lasted, ago;
    bool retried;
  } rows[] = {
    {0, 0, true},      {5000, 1000, true}, {9000, 1000, false},
    {20000, 0, false}, {0, 9000, true},    {20000, 10500, true}, /* the old ones are over */
  };
  for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
    const enum uk_error error = i % 2 == 0 ? UK_E_UNAUTHORIZED : UK_E_FORBIDDEN;
    REQUIRE(set_up_sending(1));
    const int64_t before = uk_clock_monotonic();
    refuse_again(error, rows[i / 2].lasted, rows[i / 2].ago);
    CHECK(sender->refused_at >= before);
    CHECK_EQ_INT(sender->counts.failed, rows[i / 2].retried ? 0 : 1);
    CHECK_EQ_INT(batch->state, rows[i / 2].retried ? UK_BATCH_READY : UK_BATCH_FREE);
    CHECK_EQ_INT(sender->refusal, error);
    tear_down();
  }
}

/* A refusal of 10 seconds is over when there was none for longer than that. */
static void refusals_last_to_the_millisecond(void)
{
  static const struct {
    int64_t lasted, ago, left; /* 0 = the message is given up */
  } rows[] = {
    {9999, 0, 1}, {10000, 0, 0}, {9000, 999, 1}, {9000, 1000, 0}, {0, 10000, 0}, {0, 10001, 10000},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    REQUIRE(set_up_sending(1));
    sender->settings.options.retry_delay = sender->settings.options.retry_delay_max = 60000;
    stands_at = 777777;
    refuse_again(UK_E_UNAUTHORIZED, rows[i].lasted, rows[i].ago);
    CHECK_EQ_INT(sender->counts.failed, rows[i].left > 0 ? 0 : 1);
    if (rows[i].left > 0)
      CHECK_EQ_INT(batch->due, stands_at + rows[i].left);
    CHECK_EQ_INT(sender->refused_at, stands_at);
    stands_at = 0;
    tear_down();
  }
}

static void the_last_attempt_comes_when_the_time_is_up(void)
{
  REQUIRE(set_up_sending(1));
  sender->settings.options.retry_delay = sender->settings.options.retry_delay_max = 60000;
  refuse_again(UK_E_UNAUTHORIZED, 9000, 0);
  const int64_t left = batch->due - uk_clock_monotonic();
  CHECK(left > 0 && left <= 1000);
  tear_down();
}

static void no_refusal_is_waited_for_without_time(void)
{
  REQUIRE(set_up_sending(2));
  sender->options.give_up_after = 0;
  fail(UK_E_UNAUTHORIZED, 401, NULL);
  CHECK_EQ_INT(sender->counts.failed, 2);
  tear_down();
}

/* Accepted credentials end a refusal. One topic that is permitted says nothing about others. */
static void a_delivery_ends_a_refusal_of_credentials(void)
{
  for (int i = 0; i < 2; i++) {
    REQUIRE(set_up_sending(1));
    refuse_again(i == 0 ? UK_E_UNAUTHORIZED : UK_E_FORBIDDEN, 1000, 0);
    CHECK(sender->refused_at != 0);
    still_start(sender, batch);
    uk_sender_deliver(sender, batch);
    CHECK((sender->refused_at == 0) == (i == 0));
    tear_down();
  }
}

/* Reasons. */

static void add_reason(struct uk_sender_reasons *reasons, uint64_t number, const char *text)
{
  uk_sender_reasons_add(reasons, number, UK_E_BAD_REQUEST, 400, uk_slice_text(text));
}

static void check_reason(const struct uk_sender_reasons *reasons, uint64_t after, const char *text)
{
  const struct uk_sender_reason *reason = uk_sender_reasons_after(reasons, after);
  if (CHECK((reason == NULL) == (text == NULL)) && reason != NULL)
    CHECK_EQ_STR(reason->text, text);
}

/* D2: a report names the first reason since the last one. */
static void reasons_are_found_by_number(void)
{
  struct uk_sender_reasons reasons = {.count = 0};
  char text[8];
  CHECK(uk_sender_reasons_last(&reasons) == NULL);
  check_reason(&reasons, 0, NULL);
  add_reason(&reasons, 1, "a");
  add_reason(&reasons, 2, "a");
  add_reason(&reasons, 3, "b");
  uk_sender_reasons_add(&reasons, 4, UK_E_BAD_REQUEST, 0, uk_slice_text("b"));
  uk_sender_reasons_add(&reasons, 5, UK_E_TIMEOUT, 0, uk_slice_of(NULL, 0));
  CHECK_EQ_INT(reasons.count, 4);
  check_reason(&reasons, 0, "a");
  check_reason(&reasons, 1, "a");
  check_reason(&reasons, 2, "b");
  CHECK_EQ_INT(uk_sender_reasons_after(&reasons, 3)->status, 0);
  check_reason(&reasons, 4, uk_error_text(UK_E_TIMEOUT));
  check_reason(&reasons, 5, NULL);
  for (uint64_t i = 6; i < 6 + UK_SENDER_REASONS_MAX; i++) {
    snprintf(text, sizeof text, "%d", (int)i);
    add_reason(&reasons, i, text);
  }
  check_reason(&reasons, 0, "6"); /* the oldest that is kept */
  CHECK_EQ_STR(uk_sender_reasons_last(&reasons)->text, "13");
}

static void the_text_loses_its_index(void)
{
  static const struct {
    const char *text, *kept;
  } rows[] = {
    {"[0].value: too long", "value: too long"},
    {"[0]: too long", "too long"},
    {"[12]:. x", "x"},
    {"too long", "too long"},
    {"[x]: too long", "[x]: too long"},
    {"[]: too long", "[]: too long"},
    {"[-1]: too long", "[-1]: too long"},
    {"[0", "[0"},
    {"a[0]: too long", "a[0]: too long"},
    {"x0]: too long", "x0]: too long"},
    {"[0]too long", "too long"},
    {"0]", "0]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    REQUIRE(set_up_sending(1));
    fail(UK_E_BAD_REQUEST, 400, rows[i].text);
    still_check_failure(sender, "0", UK_E_BAD_REQUEST, 400, rows[i].kept);
    CHECK_EQ_STR(uk_sender_reasons_last(&sender->reasons)->text, rows[i].kept);
    CHECK_EQ_STR(sender->trouble, rows[i].text);
    tear_down();
  }
}

/* A refusal that may be about some messages only. */

/* The size of the next request after a refusal of ten messages of one or two topics; 0 = all are
 * given up. */
static void a_refusal_is_narrowed_down(void)
{
  static const struct {
    enum uk_error error;
    const char *text;
    bool mixed;
    size_t window;
  } rows[] = {
    {UK_E_BAD_REQUEST, "[3].value: no", false, 3},
    {UK_E_BAD_REQUEST, "[0]: no", false, 1},
    {UK_E_BAD_REQUEST, "[1]: no", false, 1},
    {UK_E_BAD_REQUEST, "[9]: no", false, 9},
    {UK_E_BAD_REQUEST, "[10]: no", false, 5},
    {UK_E_BAD_REQUEST, "[-1]: no", false, 5},
    {UK_E_BAD_REQUEST, "no", false, 5},
    {UK_E_BAD_REQUEST, NULL, false, 5},
    {UK_E_BAD_REQUEST, "[3]: no", true, 3},
    {UK_E_TOO_LARGE, "no", false, 5},
    {UK_E_TOO_LARGE, "[4]: no", true, 4},
    {UK_E_FORBIDDEN, "no", false, 0},
    {UK_E_FORBIDDEN, "no", true, 5},
    {UK_E_NOT_FOUND, "no", false, 0},
    {UK_E_NOT_FOUND, "[2]: no", true, 2},
    {UK_E_UNAUTHORIZED, "no", true, 0},
    {UK_E_CONFLICT, "no", true, 0},
    {UK_E_UNPROCESSABLE, "no", true, 0},
    {UK_E_METHOD_NOT_ALLOWED, "no", true, 0},
    {UK_E_BAD_RESPONSE, "no", true, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    REQUIRE(set_up());
    if (rows[i].mixed)
      still_put_to(sender, "u", "other", 0);
    send(rows[i].mixed ? 9 : 10);
    batch->attempts = 4;
    batch->due = INT64_MAX / 2;
    fail(rows[i].error, 400, rows[i].text);
    if (!CHECK_EQ_INT(batch->window, rows[i].window))
      fprintf(stderr, "  row %zu\n", i);
    CHECK_EQ_INT(batch->state, rows[i].window > 0 ? UK_BATCH_READY : UK_BATCH_FREE);
    if (rows[i].window > 0) {
      CHECK_EQ_INT(batch->attempts, 0);
      CHECK_EQ_INT(batch->due, 0);
    }
    still_check_counts(sender, 0, rows[i].window > 0 ? 0 : 10, rows[i].window > 0 ? 10 : 0);
    tear_down();
  }
}

/* A 403 for messages of several topics may concern one of them: the others do not wait with it. */
static void a_forbidden_topic_is_found_without_a_wait(void)
{
  REQUIRE(set_up());
  sender->options.give_up_after = 10000;
  still_put_to(sender, "u", "other", 0);
  send(9);
  fail(UK_E_FORBIDDEN, 403, "no");
  CHECK_EQ_INT(batch->window, 5);
  CHECK_EQ_INT(batch->attempts, 0);
  CHECK_EQ_INT(batch->due, 0);
  CHECK_EQ_INT(sender->refused_at, 0);
  tear_down();
}

/* The first of ten messages is refused alone. After it the requests grow fourfold. */
static void after_the_faulty_message_requests_grow(void)
{
  REQUIRE(set_up_sending(10));
  fail(UK_E_BAD_REQUEST, 400, "[0]: no");
  check_key(1); /* another request, another key */
  still_start(sender, batch);
  fail(UK_E_BAD_REQUEST, 400, "[0]: no");
  still_check_counts(sender, 0, 1, 9);
  CHECK_EQ_INT(sender->oldest_batched, 1);
  static const size_t windows[] = {1, 4, 4};
  uint64_t delivered = 0;
  for (size_t i = 0; i < 3; i++) {
    CHECK_EQ_INT(batch->window, windows[i]);
    still_start(sender, batch);
    sender->sending--;
    uk_sender_deliver(sender, batch);
    delivered += windows[i];
    still_check_counts(sender, delivered, 1, 9 - delivered);
  }
  CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
  CHECK(sender->oldest_batched == UINT64_MAX);
  tear_down();
}

/* A message that cannot be written is given up without a request, and alone. */
static void an_unwritable_message_is_given_up_alone(void)
{
  static const char text[] = "message 1: value is not valid UTF-8 (binary = true sends any bytes)";
  REQUIRE(set_up());
  still_put(sender, "a", 0);
  still_put(sender, "\xff", 0);
  still_put(sender, "c", 0);
  still_fill(sender, batch);
  while (batch->state == UK_BATCH_READY) {
    still_start(sender, batch);
    sender->sending--;
    uk_sender_deliver(sender, batch);
  }
  still_check_counts(sender, 2, 1, 0);
  still_check_failure(sender, "\xff", UK_E_BAD_REQUEST, 0, text);
  CHECK_EQ_STR(uk_sender_reasons_last(&sender->reasons)->text, text);
  tear_down();
}

/* What expired while it waited is left out; the attempts before count for the rest. */
static void a_rewritten_request_keeps_its_attempts(void)
{
  REQUIRE(set_up());
  sender->options.message_timeout = 1000;
  still_put(sender, "expired", 0);
  still_put(sender, "left", 500);
  still_fill(sender, batch);
  batch->attempts = 6;
  uk_sender_expire(sender, 1000);
  CHECK_EQ_INT(batch->state, UK_BATCH_UNWRITTEN);
  uk_sender_rewrite(sender, batch);
  CHECK_EQ_INT(batch->state, UK_BATCH_READY);
  CHECK_EQ_INT(batch->attempts, 6);
  check_body("[{\"timestamp\":5,\"value\":\"left\"}]");
  check_key(1);
  still_check_counts(sender, 0, 1, 1);
  tear_down();
}

/* Delivery. */

static void deliveries_are_counted_and_measured(void)
{
  REQUIRE(set_up_sending(3));
  uk_sender_set_trouble(sender, UK_E_TIMEOUT, 7, uk_slice_text("before"));
  sender->sending--;
  uk_sender_deliver(sender, batch);
  still_check_counts(sender, 3, 0, 0);
  CHECK_EQ_INT(sender->latency.count, 3);
  CHECK(sender->latency.sum > 0); /* the messages were queued at 0 on the monotonic clock */
  CHECK_EQ_STR(sender->trouble, "");
  CHECK_EQ_INT(sender->failure, UK_OK);
  CHECK_EQ_INT(sender->failure_status, 0);
  CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
  CHECK_EQ_INT(batch->pending, 0);
  CHECK(uk_list_is_empty(&sender->failures.list));
  tear_down();
}

/* From the send to the answer. */
static void a_latency_is_that_of_each_message(void)
{
  for (int one_by_one = 0; one_by_one <= 1; one_by_one++) {
    REQUIRE(set_up());
    still_put(sender, "first", 1000);
    still_put(sender, "second", 1005);
    still_fill(sender, batch);
    still_start(sender, batch);
    stands_at = 1010;
    if (one_by_one) {
      uk_sender_deliver_one(sender, batch, uk_sender_batch_first(batch));
      CHECK_EQ_INT(batch->pending, 1);
      uk_sender_deliver_one(sender, batch, uk_sender_batch_first(batch));
    } else {
      uk_sender_deliver(sender, batch);
    }
    stands_at = 0;
    CHECK_EQ_INT(sender->latency.count, 2);
    CHECK_EQ_INT(sender->latency.sum, 15);
    CHECK_EQ_INT(sender->latency.max, 10);
    still_check_counts(sender, 2, 0, 0);
    tear_down();
  }
}

/* A 2xx confirms a request if it has the metadata of each message and nothing else. */
static void only_a_valid_answer_confirms(void)
{
#define STORED "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"timestamp\":2}"
  static const struct {
    const char *body, *message; /* NULL = confirmed */
  } rows[] = {
    {"[" STORED "," STORED "]", NULL},
    {" [" STORED "," STORED "] ", NULL},
    {"[" STORED "]", "the response: metadata of 2 messages expected, got 1"},
    {"[" STORED "," STORED "," STORED "]", "the response: metadata of 2 messages expected, got 3"},
    /* E8: what follows is not read. */
    {"[" STORED "," STORED "," STORED ",!", "the response: metadata of 2 messages expected, got 3"},
    {"[]", "the response: metadata of 2 messages expected, got 0"},
    {STORED, "the response: a list expected, got an object"},
    {"[" STORED "," STORED "]x",
     "malformed JSON at byte 107 of the response: something follows the value"},
    {"[" STORED ",{\"error\":\"no\",\"status\":503}]",
     "the response: a failure among the metadata"},
    {"", "malformed JSON at byte 0 of the response: the text is empty"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_buffer body;
    struct uk_client_failure failure;
    struct uk_response response = {.status = 201, .retry_after = 9, .body = &body};
    REQUIRE(set_up_sending(2));
    uk_buffer_init(&body, 1000);
    uk_buffer_append_text(&body, rows[i].body);
    CHECK_EQ_INT(uk_sender_confirmed(sender, batch, &response, &failure), rows[i].message == NULL);
    if (rows[i].message != NULL) {
      CHECK_EQ_INT(failure.error, UK_E_BAD_RESPONSE);
      CHECK_EQ_INT(failure.status, 201);
      CHECK_EQ_INT(failure.retry_after, -1);
      CHECK_EQ_SLICE(failure.message, rows[i].message);
    }
    still_check_counts(sender, 0, 0, 2);
    uk_buffer_free(&body);
    tear_down();
  }
}

/* An answer that reports each message. */

#define LATER "{\"error\":\"later\",\"status\":503}"
#define NO "{\"error\":\"n\\\"o\",\"status\":413}"
#define SILENT "{\"error\":\"\",\"status\":422}"

/* Answers a request. True when the results were taken. */
static bool answer(const char *results, int64_t retry_after)
{
  struct uk_buffer body;
  struct uk_client_failure failure;
  uk_buffer_init(&body, 4000);
  uk_buffer_append_text(&body, "{\"error\":\"some\",\"status\":503,\"results\":");
  uk_buffer_append_text(&body, results);
  uk_buffer_append_text(&body, "}");
  CHECK(uk_response_failed(&failure, 503, retry_after, body.data, body.length));
  sender->sending--;
  const bool taken = uk_sender_take_results(sender, batch, &failure, &body);
  uk_buffer_free(&body);
  return taken;
}

static void stored_and_refused_messages_end_and_the_rest_is_resent(void)
{
  REQUIRE(set_up_sending(4));
  const int64_t before = uk_clock_monotonic();
  CHECK(answer("[" STORED "," NO "," STORED "," LATER "]", 7));
  still_check_counts(sender, 2, 1, 1);
  CHECK_EQ_INT(sender->latency.count, 2);
  still_check_failure(sender, "1", UK_E_TOO_LARGE, 413, "n\"o");
  CHECK_EQ_STR(uk_sender_reasons_last(&sender->reasons)->text, "n\"o");
  CHECK_EQ_INT(batch->state, UK_BATCH_READY);
  CHECK_EQ_INT(batch->attempts, 1);
  CHECK(batch->due >= before + 7000);
  CHECK_EQ_INT(sender->failure, UK_E_UNAVAILABLE);
  CHECK_EQ_INT(sender->failure_status, 503);
  CHECK_EQ_STR(sender->trouble, "the server cannot serve this now");
  CHECK_EQ_INT(sender->oldest_batched, 3);
  check_body("[{\"timestamp\":5,\"value\":\"3\"}]");
  check_key(1);
  tear_down();
}

static void results_count_the_attempts_of_the_rest(void)
{
  REQUIRE(set_up_sending(4));
  batch->attempts = 5;
  CHECK(answer("[" LATER "," LATER "," STORED "," LATER "]", -1));
  CHECK_EQ_INT(batch->attempts, 6);
  still_check_counts(sender, 1, 0, 3);
  check_body("[{\"timestamp\":5,\"value\":\"0\"},{\"timestamp\":5,\"value\":\"1\"},"
             "{\"timestamp\":5,\"value\":\"3\"}]");
  tear_down();
}

static void results_may_leave_nothing(void)
{
  REQUIRE(set_up_sending(4));
  CHECK(answer("[" NO "," STORED "," SILENT "," STORED "]", -1));
  still_check_counts(sender, 2, 2, 0);
  still_check_failure(sender, "0", UK_E_TOO_LARGE, 413, "n\"o");
  still_check_failure(sender, "2", UK_E_UNPROCESSABLE, 422, "");
  CHECK_EQ_STR(uk_sender_reasons_last(&sender->reasons)->text, uk_error_text(UK_E_UNPROCESSABLE));
  CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
  CHECK(sender->oldest_batched == UINT64_MAX);
  tear_down();
}

/* A message that failed with a text, and then for good without one. */
static void a_result_forgets_the_text_of_an_earlier_one(void)
{
  REQUIRE(set_up_sending(1));
  CHECK(answer("[" LATER "]", -1));
  still_start(sender, batch);
  CHECK(answer("[" SILENT "]", -1));
  still_check_failure(sender, "0", UK_E_UNPROCESSABLE, 422, "");
  tear_down();
}

/* The request had a part of its batch. The rest becomes a new request without attempts. */
static void results_continue_with_the_rest_of_the_batch(void)
{
  REQUIRE(set_up_sending(6));
  fail(UK_E_BAD_REQUEST, 400, "[4]: no");
  CHECK_EQ_INT(batch->window, 4);
  batch->attempts = 3;
  batch->due = INT64_MAX / 2;
  still_start(sender, batch);
  CHECK(answer("[" NO "," STORED "," STORED "," STORED "]", 60));
  still_check_counts(sender, 3, 1, 2);
  CHECK_EQ_INT(batch->state, UK_BATCH_READY);
  CHECK_EQ_INT(batch->attempts, 0);
  CHECK_EQ_INT(batch->due, 0);
  CHECK_EQ_INT(sender->oldest_batched, 4);
  check_body("[{\"timestamp\":5,\"value\":\"4\"},{\"timestamp\":5,\"value\":\"5\"}]");
  tear_down();
}

/* A message that expired while it was sent has been counted, whatever its result is. */
static void results_do_not_count_expired_messages(void)
{
  static const char *const expired[] = {NO, STORED, LATER};
  for (int i = 0; i < 3; i++) {
    char results[400];
    REQUIRE(set_up());
    sender->options.message_timeout = 1000;
    still_put(sender, "expired", 0);
    still_put(sender, "a", 500);
    still_put(sender, "b", 500);
    still_put(sender, "c", 500);
    still_fill(sender, batch);
    still_start(sender, batch);
    uk_sender_expire(sender, 1000);
    still_check_counts(sender, 0, 1, 3);
    snprintf(results, sizeof results, "[%s," STORED "," NO "," STORED "]", expired[i]);
    CHECK(answer(results, -1));
    still_check_counts(sender, 2, 2, 0);
    CHECK_EQ_INT(sender->latency.count, 2);
    CHECK_EQ_INT(batch->state, UK_BATCH_FREE);
    tear_down();
  }
}

/* A topic that is forbidden now may be permitted soon, also if it is one of several. */
static void results_that_refuse_a_message_are_waited_for(void)
{
#define FORBIDDEN "{\"error\":\"forbidden\",\"status\":403}"
  for (int patient = 0; patient <= 1; patient++) {
    REQUIRE(set_up_sending(2));
    sender->options.give_up_after = patient ? 10000 : 0;
    CHECK(answer("[" STORED "," FORBIDDEN "]", -1));
    still_check_counts(sender, 1, patient ? 0 : 1, patient ? 1 : 0);
    CHECK_EQ_INT(batch->state, patient ? UK_BATCH_READY : UK_BATCH_FREE);
    CHECK_EQ_INT(sender->refusal, UK_E_FORBIDDEN);
    if (patient) {
      CHECK_EQ_INT(sender->failure, UK_E_FORBIDDEN);
      CHECK_EQ_INT(sender->failure_status, 403);
    } else {
      still_check_failure(sender, "1", UK_E_FORBIDDEN, 403, uk_error_text(UK_E_FORBIDDEN));
    }
    tear_down();
  }
}

static void invalid_results_are_ignored(void)
{
  static const char *const rows[] = {
    "{}",
    "[]",
    "[" STORED "," STORED "," STORED "]",
    "[" STORED "," STORED "," STORED "," STORED "," LATER "]",
    "[" STORED "," STORED "," STORED ",{\"error\":\"no\"}]",
    "[" STORED "," STORED "," STORED ",5]",
    "[" STORED "," STORED "," STORED "," STORED ",5]",
    "[" STORED "," STORED "," STORED "," STORED ";",
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    REQUIRE(set_up_sending(4));
    if (!CHECK(!answer(rows[i], -1)))
      fprintf(stderr, "  %s\n", rows[i]);
    still_check_counts(sender, 0, 0, 4);
    CHECK_EQ_INT(batch->window, 4);
    tear_down();
  }
}

/* The end. */

static void unsent_messages_are_lost(void)
{
  static const char text[] = "the producer was closed before the message was delivered";
  REQUIRE(set_up());
  sender->options.message_timeout = 1000;
  still_put(sender, "expired", 0);
  still_put(sender, "sent", 500);
  still_fill(sender, batch);
  still_start(sender, batch);
  uk_sender_expire(sender, 1000);
  still_check_counts(sender, 0, 1, 1);
  CHECK_EQ_INT(uk_transfers_start(sender->transfers, 0, &batch->request, 60000), UK_OK);
  still_put(sender, "ready", 500);
  still_fill(sender, &sender->batches[1]);
  still_put(sender, "queued", 500);
  uk_sender_lose(sender);
  still_check_counts(sender, 0, 4, 0);
  CHECK_EQ_INT(sender->counts.lost, 3);
  CHECK_EQ_INT(sender->queue.messages, 0);
  CHECK_EQ_INT(uk_transfers_start(sender->transfers, 0, &batch->request, 60000), UK_OK);
  CHECK(sender->oldest_batched == UINT64_MAX);
  CHECK_EQ_STR(uk_sender_reasons_last(&sender->reasons)->text, text);
  still_check_failure(sender, "expired", UK_E_TIMEOUT, 0,
                      "the message was not delivered within message_timeout");
  still_check_failure(sender, "sent", UK_E_CANCELLED, 0, text);
  still_check_failure(sender, "ready", UK_E_CANCELLED, 0, text);
  still_check_failure(sender, "queued", UK_E_CANCELLED, 0, text);
  CHECK(uk_list_is_empty(&sender->failures.list));
  tear_down();
}

/* A narrowed window does not have all messages of its batch. */
static void a_narrowed_batch_is_lost_too(void)
{
  REQUIRE(set_up_sending(10));
  fail(UK_E_BAD_REQUEST, 400, "[2]: no");
  CHECK_EQ_INT(batch->window, 2);
  uk_sender_lose(sender);
  still_check_counts(sender, 0, 10, 0);
  CHECK_EQ_INT(sender->counts.lost, 10);
  tear_down();
}

static void failures_without_room_are_counted(void)
{
  struct uk_list taken = {.head = {NULL, NULL}};
  REQUIRE(set_up_sending(1));
  sender->options.message_timeout = 1000;
  sender->failures.count = UK_SENDER_FAILURES_MAX;
  fail(UK_E_FORBIDDEN, 403, NULL);
  CHECK_EQ_INT(sender->counts.dropped_failures, 1);
  still_put(sender, "expires", 0);
  uk_sender_expire(sender, 1000);
  CHECK_EQ_INT(sender->counts.dropped_failures, 2);
  still_put(sender, "lost", 0);
  uk_sender_lose(sender);
  CHECK_EQ_INT(sender->counts.dropped_failures, 3);
  still_check_counts(sender, 0, 3, 0);
  CHECK_EQ_INT(uk_sender_take_failures(sender, &taken), 3);
  CHECK_EQ_INT(uk_sender_take_failures(sender, &taken), 0);
  CHECK(uk_list_is_empty(&taken));
  CHECK_EQ_INT(sender->counts.dropped_failures, 3);
  tear_down();
}

/* A text has at most 255 bytes, and no partial character. */
static void texts_are_truncated_between_characters(void)
{
  char text[UK_SENDER_TEXT_SIZE + 100], kept[UK_SENDER_TEXT_SIZE];
  const size_t most = UK_SENDER_TEXT_SIZE - 1;
  memset(text, 'x', sizeof text);
  for (size_t length = most - 1; length <= most + 1; length++) {
    uk_sender_text_put(kept, uk_slice_of(text, length));
    CHECK_EQ_INT(strlen(kept), length < most ? length : most);
  }
  uk_sender_text_put(kept, uk_slice_of(NULL, 0));
  CHECK_EQ_STR(kept, "");
  for (size_t at = most - 3; at <= most; at++) {
    memset(text, 'x', sizeof text);
    memcpy(text + at, "\xe2\x82\xac", 3);
    uk_sender_text_put(kept, uk_slice_of(text, sizeof text));
    CHECK_EQ_INT(strlen(kept), at + 3 <= most ? at + 3 : at);
  }
}

/* Waiters are woken. */

static void *wait_for_all(void *mark)
{
  CHECK(uk_sender_wait(sender, *(uint64_t *)mark, INT64_MAX));
  return NULL;
}

static bool waits(void)
{
  pthread_mutex_lock(&sender->lock);
  const bool waiting = sender->waiters == 1;
  pthread_mutex_unlock(&sender->lock);
  return waiting;
}

static void resolve_by_delivery(void)
{
  uk_sender_deliver(sender, batch);
}

static void resolve_by_refusal(void)
{
  fail(UK_E_UNAUTHORIZED, 401, "no");
}

static void resolve_by_results(void)
{
  CHECK(answer("[" STORED "," NO "," STORED "," NO "]", -1));
}

static void resolve_by_expiry(void)
{
  uk_sender_expire(sender, 1000);
}

static void resolve_by_loss(void)
{
  uk_sender_lose(sender);
}

/* A thread waits for messages that are under way, or in the queue. */
static void check_woken(void (*resolve)(void), bool queued)
{
  struct timespec until;
  pthread_t thread;
  REQUIRE(set_up());
  sender->options.message_timeout = 1000;
  send(4);
  if (queued) {
    uk_sender_deliver(sender, batch);
    still_put(sender, "queued", 0);
  }
  uint64_t mark = sender->queue.sequence;
  CHECK(!uk_sender_is_flushed(sender, mark));
  REQUIRE(pthread_create(&thread, NULL, wait_for_all, &mark) == 0);
  CHECK_EVENTUALLY(waits());
  resolve();
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += SECONDS;
  if (!CHECK(pthread_timedjoin_np(thread, NULL, &until) == 0))
    exit(1); /* the thread still uses the sender */
  CHECK_EQ_INT(sender->waiters, 0);
  tear_down();
}

static void waiters_are_woken(void)
{
  check_woken(resolve_by_delivery, false);
  check_woken(resolve_by_refusal, false);
  check_woken(resolve_by_results, false);
  check_woken(resolve_by_expiry, false);
  check_woken(resolve_by_expiry, true);
  check_woken(resolve_by_loss, false);
  check_woken(resolve_by_loss, true);
}

/* A queue that is read. */

static const struct uk_message small = {
  .topic = {"t", 1}, .value = {"v", 1}, .partition = -1, .timestamp = 1};

static void *send_small(void *argument)
{
  CHECK_EQ_INT(uk_sender_send(sender, &small, uk_slice_of(NULL, 0)), UK_OK);
  return argument;
}

/* The queue drops nothing while a batch is copied, which happens without the lock. */
static void nothing_is_dropped_while_a_batch_is_copied(void)
{
  struct uk_queue_reader reader;
  pthread_t thread;
  REQUIRE(set_up());
  sender->options.overflow = UK_OVERFLOW_DROP_OLDEST;
  sender->options.block_timeout = 10 * SECONDS * 1000;
  while (sender->counts.dropped == 0)
    send_small(NULL);
  uk_queue_reader_open(&reader, &sender->queue);
  CHECK(sender->queue.open);
  REQUIRE(pthread_create(&thread, NULL, send_small, NULL) == 0);
  CHECK_EVENTUALLY(waits());
  pthread_mutex_lock(&sender->lock);
  CHECK_EQ_INT(sender->counts.dropped, 1);
  uk_queue_reader_pass(&reader, uk_queue_reader_next(&reader));
  uk_queue_reader_close(&reader, &sender->queue);
  CHECK(!sender->queue.open);
  pthread_mutex_unlock(&sender->lock);
  uk_sender_update_waiters(sender);
  pthread_join(thread, NULL);
  CHECK_EQ_INT(sender->counts.dropped, 1);
  tear_down();
}

/* A caller that waits for room gets it when a batch has left the queue, before its request is
 * written. */
static void a_batch_that_leaves_the_queue_makes_room(void)
{
  pthread_t thread;
  struct timespec until;
  REQUIRE(set_up());
  while (uk_sender_send(sender, &small, uk_slice_of(NULL, 0)) == UK_OK)
    continue;
  sender->options.overflow = UK_OVERFLOW_BLOCK;
  sender->options.block_timeout = 10 * SECONDS * 1000;
  REQUIRE(pthread_create(&thread, NULL, send_small, NULL) == 0);
  CHECK_EVENTUALLY(waits());
  CHECK(uk_sender_fill(sender, batch, INT64_MAX / 2));
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += SECONDS;
  if (!CHECK(pthread_timedjoin_np(thread, NULL, &until) == 0))
    exit(1); /* the thread still uses the sender */
  tear_down();
}

static void *send_to_a_full_queue(void *argument)
{
  CHECK_EQ_INT(uk_sender_send(sender, &small, uk_slice_of(NULL, 0)), UK_E_CANCELLED);
  return argument;
}

/* At once, although the sender has time to deliver its queue. */
static void a_stop_refuses_callers_that_wait_for_room(void)
{
  pthread_t thread;
  struct timespec until;
  REQUIRE(set_up());
  while (uk_sender_send(sender, &small, uk_slice_of(NULL, 0)) == UK_OK)
    continue;
  CHECK_EQ_INT(sender->counts.refused, 1);
  sender->options.overflow = UK_OVERFLOW_BLOCK;
  sender->options.block_timeout = 10 * SECONDS * 1000;
  REQUIRE(pthread_create(&thread, NULL, send_to_a_full_queue, NULL) == 0);
  CHECK_EVENTUALLY(waits());
  uk_sender_stop(sender, INT64_MAX / 2);
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += SECONDS;
  if (!CHECK(pthread_timedjoin_np(thread, NULL, &until) == 0))
    exit(1); /* the thread still uses the sender */
  CHECK_EQ_INT(sender->counts.refused, 1);
  tear_down();
}

int main(void)
{
  CHECK_RUN(each_error_is_retried_or_given_up);
  CHECK_RUN(the_next_attempt_is_timed);
  CHECK_RUN(refusals_are_waited_for);
  CHECK_RUN(refusals_last_to_the_millisecond);
  CHECK_RUN(the_last_attempt_comes_when_the_time_is_up);
  CHECK_RUN(no_refusal_is_waited_for_without_time);
  CHECK_RUN(a_delivery_ends_a_refusal_of_credentials);
  CHECK_RUN(reasons_are_found_by_number);
  CHECK_RUN(the_text_loses_its_index);
  CHECK_RUN(a_refusal_is_narrowed_down);
  CHECK_RUN(a_forbidden_topic_is_found_without_a_wait);
  CHECK_RUN(after_the_faulty_message_requests_grow);
  CHECK_RUN(an_unwritable_message_is_given_up_alone);
  CHECK_RUN(a_rewritten_request_keeps_its_attempts);
  CHECK_RUN(deliveries_are_counted_and_measured);
  CHECK_RUN(a_latency_is_that_of_each_message);
  CHECK_RUN(only_a_valid_answer_confirms);
  CHECK_RUN(stored_and_refused_messages_end_and_the_rest_is_resent);
  CHECK_RUN(results_count_the_attempts_of_the_rest);
  CHECK_RUN(results_may_leave_nothing);
  CHECK_RUN(a_result_forgets_the_text_of_an_earlier_one);
  CHECK_RUN(results_continue_with_the_rest_of_the_batch);
  CHECK_RUN(results_do_not_count_expired_messages);
  CHECK_RUN(results_that_refuse_a_message_are_waited_for);
  CHECK_RUN(invalid_results_are_ignored);
  CHECK_RUN(unsent_messages_are_lost);
  CHECK_RUN(a_narrowed_batch_is_lost_too);
  CHECK_RUN(failures_without_room_are_counted);
  CHECK_RUN(texts_are_truncated_between_characters);
  CHECK_RUN(waiters_are_woken);
  CHECK_RUN(nothing_is_dropped_while_a_batch_is_copied);
  CHECK_RUN(a_batch_that_leaves_the_queue_makes_room);
  CHECK_RUN(a_stop_refuses_callers_that_wait_for_room);
  return check_end();
}
