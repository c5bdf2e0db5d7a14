/* for: sender_batch.c, sender_failures.c, sender_latency.c. The requests that batches write, and
 * how their windows change when the server refuses them. */
#include <stdlib.h>

#include "check.h"
#include "client/sender/sender_batch.h"
#include "client/sender/sender_failures.h"
#include "client/sender/sender_latency.h"
#include "common/gzip.h"
#include "fault.h"

static struct uk_sender_queue queue;

static void put(const char *topic, const char *key, const char *value, struct uk_slice headers)
{
  struct uk_message message = {
    .topic = uk_slice_text(topic), .partition = -1, .timestamp = 5, .value = {NULL, 0}};
  if (key != NULL)
    message.key = uk_slice_text(key);
  if (value != NULL)
    message.value = uk_slice_text(value);
  const size_t size = uk_sender_record_size(&message, headers.length);
  struct uk_sender_record *record = uk_sender_queue_reserve(&queue, size);
  if (!CHECK(record != NULL))
    return;
  uk_sender_record_write(record, size, &message, headers);
  uk_sender_queue_commit(&queue, record);
}

/* Queues messages "0", "1", ... and fills the batch. */
static bool fill(struct uk_sender_batch *batch, int count, size_t bytes, size_t messages)
{
  struct uk_queue_reader reader;
  char value[16];
  for (int i = 0; i < count; i++) {
    snprintf(value, sizeof value, "%d", i);
    put("t", NULL, value, uk_slice_of(NULL, 0));
  }
  uk_queue_reader_open(&reader, &queue);
  const bool filled = uk_sender_batch_fill(batch, &reader, bytes, messages);
  uk_queue_reader_close(&reader, &queue);
  return filled;
}

static bool set_up(struct uk_sender_batch *batch)
{
  uk_sender_batch_init(batch);
  return uk_sender_queue_init(&queue, 1 << 20);
}

static void tear_down(struct uk_sender_batch *batch)
{
  uk_sender_batch_free(batch);
  uk_sender_queue_free(&queue);
}

static void check_body(struct uk_sender_batch *batch, const char *expected)
{
  CHECK_EQ_INT(uk_sender_batch_write(batch, false, false, "key"), UK_OK);
  CHECK_EQ_SLICE(batch->request.body, expected);
}

static void writes_a_body_for_produce(void)
{
  struct uk_sender_batch batch;
  struct uk_buffer headers;
  REQUIRE(set_up(&batch));
  uk_buffer_init(&headers, 1000);
  uk_sender_header_pack(&headers, uk_slice_text("a"), uk_slice_text("b\n"));
  put("t", "k", "v", uk_buffer_slice(&headers));
  put("t", "", NULL, uk_slice_of(NULL, 0));
  CHECK(fill(&batch, 0, 1000, 10));
  check_body(&batch, "[{\"timestamp\":5,\"key\":\"k\",\"value\":\"v\",\"headers\":"
                     "[{\"key\":\"a\",\"value\":\"b\\n\"}]},"
                     "{\"timestamp\":5,\"key\":\"\",\"value\":null}]");
  CHECK_EQ_SLICE(batch.request.path, "/produce/t");
  CHECK_EQ_MEM(batch.request.headers.data, batch.request.headers.length,
               "Idempotency-Key: key\0Content-Type: application/json", 52);
  uk_buffer_free(&headers);
  tear_down(&batch);
}

/* The system may have no random bytes. */
static void is_sent_without_a_key_if_there_is_none(void)
{
  struct uk_sender_batch batch;
  REQUIRE(set_up(&batch));
  put("t", NULL, "v", uk_slice_of(NULL, 0));
  CHECK(fill(&batch, 0, 1000, 10));
  CHECK_EQ_INT(uk_sender_batch_write(&batch, false, false, ""), UK_OK);
  CHECK_EQ_MEM(batch.request.headers.data, batch.request.headers.length,
               "Content-Type: application/json", 31);
  tear_down(&batch);
}

static void names_topics_if_they_differ(void)
{
  struct uk_sender_batch batch;
  REQUIRE(set_up(&batch));
  put("one", NULL, "1", uk_slice_of(NULL, 0));
  put("two", NULL, "2", uk_slice_of(NULL, 0));
  CHECK(fill(&batch, 0, 1000, 10));
  check_body(&batch, "[{\"topic\":\"one\",\"timestamp\":5,\"value\":\"1\"},"
                     "{\"topic\":\"two\",\"timestamp\":5,\"value\":\"2\"}]");
  CHECK(batch.mixed);
  CHECK_EQ_SLICE(batch.request.path, "/produce");
  uk_sender_batch_narrow(&batch, -1);
  check_body(&batch, "[{\"timestamp\":5,\"value\":\"1\"}]");
  CHECK(!batch.mixed);
  CHECK_EQ_SLICE(batch.request.path, "/produce/one");
  tear_down(&batch);
}

static void stops_at_its_limits(void)
{
  struct uk_sender_batch batch;
  REQUIRE(set_up(&batch));
  CHECK(fill(&batch, 10, 1 << 20, 4));
  CHECK_EQ_INT(batch.pending, 4);
  CHECK(fill(&batch, 0, batch.records.length / 2, 100));
  CHECK_EQ_INT(batch.pending, 2);
  CHECK(batch.oldest == 4);
  CHECK(fill(&batch, 0, 1, 100)); /* a message larger than a batch is sent alone */
  CHECK_EQ_INT(batch.pending, 1);
  CHECK_EQ_INT(queue.messages, 3);
  tear_down(&batch);
}

/* The second message fits exactly, or is one byte too large. */
static void fills_up_to_the_last_byte(void)
{
  for (size_t lack = 0; lack <= 1; lack++) {
    struct uk_sender_batch batch;
    REQUIRE(set_up(&batch));
    put("t", NULL, "first", uk_slice_of(NULL, 0));
    const size_t one = queue.used;
    put("t", NULL, "other", uk_slice_of(NULL, 0));
    CHECK(fill(&batch, 0, queue.used - lack, 100));
    CHECK_EQ_INT(batch.pending, 2 - lack);
    CHECK_EQ_INT(batch.records.length, lack > 0 ? one : 2 * one);
    tear_down(&batch);
  }
}

/* The memory of an ordinary batch is kept for the next one, that of a very large one is not. */
static void keeps_memory_of_ordinary_batches(void)
{
  static const struct {
    size_t length;
    bool kept;
  } rows[] = {{100000, true}, {9 << 20, false}};
  for (size_t i = 0; i < 2; i++) {
    struct uk_sender_batch batch;
    char *value = malloc(rows[i].length + 1);
    uk_sender_batch_init(&batch);
    REQUIRE(value != NULL && uk_sender_queue_init(&queue, 16 << 20));
    for (size_t at = 0; at < rows[i].length; at++)
      value[at] = (char)('a' + at * at / 7 % 23);
    value[rows[i].length] = '\0';
    put("t", NULL, value, uk_slice_of(NULL, 0));
    CHECK(fill(&batch, 0, 16 << 20, 100));
    CHECK_EQ_INT(uk_sender_batch_write(&batch, false, true, "key"), UK_OK);
    const size_t records = batch.records.capacity, body = batch.request.body.capacity;
    const size_t packed = batch.packed.capacity;
    CHECK(fill(&batch, 1, 16 << 20, 100));
    CHECK_EQ_INT(uk_sender_batch_write(&batch, false, false, "key"), UK_OK);
    CHECK((batch.records.capacity == records) == rows[i].kept);
    CHECK((batch.request.body.capacity == body) == rows[i].kept);
    CHECK((batch.packed.capacity == packed) == rows[i].kept);
    CHECK(batch.records.capacity <= 4 << 20);
    CHECK(batch.request.body.capacity <= 8 << 20 && batch.packed.capacity <= 8 << 20);
    free(value);
    tear_down(&batch);
  }
}

/* Plays a server that refuses every window with a `bad` message. Each message is resolved once, in
 * order, and only the bad ones are given up. Returns the number of requests. */
static int play(struct uk_sender_batch *batch, int count, const bool *bad, bool names_index)
{
  int requests = 0, next = 0;
  while (batch->pending > 0 && requests < 100 * count) {
    int64_t index = -1, at = 0;
    CHECK_EQ_INT(uk_sender_batch_write(batch, false, false, "key"), UK_OK);
    requests++;
    for (struct uk_sender_record *record = uk_sender_batch_first(batch);
         record != NULL && index < 0; record = uk_sender_batch_next(batch, record), at++)
      index = bad[record->sequence] ? at : -1;
    if (index >= 0 && batch->window > 1) {
      uk_sender_batch_narrow(batch, names_index ? index : -1);
      continue;
    }
    for (struct uk_sender_record *record = uk_sender_batch_first(batch), *behind; record != NULL;
         record = behind) {
      behind = uk_sender_batch_next(batch, record);
      CHECK(record->sequence == (uint64_t)next++);
      uk_sender_batch_resolve(batch, record);
    }
    if (index < 0)
      uk_sender_batch_widen(batch);
  }
  CHECK_EQ_INT(next, count);
  return requests;
}

static void finds_the_faulty_message(void)
{
  enum { COUNT = 1000 };
  static const int places[] = {0, 1, 499, 500, 998, 999};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    for (int named = 0; named < 2; named++) {
      struct uk_sender_batch batch;
      bool bad[COUNT] = {false};
      REQUIRE(set_up(&batch));
      bad[places[i]] = true;
      CHECK(fill(&batch, COUNT, 1 << 20, COUNT));
      CHECK(play(&batch, COUNT, bad, named) < 50);
      tear_down(&batch);
    }
  }
}

static void ends_when_all_messages_are_bad(void)
{
  enum { COUNT = 500 };
  struct uk_sender_batch batch;
  bool bad[COUNT];
  REQUIRE(set_up(&batch));
  memset(bad, true, sizeof bad);
  CHECK(fill(&batch, COUNT, 1 << 20, COUNT));
  CHECK(play(&batch, COUNT, bad, false) < 2 * COUNT);
  tear_down(&batch);
}

/* When some messages of a window are resolved, the next window has the others. */
static void omits_resolved_messages(void)
{
  struct uk_sender_batch batch;
  REQUIRE(set_up(&batch));
  CHECK(fill(&batch, 4, 1000, 10));
  CHECK_EQ_INT(uk_sender_batch_write(&batch, false, false, "key"), UK_OK);
  struct uk_sender_record *first = uk_sender_batch_first(&batch);
  uk_sender_batch_resolve(&batch, uk_sender_batch_next(&batch, first));
  check_body(&batch, "[{\"timestamp\":5,\"value\":\"0\"},{\"timestamp\":5,\"value\":\"2\"},"
                     "{\"timestamp\":5,\"value\":\"3\"}]");
  uk_sender_batch_resolve(&batch, uk_sender_batch_first(&batch));
  check_body(&batch, "[{\"timestamp\":5,\"value\":\"2\"},{\"timestamp\":5,\"value\":\"3\"}]");
  CHECK(batch.oldest == 2);
  tear_down(&batch);
}

static void compresses(void)
{
  struct uk_sender_batch batch;
  REQUIRE(set_up(&batch));
  CHECK(fill(&batch, 1000, 1 << 20, 1000));
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(uk_sender_batch_write(&batch, false, true, "key"), UK_OK);
    CHECK_EQ_MEM(batch.request.body.data, 2, "\x1f\x8b", 2);
    CHECK(batch.request.body.length < 10000);
  }
  tear_down(&batch);
}

/* From UK_GZIP_LEAST bytes on. */
static void compresses_bodies_that_shrink(void)
{
  static char value[UK_GZIP_LEAST + 1];
  const size_t around = strlen("[{\"timestamp\":5,\"value\":\"\"}]");
  for (size_t length = UK_GZIP_LEAST - 1; length <= UK_GZIP_LEAST; length++) {
    struct uk_sender_batch batch;
    REQUIRE(set_up(&batch));
    memset(value, 'x', length - around);
    value[length - around] = '\0';
    put("t", NULL, value, uk_slice_of(NULL, 0));
    CHECK(fill(&batch, 0, 1 << 20, 1));
    CHECK_EQ_INT(uk_sender_batch_write(&batch, false, true, "key"), UK_OK);
    CHECK((batch.request.body.data[0] == '\x1f') == (length == UK_GZIP_LEAST));
    tear_down(&batch);
  }
}

static void survives_without_memory(void)
{
  const long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_sender_batch batch;
    REQUIRE(set_up(&batch));
    fault_at(n);
    bool filled = fill(&batch, 100, 1 << 20, 100);
    const enum uk_error error =
      filled ? uk_sender_batch_write(&batch, false, n % 2 == 0, "key") : UK_E_NO_MEMORY;
    hit = fault_hit();
    fault_off();
    CHECK(hit || error == UK_OK);
    CHECK(error == UK_OK || error == UK_E_NO_MEMORY);
    filled = filled || fill(&batch, 0, 1 << 20, 100);
    CHECK(filled);
    for (size_t left = 100; left > 0;) { /* without memory a fill takes what fits */
      CHECK_EQ_INT(uk_sender_batch_write(&batch, false, false, "key"), UK_OK);
      left -= batch.pending;
      if (left > 0)
        CHECK(fill(&batch, 0, 1 << 20, 100));
    }
    tear_down(&batch);
  }
  CHECK(fault_live() == live);
}

/* What a sender keeps besides. */

static void keeps_failures_within_bounds(void)
{
  struct uk_sender_failures failures = {.count = 0};
  struct uk_list taken = {.head = {NULL, NULL}};
  struct uk_sender_failure *failure;
  struct uk_sender_batch batch;
  int count = 0;
  REQUIRE(set_up(&batch));
  CHECK(fill(&batch, UK_SENDER_FAILURES_MAX + 3, 1 << 20, 10000));
  CHECK_EQ_INT(uk_sender_batch_write(&batch, false, false, "key"), UK_OK);
  for (int round = 0; round < 2; round++) { /* taking them makes room */
    count = 0;
    for (struct uk_sender_record *record = uk_sender_batch_first(&batch); record != NULL;
         record = uk_sender_batch_next(&batch, record))
      CHECK(uk_sender_failures_add(&failures, record, UK_E_TIMEOUT, 0, uk_slice_text("why")) ==
            (count++ < UK_SENDER_FAILURES_MAX));
    CHECK_EQ_INT(uk_sender_failures_take(&failures, &taken), 3);
    for (count = 0; (failure = UK_LIST_TAKE(&taken, struct uk_sender_failure, link)) != NULL;
         count++) {
      CHECK_EQ_STR(failure->text, "why");
      CHECK(uk_sender_failure_record(failure)->sequence == (uint64_t)count);
      free(failure);
    }
    CHECK_EQ_INT(count, UK_SENDER_FAILURES_MAX);
  }
  CHECK_EQ_INT(uk_sender_failures_take(&failures, &taken), 0);
  CHECK(uk_list_is_empty(&taken));
  tear_down(&batch);
}

static void keeps_failures_within_bytes(void)
{
  enum { LENGTH = 300000, FIT = UK_SENDER_FAILURE_BYTES_MAX / LENGTH };
  static char value[LENGTH + 1];
  struct uk_sender_failures failures = {.count = 0};
  struct uk_list taken = {.head = {NULL, NULL}};
  struct uk_sender_failure *failure;
  struct uk_sender_batch batch;
  int count = 0;
  REQUIRE(set_up(&batch));
  memset(value, 'v', LENGTH);
  put("t", NULL, value, uk_slice_of(NULL, 0));
  CHECK(fill(&batch, 0, 1 << 20, 1));
  CHECK_EQ_INT(uk_sender_batch_write(&batch, false, false, "key"), UK_OK);
  const struct uk_sender_record *record = uk_sender_batch_first(&batch);
  REQUIRE(record != NULL);
  for (int round = 1; round <= 2; round++) { /* taking them makes room */
    for (int i = 0; i < FIT + 2; i++)
      CHECK(uk_sender_failures_add(&failures, record, UK_E_TIMEOUT, 0, uk_slice_text("why")) ==
            (i < FIT));
    CHECK_EQ_INT(uk_sender_failures_take(&failures, &taken), 2);
    for (; (failure = UK_LIST_TAKE(&taken, struct uk_sender_failure, link)) != NULL; count++)
      free(failure);
    CHECK_EQ_INT(count, round * FIT);
  }
  tear_down(&batch);
}

/* Four quarters of the limit fit exactly; nothing fits after them. */
static void keeps_failures_up_to_the_last_byte(void)
{
  enum { QUARTER = UK_SENDER_FAILURE_BYTES_MAX / 4 };
  static char bytes[QUARTER];
  const struct uk_message message = {.topic = {"t", 1}, .value = {bytes, QUARTER - 100}};
  struct uk_sender_failures failures = {.count = 0};
  struct uk_list taken = {.head = {NULL, NULL}};
  struct uk_sender_failure *failure;
  struct uk_sender_record *record = (struct uk_sender_record *)(void *)malloc(QUARTER);
  int count = 0;
  REQUIRE(record != NULL);
  uk_sender_record_write(record, QUARTER, &message, uk_slice_of(NULL, 0));
  for (int i = 0; i < 5; i++)
    CHECK_EQ_INT(uk_sender_failures_add(&failures, record, UK_E_TIMEOUT, 0, uk_slice_of(NULL, 0)),
                 i < 4);
  record->size = UK_RECORD_ALIGNMENT;
  CHECK(!uk_sender_failures_add(&failures, record, UK_E_TIMEOUT, 0, uk_slice_of(NULL, 0)));
  CHECK_EQ_INT(uk_sender_failures_take(&failures, &taken), 2);
  for (; (failure = UK_LIST_TAKE(&taken, struct uk_sender_failure, link)) != NULL; count++) {
    CHECK_EQ_STR(failure->text, "");
    free(failure);
  }
  CHECK_EQ_INT(count, 4);
  free(record);
}

/* A percentile is never below the true one, and at most an eighth above it. */
/* A percentile is the value, or at most an eighth more. */
static void measures_latency_to_an_eighth(void)
{
  for (int64_t value = 0; value < 100000; value += 1 + value / 17) {
    struct uk_sender_latency latency = {.count = 0};
    uk_sender_latency_add(&latency, value);
    uk_sender_latency_add(&latency, 10 * value + 100);
    const double half = uk_sender_latency_percentile(&latency, 0.5);
    if (!CHECK(half >= (double)value && half <= (double)value * 1.125))
      fprintf(stderr, "  %f for %lld\n", half, (long long)value);
  }
}

static void measures_latency(void)
{
  struct uk_sender_latency latency = {.count = 0};
  CHECK(uk_sender_latency_percentile(&latency, 0.5) == 0);
  for (int64_t value = 1; value <= 10000; value++)
    uk_sender_latency_add(&latency, value);
  static const double shares[] = {0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 1};
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
    const double found = uk_sender_latency_percentile(&latency, shares[i]);
    CHECK(found >= shares[i] * 10000 - 1e-6 && found <= shares[i] * 11250 + 1);
  }
  CHECK(uk_sender_latency_mean(&latency) == 5000.5);
  uk_sender_latency_add(&latency, -5);
  uk_sender_latency_add(&latency, INT64_MAX);
  CHECK(latency.max == INT64_MAX);
}

/* A message that expires while its request is under way stays in the window until the answer
 * comes. */
static void keeps_expired_messages_in_place(void)
{
  struct uk_sender_batch batch;
  REQUIRE(set_up(&batch));
  CHECK(fill(&batch, 4, 1000, 10));
  check_body(&batch, "[{\"timestamp\":5,\"value\":\"0\"},{\"timestamp\":5,\"value\":\"1\"},"
                     "{\"timestamp\":5,\"value\":\"2\"},{\"timestamp\":5,\"value\":\"3\"}]");
  struct uk_sender_record *first = uk_sender_batch_first(&batch);
  struct uk_sender_record *second = uk_sender_batch_next(&batch, first);
  uk_sender_batch_resolve(&batch, first);
  second->flags |= UK_RECORD_EXPIRED;
  CHECK(uk_sender_batch_first(&batch) == second);
  CHECK_EQ_INT(uk_sender_batch_live(&batch, NULL)->sequence, 2);
  CHECK_EQ_INT(uk_sender_batch_live(&batch, second)->sequence, 2);
  CHECK_EQ_INT(batch.pending, 3);
  CHECK_EQ_INT(batch.window, 3);
  CHECK(uk_sender_batch_is_awaited(&batch));
  uk_sender_batch_resolve_expired(&batch);
  uk_sender_batch_resolve_expired(&batch);
  CHECK_EQ_INT(batch.pending, 2);
  check_body(&batch, "[{\"timestamp\":5,\"value\":\"2\"},{\"timestamp\":5,\"value\":\"3\"}]");
  tear_down(&batch);
}

static void awaits_only_messages_of_the_window(void)
{
  struct uk_sender_batch batch;
  REQUIRE(set_up(&batch));
  CHECK(fill(&batch, 3, 1000, 10));
  batch.most = 2;
  check_body(&batch, "[{\"timestamp\":5,\"value\":\"0\"},{\"timestamp\":5,\"value\":\"1\"}]");
  for (int left = 2; left > 0; left--) {
    CHECK(uk_sender_batch_is_awaited(&batch));
    uk_sender_batch_live(&batch, NULL)->flags |= UK_RECORD_EXPIRED;
  }
  CHECK(!uk_sender_batch_is_awaited(&batch));
  CHECK_EQ_INT(uk_sender_batch_live(&batch, NULL)->sequence, 2);
  uk_sender_batch_live(&batch, NULL)->flags |= UK_RECORD_EXPIRED;
  CHECK(uk_sender_batch_live(&batch, NULL) == NULL);
  uk_sender_batch_resolve_expired(&batch);
  CHECK_EQ_INT(batch.pending, 0);
  tear_down(&batch);
}

int main(void)
{
  CHECK_RUN(keeps_expired_messages_in_place);
  CHECK_RUN(awaits_only_messages_of_the_window);
  CHECK_RUN(writes_a_body_for_produce);
  CHECK_RUN(is_sent_without_a_key_if_there_is_none);
  CHECK_RUN(names_topics_if_they_differ);
  CHECK_RUN(stops_at_its_limits);
  CHECK_RUN(fills_up_to_the_last_byte);
  CHECK_RUN(keeps_memory_of_ordinary_batches);
  CHECK_RUN(finds_the_faulty_message);
  CHECK_RUN(ends_when_all_messages_are_bad);
  CHECK_RUN(omits_resolved_messages);
  CHECK_RUN(compresses);
  CHECK_RUN(compresses_bodies_that_shrink);
  CHECK_RUN(survives_without_memory);
  CHECK_RUN(keeps_failures_within_bounds);
  CHECK_RUN(keeps_failures_within_bytes);
  CHECK_RUN(keeps_failures_up_to_the_last_byte);
  CHECK_RUN(measures_latency_to_an_eighth);
  CHECK_RUN(measures_latency);
  return check_end();
}
