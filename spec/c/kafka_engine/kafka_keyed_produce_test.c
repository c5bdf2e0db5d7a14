/* for: kafka_keyed_produce.c
 *
 * The producer is a fake one: a test says what becomes of the records. */
#include "server/kafka_engine/produce/kafka_keyed_produce.h"

#include "check.h"
#include "fault.h"

enum { RECORDS = 4, CALLS = 4 };

static struct uk_kafka_keyed_parts parts;

/* What the producer was given, and has not answered. */
static struct uk_produce *given[CALLS];
static size_t given_count;

void uk_kafka_producer_produce(struct uk_kafka_producer *producer, struct uk_produce *operation)
{
  (void)producer;
  if (CHECK(given_count < CALLS))
    given[given_count++] = operation;
}

static int kept;
static const struct uk_produce *last_kept;

static void on_kept(void *context, const struct uk_produce *operation)
{
  CHECK(context == &kept);
  kept++;
  last_kept = operation;
}

struct call {
  struct uk_produce produce;
  struct uk_record records[RECORDS];
  int done;
};

static void on_done(struct uk_operation *operation)
{
  ((struct call *)operation)->done++;
}

static void start(struct call *call, const char *key, int request)
{
  static const char *const topics[RECORDS] = {"a", "b", "c", "d"};
  *call = (struct call){.produce = {.count = RECORDS, .records = call->records}};
  call->produce.operation.done = on_done;
  call->produce.operation.deadline = 12345;
  call->produce.key.key = uk_slice_text(key);
  memset(call->produce.key.fingerprint, request, sizeof call->produce.key.fingerprint);
  for (size_t i = 0; i < RECORDS; i++)
    call->records[i] =
      (struct uk_record){.topic = uk_slice_text(topics[i]), .partition = -1, .timestamp = -1};
  uk_kafka_keyed_produce(&parts, &call->produce);
}

static void set(struct uk_record *record, enum uk_error error, int64_t offset)
{
  record->partition = 3;
  record->error = error;
  record->reason = error != UK_OK ? "because" : NULL;
  record->offset = offset;
  record->timestamp = 99;
}

/* The producer's first answer: stored from that offset on. */
static struct uk_produce *take_given(void)
{
  struct uk_produce *taken = given[0];
  CHECK(given_count > 0);
  memmove(&given[0], &given[1], sizeof given[0] * (CALLS - 1));
  given_count--;
  return taken;
}

static void store_all(int64_t offset)
{
  struct uk_produce *produce = take_given();
  for (size_t i = 0; i < produce->count; i++)
    set(&produce->records[i], UK_OK, offset + (int64_t)i);
  produce->operation.done(&produce->operation);
}

static void open_keys(void)
{
  static const struct uk_produce_keys_limits limits = {60000, 100, 100000, 100, 100000};
  parts = (struct uk_kafka_keyed_parts){
    .keys = uk_produce_keys_new(&limits), .kept = on_kept, .context = &kept};
  kept = 0;
}

static void close_keys(void)
{
  CHECK_EQ_INT(given_count, 0);
  uk_produce_keys_free(parts.keys);
}

static void a_repeat_is_answered_without_the_producer(void)
{
  struct call call;
  open_keys();
  start(&call, "k", 1);
  CHECK_EQ_INT(call.done, 0);
  CHECK_EQ_INT(given[0]->operation.deadline, 12345);
  CHECK(given[0]->records == call.records && given[0]->count == RECORDS);
  store_all(7);
  CHECK_EQ_INT(call.done, 1);
  CHECK(!call.produce.replayed);
  CHECK_EQ_INT(kept, 1);
  CHECK(last_kept == &call.produce);
  for (int i = 0; i < 2; i++) {
    start(&call, "k", 1);
    CHECK_EQ_INT(call.done, 1);
    CHECK(call.produce.replayed);
    CHECK_EQ_INT(call.records[3].offset, 10);
  }
  start(&call, "k", 2);
  CHECK_EQ_INT(call.produce.operation.error, UK_E_UNPROCESSABLE);
  CHECK_EQ_INT(call.done, 1);
  CHECK_EQ_INT(kept, 1);
  close_keys();
}

static void repeats_wait_for_the_first(void)
{
  struct call calls[3];
  open_keys();
  for (int i = 0; i < 3; i++)
    start(&calls[i], "k", 1);
  CHECK_EQ_INT(given_count, 1);
  store_all(20);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(calls[i].done, 1);
    CHECK_EQ_INT(calls[i].records[0].offset, 20);
    CHECK_EQ_INT(calls[i].produce.replayed, i > 0);
  }
  close_keys();
}

static void refuse(enum uk_error error, const char *message)
{
  struct uk_produce *produce = take_given();
  uk_operation_fail(&produce->operation, error, "%s", message);
  produce->operation.done(&produce->operation);
}

/* The producer refused all: the first that waited is produced, the others wait for it. */
static void after_a_refusal_the_next_is_produced(void)
{
  struct call calls[3];
  open_keys();
  for (int i = 0; i < 3; i++)
    start(&calls[i], "k", 1);
  refuse(UK_E_UNAVAILABLE, "not now");
  CHECK_EQ_INT(calls[0].produce.operation.error, UK_E_UNAVAILABLE);
  CHECK_EQ_STR(calls[0].produce.operation.message, "not now");
  CHECK_EQ_INT(kept, 0);
  CHECK_EQ_INT(given_count, 1);
  CHECK(given[0]->records == calls[1].records);
  store_all(20);
  CHECK_EQ_INT(calls[1].done + calls[2].done, 2);
  CHECK(!calls[1].produce.replayed && calls[2].produce.replayed);
  close_keys();
}

/* Of four records the first and the third are stored. */
static void store_half(int64_t offset, enum uk_error second, enum uk_error fourth)
{
  struct uk_produce *produce = take_given();
  set(&produce->records[0], UK_OK, offset);
  set(&produce->records[1], second, -1);
  set(&produce->records[2], UK_OK, offset + 2);
  set(&produce->records[3], fourth, -1);
  produce->each = true;
  uk_operation_fail(&produce->operation, UK_E_GATEWAY_TIMEOUT, "in part");
  produce->operation.done(&produce->operation);
}

static void what_is_missing_is_produced(void)
{
  struct call call;
  open_keys();
  start(&call, "k", 1);
  store_half(40, UK_E_UNAVAILABLE, UK_E_TOO_LARGE);
  CHECK(call.produce.each);
  CHECK_EQ_STR(call.produce.operation.message, "in part");
  CHECK_EQ_STR(call.records[1].reason, "because");
  start(&call, "k", 1);
  CHECK_EQ_INT(call.done, 0);
  CHECK_EQ_INT(given[0]->count, 2);
  CHECK_EQ_INT(given[0]->operation.deadline, 12345);
  CHECK_EQ_SLICE(given[0]->records[0].topic, "b");
  CHECK_EQ_SLICE(given[0]->records[1].topic, "d");
  store_all(50);
  CHECK_EQ_INT(call.done, 1);
  CHECK_EQ_INT(call.produce.operation.error, UK_OK);
  CHECK(!call.produce.each);
  static const int64_t offsets[RECORDS] = {40, 50, 42, 51};
  for (int repeat = 0; repeat < 2; repeat++) {
    for (size_t i = 0; i < RECORDS; i++)
      CHECK_EQ_INT(call.records[i].offset, offsets[i]);
    start(&call, "k", 1);
  }
  CHECK(call.produce.replayed);
  CHECK_EQ_INT(kept, 2);
  close_keys();
}

static void what_is_missing_may_fail_again(void)
{
  struct call call;
  open_keys();
  start(&call, "k", 1);
  store_half(40, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE);
  start(&call, "k", 1);
  refuse(UK_E_NOT_FOUND, "gone");
  CHECK_EQ_INT(call.produce.operation.error, UK_E_NOT_FOUND);
  CHECK(call.produce.each);
  CHECK_EQ_INT(call.records[0].error, UK_OK);
  CHECK_EQ_INT(call.records[1].error, UK_E_NOT_FOUND);
  CHECK_EQ_INT(call.records[3].error, UK_E_NOT_FOUND);
  start(&call, "k", 1); /* one by one */
  CHECK_EQ_INT(given[0]->count, 2);
  struct uk_produce *produce = take_given();
  set(&produce->records[0], UK_OK, 60);
  set(&produce->records[1], UK_E_UNAVAILABLE, -1);
  produce->each = true;
  produce->operation.error = UK_E_GATEWAY_TIMEOUT;
  produce->operation.done(&produce->operation);
  CHECK_EQ_INT(call.records[1].offset, 60);
  CHECK_EQ_INT(call.records[3].error, UK_E_UNAVAILABLE);
  start(&call, "k", 1);
  CHECK_EQ_INT(given[0]->count, 1);
  CHECK_EQ_SLICE(given[0]->records[0].topic, "d");
  store_all(61);
  CHECK_EQ_INT(call.produce.operation.error, UK_OK);
  close_keys();
}

static void what_may_be_stored_is_not_produced_again(void)
{
  struct call call;
  open_keys();
  start(&call, "k", 1);
  store_half(40, UK_E_GATEWAY_TIMEOUT, UK_E_UNAVAILABLE);
  start(&call, "k", 1);
  CHECK_EQ_INT(given[0]->count, 1);
  store_all(60);
  CHECK_EQ_INT(call.produce.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_INT(call.records[3].offset, 60);
  start(&call, "k", 1);
  CHECK_EQ_INT(given_count, 0);
  CHECK_EQ_INT(call.done, 1);
  CHECK_EQ_INT(call.produce.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_INT(call.records[1].error, UK_E_GATEWAY_TIMEOUT);
  close_keys();
}

/* Nothing is sent without memory, and what was stored stays so. */
static void without_memory(void)
{
  struct call call;
  open_keys();
  start(&call, "part", 1);
  store_half(40, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE);
  fault_from(1);
  start(&call, "part", 1);
  fault_off();
  CHECK_EQ_INT(given_count, 0);
  CHECK_EQ_INT(call.done, 1);
  CHECK(call.produce.operation.error != UK_OK);
  start(&call, "part", 1);
  CHECK(given_count == 0 || given[0]->count == 2);
  if (given_count > 0)
    store_all(50);
  close_keys();
  for (long n = 1, hit = 1; hit; n++) {
    open_keys();
    fault_at(n);
    start(&call, "new", 1);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(given_count, !hit);
    CHECK_EQ_INT(call.produce.operation.error, hit ? UK_E_NO_MEMORY : UK_OK);
    if (hit)
      start(&call, "new", 1);
    store_all(1);
    CHECK_EQ_INT(call.done, 1);
    close_keys();
  }
}

int main(void)
{
  CHECK_RUN(a_repeat_is_answered_without_the_producer);
  CHECK_RUN(repeats_wait_for_the_first);
  CHECK_RUN(after_a_refusal_the_next_is_produced);
  CHECK_RUN(what_is_missing_is_produced);
  CHECK_RUN(what_is_missing_may_fail_again);
  CHECK_RUN(what_may_be_stored_is_not_produced_again);
  CHECK_RUN(without_memory);
  return check_end();
}
