/* for: kafka_end_watch.c, kafka_end_watch_task.c
 *
 * Waiting at the ends of partitions: who is woken by what, what is kept in memory, and for how long
 * an end is followed. librdkafka and the clock are the test's. */
#include "server/kafka_engine/fetch/kafka_end_watch_private.h"

#include "fake_kafka_reader.h"
#include "fault.h"

enum { NOW = READER_NOW, HANDLE_IDLE = 60000, EVENTS_PER_RUN = 2000, WAITERS = 80 };

struct waiting {
  struct uk_kafka_task task; /* first */
  struct uk_kafka_end_waiter waiter;
  int runs;
  int64_t seen; /* the end that its first run saw */
};

static struct uk_kafka_end_watch *watch;
static struct waiting waitings[WAITERS];

static void run_waiting(struct uk_kafka_task *task, int64_t now)
{
  struct waiting *waiting = (struct waiting *)task;
  (void)now;
  if (waiting->runs++ == 0 && waiting->waiter.end != NULL)
    waiting->seen = waiting->waiter.end->tail.end;
}

static enum uk_kafka_at join(size_t i, const char *topic, int32_t partition, int64_t offset,
                             int64_t end)
{
  return uk_kafka_end_watch_join(watch, &waitings[i].waiter, uk_slice_text(topic), partition,
                                 offset, end, &waitings[i].task);
}

static enum uk_kafka_at look(size_t i)
{
  return uk_kafka_end_watch_look(watch, &waitings[i].waiter);
}

static void leave(size_t i)
{
  uk_kafka_end_watch_leave(watch, &waitings[i].waiter);
}

static void run_now(void)
{
  reader_run(reader.now);
}

/* How often the waiter's task ran since the last look. */
static int runs_of(size_t i)
{
  int runs = waitings[i].runs;
  waitings[i].runs = 0;
  return runs;
}

static struct uk_kafka_watched_end *end_of(const char *topic, int32_t partition)
{
  return uk_kafka_end_watch_find(watch, uk_slice_text(topic), partition);
}

struct given {
  size_t count, most;
  int64_t first, last;
};

static bool give(void *argument, const struct uk_record *record)
{
  struct given *given = argument;
  if (given->count == given->most)
    return false;
  given->first = given->count++ == 0 ? record->offset : given->first;
  given->last = record->offset;
  CHECK_EQ_INT(record->timestamp, 10 * record->offset);
  return true;
}

static struct given records_of(size_t i, size_t most)
{
  struct given given = {.most = most, .first = -1, .last = -1};
  uk_kafka_end_watch_each(watch, &waitings[i].waiter, give, &given);
  return given;
}

/* Joining. */

static void an_end_that_was_seen_is_followed_from_there(void)
{
  CHECK_EQ_INT(join(0, "t", 3, 7, -1), UK_KAFKA_AT_PAST); /* nobody follows it yet */
  CHECK(waitings[0].waiter.end == NULL);
  leave(0);
  CHECK_EQ_INT(join(0, "t", 3, 7, 7), UK_KAFKA_AT_END);
  CHECK_EQ_INT(reader.opened, 0);
  run_now();
  CHECK_EQ_INT(reader_offset("t", 3), 7);
  CHECK_EQ_INT(reader.handles[0].wait, 100);
  CHECK_EQ_INT(join(1, "t", 3, 7, -1), UK_KAFKA_AT_END);
  CHECK_EQ_INT(join(2, "t", 3, 6, -1), UK_KAFKA_AT_PAST); /* not in memory */
  CHECK_EQ_INT(join(2, "t", 3, 6, 7), UK_KAFKA_AT_PAST);
  CHECK_EQ_INT(join(2, "t", 3, 9, -1), UK_KAFKA_AT_END);
  CHECK_EQ_INT(join(3, "t", 2, 0, 0), UK_KAFKA_AT_END);
  CHECK_EQ_INT(join(4, "u", 3, 1, 1), UK_KAFKA_AT_END);
  run_now();
  CHECK_EQ_INT(reader.read_count, 3);
  CHECK_EQ_INT(reader.opened, 1);
  CHECK_EQ_INT(end_of("t", 3)->joined, 3);
  CHECK_EQ_INT(watch->count, 3);
}

static void who_waits_is_woken_by_a_record_at_its_offset(void)
{
  join(0, "t", 0, 5, 5);
  join(1, "t", 0, 6, -1);
  join(2, "t", 1, 5, 5);
  run_now();
  CHECK_EQ_INT(runs_of(0) + runs_of(1) + runs_of(2), 0);
  reader_record("t", 0, 5, 1);
  run_now();
  CHECK_EQ_INT(runs_of(0), 1);
  CHECK_EQ_INT(runs_of(1), 0);
  CHECK_EQ_INT(runs_of(2), 0);
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_RECORDS);
  CHECK_EQ_INT(look(1), UK_KAFKA_AT_END);
  CHECK_EQ_INT(look(2), UK_KAFKA_AT_END);
  reader_record("t", 0, 6, 1);
  run_now();
  CHECK_EQ_INT(runs_of(0), 0); /* once */
  CHECK_EQ_INT(runs_of(1), 1);
  CHECK_EQ_INT(records_of(0, 9).count, 2);
  CHECK_EQ_INT(records_of(0, 9).first, 5);
  CHECK_EQ_INT(records_of(0, 1).count, 1);
  CHECK_EQ_INT(records_of(1, 9).count, 1);
  CHECK_EQ_INT(records_of(1, 9).first, 6);
}

/* Records of several partitions came together. */
static void who_waits_at_any_of_the_partitions_is_woken(void)
{
  enum { PARTITIONS = 3 };
  for (size_t i = 0; i < PARTITIONS; i++)
    join(i, "t", (int32_t)i, 5, 5);
  run_now();
  for (int32_t i = 0; i < PARTITIONS; i++)
    reader_record("t", i, 5, 1);
  run_now();
  for (size_t i = 0; i < PARTITIONS; i++)
    CHECK_EQ_INT(runs_of(i), 1);
  CHECK(uk_list_is_empty(&watch->touched));
}

/* All that came together is in memory by then. */
static void who_comes_later_gets_records_from_memory(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  for (int64_t offset = 5; offset < 8; offset++)
    reader_record("t", 0, offset, 1);
  run_now();
  CHECK_EQ_INT(runs_of(0), 1);
  CHECK_EQ_INT(records_of(0, 9).count, 3);
  CHECK_EQ_INT(join(1, "t", 0, 6, -1), UK_KAFKA_AT_RECORDS);
  CHECK_EQ_INT(records_of(1, 9).first, 6);
  CHECK_EQ_INT(join(2, "t", 0, 8, -1), UK_KAFKA_AT_END);
  CHECK_EQ_INT(join(3, "t", 0, 4, -1), UK_KAFKA_AT_PAST);
}

static void what_is_known_already_is_dropped(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  reader_record("t", 0, 4, 1);
  run_now();
  CHECK_EQ_INT(runs_of(0), 0);
  reader_record("t", 0, 5, 1);
  reader_record("t", 0, 5, 1);
  run_now();
  CHECK_EQ_INT(records_of(0, 9).count, 1);
  struct reader_read *at = reader_find("t", 0, NULL);
  struct reader_event *nowhere = reader_event_of("t", 0);
  nowhere->code = RD_KAFKA_RESP_ERR_UNKNOWN;
  nowhere->has_place = false;
  reader_add(at->queue, nowhere);
  struct reader_event *other = reader_event_of("u", 0);
  other->code = RD_KAFKA_RESP_ERR_UNKNOWN;
  reader_add(at->queue, other);
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_RECORDS);
}

/* As after a transaction's marker: nothing is at the offset, and the end is behind it. */
static void an_end_that_moved_without_records_is_waited_at(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  reader_end("t", 0, 7);
  run_now();
  CHECK_EQ_INT(end_of("t", 0)->tail.end, 7);
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_END);
  reader_end("t", 0, 6);
  run_now();
  CHECK_EQ_INT(end_of("t", 0)->tail.end, 7);
  reader_record("t", 0, 6, 1); /* it cannot be there */
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_END);
  reader_record("t", 0, 7, 1);
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_RECORDS);
}

/* What passes says nothing about the end, whatever offset it has. */
static void trouble_that_passes_moves_no_end(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  reader_code("t", 0, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, 9);
  run_now();
  CHECK_EQ_INT(end_of("t", 0)->tail.end, 5);
  reader_record("t", 0, 5, 1);
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_RECORDS);
}

static void no_task_is_woken_after_it_left(void)
{
  join(0, "t", 0, 5, 5);
  join(1, "t", 0, 5, -1);
  run_now();
  leave(0);
  leave(0);
  CHECK_EQ_INT(end_of("t", 0)->joined, 1);
  reader_record("t", 0, 5, 1);
  run_now();
  CHECK_EQ_INT(runs_of(0), 0);
  CHECK_EQ_INT(runs_of(1), 1);
}

/* So that other tasks get the thread in between. */
static void many_records_are_taken_in_runs(void)
{
  join(0, "t", 0, 0, 0);
  run_now();
  for (int64_t offset = 0; offset < 2 * EVENTS_PER_RUN + 1; offset++)
    reader_record("t", 0, offset, 1);
  run_now();
  CHECK_EQ_INT(end_of("t", 0)->tail.end, 2 * EVENTS_PER_RUN + 1);
  CHECK_EQ_INT(runs_of(0), 1);
  CHECK_EQ_INT(waitings[0].seen, EVENTS_PER_RUN);
}

/* Losing. */

static void an_error_of_the_partition_loses_its_end(void)
{
  join(0, "t", 0, 5, 5);
  join(1, "t", 0, 9, -1);
  join(2, "t", 1, 5, 5);
  run_now();
  reader_code("t", 0, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, -1); /* passes */
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_END);
  reader_record("t", 0, 5, 1);
  reader_code("t", 0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -1);
  run_now();
  CHECK_EQ_INT(runs_of(0), 1);
  CHECK_EQ_INT(runs_of(1), 1);
  CHECK_EQ_INT(runs_of(2), 0);
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_LOST);
  CHECK_EQ_INT(waitings[0].waiter.code, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  CHECK_EQ_INT(look(2), UK_KAFKA_AT_END);
  CHECK(end_of("t", 0) == NULL);
  CHECK_EQ_INT(reader_offset("t", 0), -1);
  CHECK_EQ_INT(watch->count, 1);
  CHECK_EQ_INT(watch->bytes, 0);
  /* Another end of the partition is followed while some have not left the lost one. */
  CHECK_EQ_INT(join(3, "t", 0, 6, 6), UK_KAFKA_AT_END);
  run_now();
  CHECK_EQ_INT(reader_offset("t", 0), 6);
  leave(0);
  leave(1);
  CHECK_EQ_INT(look(3), UK_KAFKA_AT_END);
}

static void an_end_that_nobody_waits_at_is_lost_silently(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  leave(0);
  reader_code("t", 0, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, -1);
  run_now();
  CHECK(end_of("t", 0) == NULL);
  CHECK_EQ_INT(runs_of(0), 0);
}

static const struct uk_kafka_watched_end *lost[3];

/* No list holds an end that is freed. */
static void look_at_lost(const void *memory)
{
  for (size_t i = 0; i < 3; i++) {
    if (memory == lost[i])
      CHECK(!uk_link_is_linked(&lost[i]->touched) && !uk_link_is_linked(&lost[i]->link));
  }
}

/* In one run with the record before it. */
static void a_record_before_the_error_wakes_nobody_who_left(void)
{
  for (int32_t i = 0; i < 3; i++)
    join((size_t)i, "t", i, 5, 5);
  run_now();
  for (size_t i = 0; i < 3; i++)
    leave(i);
  for (int32_t i = 0; i < 3; i++) {
    lost[i] = end_of("t", i);
    reader_record("t", i, 5, 1);
    reader_code("t", i, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, -1);
    /* What is in the queue already is nobody's. */
    reader_record("t", i, 6, 1);
    reader_end("t", i, 7);
    reader_code("t", i, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, -1);
  }
  fault_watch_free(look_at_lost);
  run_now();
  fault_watch_free(NULL);
  CHECK_EQ_INT(watch->count, 0);
  CHECK(uk_list_is_empty(&watch->touched));
  CHECK_EQ_INT(watch->bytes, 0);
}

static void an_end_that_cannot_be_followed_is_lost(void)
{
  reader.refuses = "t";
  join(0, "t", 0, 5, 5);
  run_now();
  CHECK_EQ_INT(runs_of(0), 1);
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_LOST);
  CHECK_EQ_INT(waitings[0].waiter.code, RD_KAFKA_RESP_ERR__INVALID_ARG);
  leave(0);
  reader.refuses = NULL;
}

static void without_a_handle_no_end_is_followed(void)
{
  reader.refuses_handles = true;
  join(0, "t", 0, 5, 5);
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_LOST);
  CHECK_EQ_INT(waitings[0].waiter.code, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE);
  leave(0);
}

static void a_forgotten_topic_is_lost(void)
{
  join(0, "t", 0, 5, 5);
  join(1, "t", 1, 5, 5);
  join(2, "u", 0, 5, 5);
  run_now();
  reader_record("t", 0, 5, 1);
  run_now();
  CHECK_EQ_INT(runs_of(0), 1);
  uk_kafka_end_watch_forget(watch, uk_slice_text("t"));
  CHECK_EQ_INT(records_of(0, 9).count, 0); /* at once */
  CHECK_EQ_INT(watch->bytes, 0);
  run_now();
  CHECK_EQ_INT(runs_of(1), 1);
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_LOST);
  CHECK_EQ_INT(look(1), UK_KAFKA_AT_LOST);
  CHECK_EQ_INT(waitings[1].waiter.code, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
  CHECK_EQ_INT(runs_of(2), 0);
  CHECK_EQ_INT(look(2), UK_KAFKA_AT_END);
  CHECK_EQ_INT(reader.read_count, 1);
  CHECK(!watch->any_forgotten);
  /* One that is not followed yet was seen after the topic was created again. */
  CHECK_EQ_INT(join(3, "t", 0, 0, 0), UK_KAFKA_AT_END);
  uk_kafka_end_watch_forget(watch, uk_slice_text("t"));
  run_now();
  CHECK_EQ_INT(look(3), UK_KAFKA_AT_END);
}

/* Memory. */

/* The tail of one partition keeps 256 KiB, all tails together 16 MiB. */
static void what_is_kept_of_a_partition_is_bounded(void)
{
  enum { SIZE = 100 << 10 };
  join(0, "t", 0, 0, 0);
  run_now();
  for (int64_t offset = 0; offset < 4; offset++)
    reader_record("t", 0, offset, SIZE);
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_PAST);
  CHECK_EQ_INT(end_of("t", 0)->tail.from, 2);
  CHECK(watch->bytes > 2 * SIZE && watch->bytes <= UK_KAFKA_TAIL_BYTES);
  CHECK_EQ_INT(watch->bytes, end_of("t", 0)->tail.bytes);
}

/* A record of that many bytes is kept for offset 0 of the partition. */
static bool keeps(int32_t partition, size_t size)
{
  join(0, "t", partition, 0, 0);
  run_now();
  reader_record("t", partition, 0, size);
  run_now();
  bool kept = look(0) == UK_KAFKA_AT_RECORDS;
  leave(0);
  return kept;
}

/* To the byte: of a partition, and of all. */
static void what_is_kept_may_fill_its_space(void)
{
  enum { FIT = UK_KAFKA_TAILS_BYTES / UK_KAFKA_TAIL_BYTES, LEFT = 1000 };
  CHECK(keeps(FIT + 3, 0));
  size_t head = watch->bytes, most = UK_KAFKA_TAIL_BYTES - head;
  uk_kafka_end_watch_forget(watch, uk_slice_text("t"));
  run_now();
  CHECK(!keeps(FIT + 2, most + 1));
  CHECK(keeps(0, most - LEFT));
  for (int32_t i = 1; i < FIT; i++)
    CHECK(keeps(i, most));
  CHECK_EQ_INT(watch->bytes, UK_KAFKA_TAILS_BYTES - LEFT);
  CHECK(!keeps(FIT, LEFT - head + 1));
  CHECK(keeps(FIT + 1, LEFT - head));
  CHECK_EQ_INT(watch->bytes, UK_KAFKA_TAILS_BYTES);
}

static void what_is_kept_of_all_partitions_is_bounded(void)
{
  enum { SIZE = 250 << 10, FIT = 65 };
  for (int32_t i = 0; i <= FIT; i++)
    join((size_t)i, "t", i, 0, 0);
  run_now();
  for (int32_t i = 0; i <= FIT; i++)
    reader_record("t", i, 0, SIZE);
  run_now();
  size_t bytes = 0;
  for (int32_t i = 0; i <= FIT; i++) {
    CHECK_EQ_INT(look((size_t)i), i < FIT ? UK_KAFKA_AT_RECORDS : UK_KAFKA_AT_PAST);
    bytes += end_of("t", i)->tail.bytes;
  }
  CHECK_EQ_INT(watch->bytes, bytes);
  CHECK(bytes <= UK_KAFKA_TAILS_BYTES);
  for (size_t i = 0; i <= FIT; i++)
    leave(i);
}

/* Without its headers, a record cannot be kept; it must be read. */
static void a_record_without_memory_is_not_kept(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  reader.headers = 2;
  reader_record("t", 0, 5, 1);
  fault_at(1); /* the headers */
  run_now();
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(runs_of(0), 1);
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_PAST);
  CHECK_EQ_INT(watch->bytes, 0);
  leave(0);
  CHECK_EQ_INT(join(0, "t", 0, 6, -1), UK_KAFKA_AT_END);
  reader_record("t", 0, 6, 1);
  run_now();
  CHECK_EQ_INT(look(0), UK_KAFKA_AT_RECORDS);
}

static void without_memory_an_end_is_not_joined(void)
{
  fault_at(1);
  CHECK_EQ_INT(join(0, "t", 0, 5, 5), UK_KAFKA_AT_NOWHERE);
  fault_off();
  CHECK(waitings[0].waiter.end == NULL);
  CHECK_EQ_INT(watch->count, 0);
}

/* How long. */

static void an_end_is_followed_for_five_seconds_more(void)
{
  join(0, "t", 0, 5, 5);
  join(1, "t", 1, 5, 5);
  join(2, "t", 0, 5, -1);
  run_now();
  leave(0);
  reader_run(NOW + 1000);
  leave(2); /* the last one counts */
  run_now();
  reader_run(NOW + 1000 + UK_KAFKA_END_LINGER - 1);
  CHECK_EQ_INT(reader.read_count, 2);
  reader_run(NOW + 1000 + UK_KAFKA_END_LINGER);
  CHECK_EQ_INT(reader_offset("t", 0), -1);
  CHECK_EQ_INT(reader_offset("t", 1), 5); /* somebody waits there */
  CHECK_EQ_INT(watch->count, 1);
  CHECK_EQ_INT(look(1), UK_KAFKA_AT_END);
  leave(1);
}

static void who_comes_back_in_time_gets_what_arrived(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  leave(0);
  run_now();
  reader_record("t", 0, 5, 1);
  reader_run(NOW + UK_KAFKA_END_LINGER - 1);
  CHECK_EQ_INT(join(0, "t", 0, 5, -1), UK_KAFKA_AT_RECORDS);
  reader_run(NOW + 2 * UK_KAFKA_END_LINGER);
  CHECK_EQ_INT(reader.read_count, 1);
  CHECK_EQ_INT(records_of(0, 9).count, 1);
}

/* Nobody waits, and more arrives than is kept. */
static void a_busy_end_is_not_followed_for_nobody(void)
{
  enum { SIZE = 200 << 10 };
  join(0, "t", 0, 0, 0);
  run_now();
  leave(0);
  run_now();
  reader_record("t", 0, 0, SIZE);
  run_now();
  CHECK_EQ_INT(reader.read_count, 1);
  reader_record("t", 0, 1, SIZE);
  run_now();
  CHECK_EQ_INT(reader.read_count, 0);
}

/* The first partition from `from` on whose end is in that bucket. */
static int32_t next_partition_in(size_t bucket, int32_t from)
{
  while (uk_kafka_hash(uk_slice_text("t"), from) % UK_KAFKA_END_BUCKETS != bucket)
    from++;
  return from;
}

static int32_t partition_in(size_t bucket)
{
  return next_partition_in(bucket, 0);
}

/* Of one bucket or of two, and in whichever order their waiters left. */
static void each_end_is_given_up_in_its_time(void)
{
  for (int row = 0; row < 4; row++) {
    int64_t begun = reader.now;
    int32_t first = partition_in(5),
            partitions[] = {first, row < 2 ? next_partition_in(5, first + 1) : partition_in(6)};
    for (size_t i = 0; i < 2; i++)
      join(i, "t", partitions[i], 5, 5);
    run_now();
    leave((size_t)row % 2);
    reader_run(begun + 1000);
    leave(1 - (size_t)row % 2);
    reader_run(begun + 1000);
    reader_run(begun + UK_KAFKA_END_LINGER - 1);
    CHECK_EQ_INT(reader.read_count, 2);
    reader_run(begun + UK_KAFKA_END_LINGER);
    CHECK_EQ_INT(reader_offset("t", partitions[row % 2]), -1);
    CHECK_EQ_INT(reader.read_count, 1);
    reader_run(begun + UK_KAFKA_END_LINGER + 1000);
    CHECK_EQ_INT(reader.read_count, 0);
  }
}

/* Wherever in the table its end is. */
static void every_end_is_given_up_and_forgotten(void)
{
  static const size_t buckets[] = {0, 1, UK_KAFKA_END_BUCKETS - 1};
  for (size_t i = 0; i < 3; i++)
    join(i, "t", partition_in(buckets[i]), 5, 5);
  run_now();
  CHECK_EQ_INT(reader.read_count, 3);
  for (size_t i = 0; i < 3; i++)
    leave(i);
  run_now();
  reader_run(NOW + UK_KAFKA_END_LINGER);
  CHECK_EQ_INT(reader.read_count, 0);
  for (size_t i = 0; i < 3; i++)
    join(i, "t", partition_in(buckets[i]), 5, 5);
  run_now();
  uk_kafka_end_watch_forget(watch, uk_slice_text("t"));
  run_now();
  CHECK_EQ_INT(reader.read_count, 0);
}

static void the_handle_ends_after_a_minute_without_ends(void)
{
  join(0, "t", 0, 5, 5);
  run_now();
  reader_run(NOW + 70000);
  CHECK_EQ_INT(reader.reaped, 0);
  leave(0);
  run_now();
  /* The last run that saw an end is when it was given up. */
  int64_t idle = NOW + 70000 + UK_KAFKA_END_LINGER;
  reader_run(idle);
  CHECK_EQ_INT(reader.read_count, 0);
  reader_run(watch->idle_since + HANDLE_IDLE - 1);
  CHECK_EQ_INT(reader.reaped, 0);
  CHECK(watch->idle_since > NOW + 70000 - 1 && watch->idle_since <= idle);
  reader_run(watch->idle_since + HANDLE_IDLE);
  CHECK_EQ_INT(reader.reaped, 1);
  CHECK_EQ_INT(reader.live, 0);
  join(0, "t", 0, 5, 5);
  run_now();
  CHECK_EQ_INT(reader.opened, 2);
  CHECK_EQ_INT(reader_offset("t", 0), 5);
}

/* Each case has its own watch, and leaves nothing open. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  REQUIRE(reader_open());
  watch = uk_kafka_end_watch_new((const struct uk_kafka_settings *)&reader, reader.executor,
                                 (struct uk_kafka_reaper *)&reader);
  REQUIRE(watch != NULL);
  for (size_t i = 0; i < WAITERS; i++) {
    waitings[i] = (struct waiting){.runs = 0};
    uk_kafka_task_init(&waitings[i].task, reader.executor, run_waiting, NULL);
  }
  reader_run(NOW);
  current();
  for (size_t i = 0; i < WAITERS; i++)
    leave(i);
  uk_kafka_end_watch_free(watch);
  reader_close();
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

static void is_not_made_without_memory(void)
{
  long live = fault_live();
  for (long n = 1; n <= 2; n++) {
    fault_at(n);
    CHECK(uk_kafka_end_watch_new(NULL, NULL, NULL) == NULL);
    CHECK(fault_hit());
    fault_off();
  }
  CHECK_EQ_INT(fault_live(), live);
}

#define RUN(test) run(#test, test)

int main(void)
{
  RUN(an_end_that_was_seen_is_followed_from_there);
  RUN(who_waits_is_woken_by_a_record_at_its_offset);
  RUN(who_waits_at_any_of_the_partitions_is_woken);
  RUN(who_comes_later_gets_records_from_memory);
  RUN(what_is_known_already_is_dropped);
  RUN(an_end_that_moved_without_records_is_waited_at);
  RUN(trouble_that_passes_moves_no_end);
  RUN(no_task_is_woken_after_it_left);
  RUN(many_records_are_taken_in_runs);
  RUN(an_error_of_the_partition_loses_its_end);
  RUN(an_end_that_nobody_waits_at_is_lost_silently);
  RUN(a_record_before_the_error_wakes_nobody_who_left);
  RUN(an_end_that_cannot_be_followed_is_lost);
  RUN(without_a_handle_no_end_is_followed);
  RUN(a_forgotten_topic_is_lost);
  RUN(what_is_kept_of_a_partition_is_bounded);
  RUN(what_is_kept_may_fill_its_space);
  RUN(what_is_kept_of_all_partitions_is_bounded);
  RUN(a_record_without_memory_is_not_kept);
  RUN(without_memory_an_end_is_not_joined);
  RUN(an_end_is_followed_for_five_seconds_more);
  RUN(who_comes_back_in_time_gets_what_arrived);
  RUN(a_busy_end_is_not_followed_for_nobody);
  RUN(each_end_is_given_up_in_its_time);
  RUN(every_end_is_given_up_and_forgotten);
  RUN(the_handle_ends_after_a_minute_without_ends);
  CHECK_RUN(is_not_made_without_memory);
  return check_end();
}
