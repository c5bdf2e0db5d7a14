/* for: kafka_key_row.c */
#include "server/kafka_engine/produce/kafka_key_row.h"

#include <stdlib.h>

#include "check.h"
#include "server/engine/produce_answer.h"

enum { RECORDS = 3 };

static struct uk_record records[RECORDS];
static struct uk_buffer key, value;

static struct uk_produce stored(const char *user, const char *name)
{
  struct uk_produce operation = {.records = records, .count = RECORDS};
  operation.key.user = uk_slice_text(user);
  operation.key.key = uk_slice_text(name);
  for (size_t i = 0; i < sizeof operation.key.fingerprint; i++)
    operation.key.fingerprint[i] = (uint8_t)(200 + i);
  for (size_t i = 0; i < RECORDS; i++)
    records[i] =
      (struct uk_record){.partition = 4, .offset = 70 + (int64_t)i, .timestamp = 1234567};
  return operation;
}

static void write_row(const struct uk_produce *operation)
{
  uk_buffer_init(&key, 1 << 20);
  uk_buffer_init(&value, 1 << 24);
  uk_kafka_key_row_write(&key, &value, operation);
}

static bool read_row(struct uk_produce_key *read, struct uk_slice *answer)
{
  return uk_kafka_key_row_read(uk_slice_of(key.data, key.length),
                               uk_slice_of(value.data, value.length), read, answer);
}

static void free_row(void)
{
  uk_buffer_free(&key);
  uk_buffer_free(&value);
}

static void what_was_written_is_read(void)
{
  static const char *const users[] = {"", "u", "user:with:colons"};
  for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
    struct uk_produce operation = stored(users[i], "the-key"), repeat = operation;
    struct uk_produce_key read;
    struct uk_slice answer;
    write_row(&operation);
    CHECK(read_row(&read, &answer));
    CHECK_EQ_SLICE(read.user, users[i]);
    CHECK_EQ_SLICE(read.key, "the-key");
    CHECK(memcmp(read.fingerprint, operation.key.fingerprint, sizeof read.fingerprint) == 0);
    records[2].offset = -1;
    CHECK(uk_produce_answer_read(answer, &repeat));
    CHECK_EQ_INT(records[2].offset, 72);
    CHECK_EQ_INT(records[2].partition, 4);
    free_row();
  }
}

/* The layout is that of the servers that run already. */
static void the_layout_stays(void)
{
  static const char want_key[] = {0, 2, 'm', 'e', 'k'};
  struct uk_produce operation = stored("me", "k");
  write_row(&operation);
  CHECK_EQ_MEM(key.data, key.length, want_key, sizeof want_key);
  CHECK_EQ_INT(value.length, 1 + 16 + UK_PRODUCE_RUN_BYTES);
  CHECK_EQ_INT(value.data[0], 1);
  CHECK_EQ_INT((unsigned char)value.data[1], 200);
  CHECK_EQ_INT((unsigned char)value.data[16], 215);
  free_row();
}

static void an_unknown_outcome_has_no_answer(void)
{
  struct uk_produce operation = stored("u", "k");
  struct uk_produce_key read;
  struct uk_slice answer;
  operation.operation.error = UK_E_GATEWAY_TIMEOUT;
  write_row(&operation);
  CHECK(read_row(&read, &answer));
  CHECK_EQ_INT(answer.length, 0);
  free_row();
  operation.each = true;
  write_row(&operation);
  CHECK(read_row(&read, &answer));
  CHECK_EQ_INT(answer.length, UK_PRODUCE_RUN_BYTES);
  free_row();
}

/* With as many runs as fit, and one more. */
static void a_long_answer_is_left_out(void)
{
  enum { MOST = UK_KAFKA_KEY_ANSWER_MAX / UK_PRODUCE_RUN_BYTES };
  struct uk_record *many = calloc(MOST + 1, sizeof *many);
  struct uk_produce operation = stored("u", "k");
  struct uk_produce_key read;
  struct uk_slice answer;
  if (!CHECK(many != NULL))
    return;
  for (int32_t i = 0; i < MOST + 1; i++)
    many[i].partition = i;
  operation.records = many;
  for (size_t more = 0; more < 2; more++) {
    operation.count = MOST + more;
    write_row(&operation);
    CHECK(read_row(&read, &answer));
    CHECK_EQ_INT(answer.length, more == 0 ? MOST * UK_PRODUCE_RUN_BYTES : 0);
    free_row();
  }
  free(many);
}

static bool is_row(const char *key_bytes, size_t key_length, const char *value_bytes,
                   size_t value_length)
{
  struct uk_produce_key read;
  struct uk_slice answer;
  return uk_kafka_key_row_read(uk_slice_of(key_bytes, key_length),
                               uk_slice_of(value_bytes, value_length), &read, &answer);
}

static void what_is_no_row_is_refused(void)
{
  static const char good_value[17] = {1}, other_version[17] = {2};
  static char long_key[2 + UK_IDEMPOTENCY_KEY_MAX + 1];
  CHECK(is_row("\0\1uk", 4, good_value, 17));
  CHECK(is_row("\0\0k", 3, good_value, 17));
  CHECK(!is_row("\0\0", 2, good_value, 17));
  CHECK(!is_row("\0", 1, good_value, 17));
  CHECK(!is_row(NULL, 0, good_value, 17));
  CHECK(!is_row("\0\1u", 3, good_value, 17));
  CHECK(!is_row("\0\2uk", 4, good_value, 17));
  CHECK(!is_row("\1\0uk", 4, good_value, 17)); /* 256 bytes of name */
  CHECK(!is_row("\0\1uk", 4, good_value, 16));
  CHECK(!is_row("\0\1uk", 4, NULL, 0)); /* a tombstone */
  CHECK(!is_row("\0\1uk", 4, other_version, 17));
  CHECK(is_row(long_key, 2 + UK_IDEMPOTENCY_KEY_MAX, good_value, 17));
  CHECK(!is_row(long_key, 2 + UK_IDEMPOTENCY_KEY_MAX + 1, good_value, 17));
}

static void without_memory_the_buffers_say_so(void)
{
  struct uk_produce operation = stored("u", "k");
  uk_buffer_init(&key, 3);
  uk_buffer_init(&value, 20);
  uk_kafka_key_row_write(&key, &value, &operation);
  CHECK_EQ_INT(key.error, UK_E_TOO_LARGE);
  CHECK_EQ_INT(value.error, UK_E_TOO_LARGE);
  free_row();
}

int main(void)
{
  CHECK_RUN(what_was_written_is_read);
  CHECK_RUN(the_layout_stays);
  CHECK_RUN(an_unknown_outcome_has_no_answer);
  CHECK_RUN(a_long_answer_is_left_out);
  CHECK_RUN(what_is_no_row_is_refused);
  CHECK_RUN(without_memory_the_buffers_say_so);
  return check_end();
}
