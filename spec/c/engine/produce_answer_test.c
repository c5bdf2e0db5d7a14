/* for: produce_answer.c */
#include "server/engine/produce_answer.h"

#include "check.h"

enum { MOST = 8 };

static struct uk_record records[MOST];
static struct uk_produce produce;
static struct uk_buffer answer;

static void begin(size_t count)
{
  memset(records, 0, sizeof records);
  produce = (struct uk_produce){.records = records, .count = count};
  uk_buffer_init(&answer, 4096);
}

static void set(size_t index, enum uk_error error, int32_t partition, int64_t offset,
                int64_t timestamp)
{
  records[index] = (struct uk_record){.partition = partition,
                                      .error = error,
                                      .offset = offset,
                                      .timestamp = timestamp,
                                      .reason = error != UK_OK ? "no" : NULL};
}

static void check_record(size_t index, enum uk_error error, int32_t partition, int64_t offset,
                         int64_t timestamp)
{
  CHECK_EQ_INT(records[index].error, error);
  CHECK_EQ_INT(records[index].partition, partition);
  CHECK_EQ_INT(records[index].offset, offset);
  CHECK_EQ_INT(records[index].timestamp, timestamp);
  CHECK(records[index].reason == NULL);
}

static struct uk_slice written(size_t runs)
{
  uk_produce_answer_write(&answer, &produce);
  CHECK_EQ_INT(answer.error, UK_OK);
  CHECK_EQ_INT(answer.length, runs * UK_PRODUCE_RUN_BYTES);
  return uk_slice_of(answer.data, answer.length);
}

/* What the request has before its results are known. */
static void unset(void)
{
  for (size_t i = 0; i < MOST; i++)
    records[i] = (struct uk_record){.partition = -1, .offset = -7, .timestamp = -1, .reason = "?"};
}

static void consecutive_records_are_one_run(void)
{
  begin(3);
  for (size_t i = 0; i < 3; i++)
    set(i, UK_OK, 2, (INT64_C(1) << 40) + (int64_t)i, 1700000000123);
  struct uk_slice bytes = written(1);
  unset();
  CHECK(uk_produce_answer_read(bytes, &produce));
  for (size_t i = 0; i < 3; i++)
    check_record(i, UK_OK, 2, (INT64_C(1) << 40) + (int64_t)i, 1700000000123);
  CHECK_EQ_INT(records[3].partition, -1);
  uk_buffer_free(&answer);
}

static void whatever_differs_begins_a_run(void)
{
  begin(8);
  set(0, UK_OK, 0, 5, 10);
  set(1, UK_OK, 1, 6, 10); /* the partition */
  set(2, UK_OK, 1, 8, 10); /* the offset is not the next one */
  set(3, UK_OK, 1, 9, 11); /* the timestamp */
  set(4, UK_E_TOO_LARGE, 1, 10, 11);
  set(5, UK_E_UNAVAILABLE, 1, 11, 11);
  set(6, UK_E_UNAVAILABLE, 1, 12, 12); /* failed alike: the same run */
  set(7, UK_OK, 1, 10, 11);
  struct uk_slice bytes = written(7);
  unset();
  CHECK(uk_produce_answer_read(bytes, &produce));
  check_record(0, UK_OK, 0, 5, 10);
  check_record(1, UK_OK, 1, 6, 10);
  check_record(2, UK_OK, 1, 8, 10);
  check_record(3, UK_OK, 1, 9, 11);
  check_record(4, UK_E_TOO_LARGE, 1, -7, -1);
  check_record(5, UK_E_UNAVAILABLE, 1, -7, -1);
  check_record(6, UK_E_UNAVAILABLE, 1, -7, -1);
  check_record(7, UK_OK, 1, 10, 11);
  uk_buffer_free(&answer);
}

static void a_failure_in_no_partition(void)
{
  begin(2);
  set(0, UK_E_GATEWAY_TIMEOUT, -1, 0, 0);
  set(1, UK_E_NO_MEMORY, -1, 0, 0);
  struct uk_slice bytes = written(2);
  unset();
  CHECK(uk_produce_answer_read(bytes, &produce));
  check_record(0, UK_E_GATEWAY_TIMEOUT, -1, -7, -1);
  check_record(1, UK_E_UNAVAILABLE, -1, -7, -1); /* the same status */
  uk_buffer_free(&answer);
}

static void an_answer_for_another_request_is_refused(void)
{
  begin(3);
  for (size_t i = 0; i < 3; i++)
    set(i, UK_OK, 0, (int64_t)i, 1);
  struct uk_slice bytes = written(1);
  unset();
  produce.count = 2;
  CHECK(!uk_produce_answer_read(bytes, &produce));
  produce.count = 4;
  CHECK(!uk_produce_answer_read(bytes, &produce));
  produce.count = 3;
  CHECK(!uk_produce_answer_read(uk_slice_of(bytes.data, bytes.length - 1), &produce));
  CHECK(!uk_produce_answer_read(uk_slice_of(bytes.data, 0), &produce));
  for (size_t i = 0; i < MOST; i++)
    CHECK(records[i].partition == -1 && records[i].offset == -7);
  CHECK(uk_produce_answer_read(bytes, &produce));
  uk_buffer_free(&answer);
}

static void a_full_buffer_says_so(void)
{
  begin(2);
  set(0, UK_OK, 0, 5, 10);
  set(1, UK_OK, 1, 6, 10);
  uk_buffer_init(&answer, 2 * UK_PRODUCE_RUN_BYTES - 1);
  uk_produce_answer_write(&answer, &produce);
  CHECK_EQ_INT(answer.error, UK_E_TOO_LARGE);
  uk_buffer_free(&answer);
}

int main(void)
{
  CHECK_RUN(consecutive_records_are_one_run);
  CHECK_RUN(whatever_differs_begins_a_run);
  CHECK_RUN(a_failure_in_no_partition);
  CHECK_RUN(an_answer_for_another_request_is_refused);
  CHECK_RUN(a_full_buffer_says_so);
  return check_end();
}
