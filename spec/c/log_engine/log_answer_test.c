/* The bytes of an answer, and the set of keys. For: log_answer.c, log_key_set.c, log_bytes.h. */
#include "server/log_engine/log_answer.h"

#include "check.h"
#include "server/log_engine/log_bytes.h"
#include "server/log_engine/log_key_set.h"

enum { COUNT_MAX = 100000 };

static struct uk_log_topic *topics[2];
static struct uk_log_staged staged[COUNT_MAX];
static struct uk_log_answer_writer writer;
static struct uk_buffer places;

static const uint8_t fingerprint[16] = "0123456789abcdef";

static void set_up(void)
{
  for (int i = 0; i < 2; i++) {
    topics[i] = uk_log_topic_new(uk_slice_text(i == 0 ? "a" : "b"), UK_PARTITIONS_MAX);
    topics[i]->id = i == 0 ? 1 : UINT64_MAX;
  }
  uk_log_answer_init(&writer);
  uk_buffer_init(&places, SIZE_MAX / 2);
}

static void tear_down(void)
{
  uk_log_answer_free(&writer);
  uk_buffer_free(&places);
  free(topics[0]);
  free(topics[1]);
}

/* A record at the next offset of the partition. */
static void stage(size_t index, int topic, int32_t partition)
{
  struct uk_log_partition *to = &topics[topic]->partitions[partition];
  staged[index] = (struct uk_log_staged){.partition = to, .offset = to->next_end++};
}

static struct uk_slice write_answer(size_t count)
{
  uk_log_answer_begin(&writer, fingerprint, 77, -5);
  for (size_t i = 0; i < count; i++)
    uk_log_answer_add(&writer, &staged[i]);
  struct uk_buffer *bytes = uk_log_answer_end(&writer);
  return bytes != NULL ? uk_buffer_slice(bytes) : uk_slice_of("", 0);
}

/* Compares with what was staged, and stops before the record `stop`. */
struct reading {
  size_t next, stop, firsts;
  bool same;
};

static bool compare(void *argument, size_t index, const struct uk_log_answer_place *place)
{
  struct reading *reading = argument;
  const struct uk_log_partition *partition = staged[index].partition;
  reading->same = reading->same && index == reading->next &&
                  place->topic_id == partition->topic->id && place->partition == partition->index &&
                  place->offset == staged[index].offset;
  reading->firsts += place->is_first;
  reading->next++;
  return reading->next != reading->stop;
}

static enum uk_log_answer_result read_answer(struct uk_slice answer, size_t count,
                                             struct reading *reading)
{
  *reading = (struct reading){.stop = reading->stop, .same = true};
  return uk_log_answer_read(answer, count, &places, compare, reading);
}

static void check_read(struct uk_slice answer, size_t count, size_t firsts)
{
  struct reading reading = {.stop = 0};
  CHECK_EQ_INT(read_answer(answer, count, &reading), UK_LOG_ANSWER_OK);
  CHECK(reading.same);
  CHECK_EQ_INT(reading.next, count);
  CHECK_EQ_INT(reading.firsts, firsts);
}

static void one_record_takes_four_bytes(void)
{
  set_up();
  stage(0, 0, 0);
  struct uk_slice answer = write_answer(1);
  CHECK_EQ_INT(answer.length, UK_LOG_ANSWER_HEADER + 4);
  CHECK(memcmp(answer.data, fingerprint, 16) == 0);
  CHECK_EQ_INT(uk_log_answer_ends(answer), 77);
  CHECK_EQ_INT(uk_log_answer_timestamp(answer), -5);
  CHECK(uk_log_answer_is_to(answer, fingerprint));
  CHECK(!uk_log_answer_is_to(answer, (const uint8_t *)"0123456789abcdeF"));
  CHECK(memcmp(answer.data + UK_LOG_ANSWER_HEADER, "\0\1\0\0", 4) == 0);
  check_read(answer, 1, 1);
  tear_down();
}

static void places_come_again(void)
{
  static const struct {
    int topic;
    int32_t partition;
  } order[] = {{0, 0},   {0, 0},   {0, 0}, {1, 999}, {0, 0},
               {1, 999}, {1, 999}, {0, 1}, {1, 1},   {0, 1}};
  enum { COUNT = sizeof order / sizeof *order };
  set_up();
  topics[1]->partitions[999].next_end = INT64_MAX / 2 - 2;
  for (int round = 0; round < 2; round++) { /* marks of the first answer mean nothing to the next */
    for (size_t i = 0; i < COUNT; i++)
      stage(i, order[i].topic, order[i].partition);
    check_read(write_answer(COUNT), COUNT, 4);
    topics[1]->partitions[999].next_end = 7;
  }
  tear_down();
}

static void many_records_are_few_bytes(void)
{
  set_up();
  for (size_t i = 0; i < COUNT_MAX; i++)
    stage(i, 0, 5);
  struct uk_slice answer = write_answer(COUNT_MAX);
  CHECK(answer.length < UK_LOG_ANSWER_HEADER + 10);
  check_read(answer, COUNT_MAX, 1);
  for (size_t i = 0; i < COUNT_MAX; i++)
    stage(i, (int)(i % 2), (int32_t)(i * 7919 % UK_PARTITIONS_MAX));
  answer = write_answer(COUNT_MAX);
  CHECK(answer.length < 3 * COUNT_MAX);
  check_read(answer, COUNT_MAX, UK_PARTITIONS_MAX);
  stage(0, 0, 0);
  check_read(write_answer(1), 1, 1);
  CHECK(writer.bytes.capacity <= UK_LOG_ANSWER_KEEP);
  tear_down();
}

static void a_reader_may_stop(void)
{
  struct reading reading = {.stop = 2};
  set_up();
  for (size_t i = 0; i < 5; i++)
    stage(i, 0, 0);
  CHECK_EQ_INT(read_answer(write_answer(5), 5, &reading), UK_LOG_ANSWER_OK);
  CHECK_EQ_INT(reading.next, 2);
  tear_down();
}

static void another_number_of_records_is_damage(void)
{
  struct reading reading = {.stop = 0};
  set_up();
  for (size_t i = 0; i < 5; i++)
    stage(i, 0, i < 3 ? 0 : 1);
  struct uk_slice answer = write_answer(5);
  for (size_t count = 1; count < 8; count++)
    CHECK_EQ_INT(read_answer(answer, count, &reading),
                 count == 5 ? UK_LOG_ANSWER_OK : UK_LOG_ANSWER_DAMAGED);
  for (size_t length = UK_LOG_ANSWER_HEADER; length < answer.length; length++)
    CHECK_EQ_INT(read_answer(uk_slice_of(answer.data, length), 5, &reading), UK_LOG_ANSWER_DAMAGED);
  tear_down();
}

static void runs_that_make_no_sense_are_damage(void)
{
  static const struct {
    const char *runs;
    size_t length, count;
  } bad[] = {
    {"", 0, 1},
    {"\2\1\0\0", 4, 1},                                      /* the second place first */
    {"\0\1\350\7\0", 5, 1},                                  /* partition 1000 */
    {"\0\1\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 13, 1}, /* offset 2^63 */
    {"\0\1\0\0\0", 5, 1},                                    /* a record more */
    {"\1\xff\xff\xff\xff\xff\1\1\0\0", 10, 5},               /* a run of 2^42 */
    {"\1\1\1\0\0", 5, 2},                                    /* a run of three */
    {"\1", 1, 2},
    {"\1\0\1", 3, 2},
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, 1}, /* more than 64 bits */
  };
  char bytes[60] = "";
  struct reading reading = {.stop = 0};
  set_up();
  stage(0, 0, 0);
  stage(1, 0, 0);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    memcpy(bytes + UK_LOG_ANSWER_HEADER, bad[i].runs, bad[i].length);
    const struct uk_slice answer = uk_slice_of(bytes, UK_LOG_ANSWER_HEADER + bad[i].length);
    if (!CHECK_EQ_INT(read_answer(answer, bad[i].count, &reading), UK_LOG_ANSWER_DAMAGED))
      fprintf(stderr, "  run %zu\n", i);
  }
  tear_down();
}

static void memory_may_run_out(void)
{
  struct reading reading = {.stop = 0};
  set_up();
  stage(0, 0, 0);
  struct uk_slice answer = write_answer(1);
  places.limit = sizeof(struct uk_log_answer_place) - 1;
  CHECK_EQ_INT(read_answer(answer, 1, &reading), UK_LOG_ANSWER_NO_MEMORY);
  writer.bytes.limit = UK_LOG_ANSWER_HEADER + 3;
  uk_buffer_free(&writer.bytes);
  uk_log_answer_begin(&writer, fingerprint, 0, 0);
  uk_log_answer_add(&writer, &staged[0]);
  CHECK(uk_log_answer_end(&writer) == NULL);
  writer.bytes.limit = UK_LOG_ANSWER_HEADER + 4;
  check_read(write_answer(0), 0, 0); /* the failure is over */
  tear_down();
}

/* The set. */

static struct uk_produce_key key_of(const char *user, const char *key)
{
  return (struct uk_produce_key){.user = uk_slice_text(user), .key = uk_slice_text(key)};
}

static struct uk_log_key_set set;

static bool has(const char *user, const char *key)
{
  const struct uk_produce_key made = key_of(user, key);
  return uk_log_key_set_has(&set, &made);
}

static bool add(const char *user, const char *key)
{
  const struct uk_produce_key made = key_of(user, key);
  return uk_log_key_set_add(&set, &made);
}

static void a_set_holds_each_key_once(void)
{
  memset(&set, 0, sizeof set);
  CHECK(!has("u", "a"));
  CHECK(add("u", "a"));
  CHECK(has("u", "a"));
  CHECK(!add("u", "a"));
  CHECK(!has("u", "b"));
  CHECK(!has("ua", ""));
  CHECK(!has("", "ua"));
  CHECK(add("v", "a"));
  uk_log_key_set_clear(&set);
  CHECK(!has("u", "a"));
  CHECK(add("u", "a"));
  set.round = UINT32_MAX; /* the next round is one that was there before */
  uk_log_key_set_clear(&set);
  CHECK(!has("u", "a"));
  CHECK(add("u", "a"));
  CHECK(has("u", "a"));
}

/* As many as a transaction has commands. */
static void a_set_has_room_for_a_transaction(void)
{
  char key[20];
  int added = 0;
  memset(&set, 0, sizeof set);
  for (int i = 0; i < 10000; i++) {
    snprintf(key, sizeof key, "sender-%d", i);
    added += add("user", key);
  }
  CHECK(added >= 9990); /* two may look the same */
  for (int i = 0; i < 10000; i++) {
    snprintf(key, sizeof key, "sender-%d", i);
    if (!has("user", key))
      added = 0;
  }
  CHECK(added > 0);
  for (int i = 0; i < 100000; i++) { /* a full one refuses what it does not find */
    snprintf(key, sizeof key, "more-%d", i);
    add("user", key);
  }
  CHECK(set.count <= UK_LOG_KEY_SET_SLOTS);
  CHECK(!add("user", "sender-1"));
}

int main(void)
{
  CHECK_RUN(one_record_takes_four_bytes);
  CHECK_RUN(places_come_again);
  CHECK_RUN(many_records_are_few_bytes);
  CHECK_RUN(a_reader_may_stop);
  CHECK_RUN(another_number_of_records_is_damage);
  CHECK_RUN(runs_that_make_no_sense_are_damage);
  CHECK_RUN(memory_may_run_out);
  CHECK_RUN(a_set_holds_each_key_once);
  CHECK_RUN(a_set_has_room_for_a_transaction);
  return check_end();
}
