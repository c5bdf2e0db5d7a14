/* for: log_batch.c, log_checksum.c */
#include "server/log_engine/log_batch.h"

#include <stdlib.h>

#include "check.h"
#include "fault.h"
#include "server/log_engine/log_bytes.h"
#include "server/log_engine/log_checksum.h"

static const struct uk_record_header headers[] = {
  {{"trace", 5}, {"abc", 3}},
  {{"", 0}, {"", 0}},
  {{"trace", 5}, {"\0\xff", 2}},
};

static struct uk_record record(const char *key, const char *value, size_t header_count)
{
  struct uk_record made = {.has_key = key != NULL, .has_value = value != NULL};
  if (key != NULL)
    made.key = uk_slice_text(key);
  if (value != NULL)
    made.value = uk_slice_text(value);
  made.headers = headers;
  made.header_count = header_count;
  return made;
}

static const struct {
  const char *key, *value;
  size_t headers;
  int64_t timestamp;
} samples[] = {
  {NULL, "hello", 0, 1700000000000}, {"k", "world", 3, 1700000000001},
  {"", "", 1, 1699999999999},        {"gone", NULL, 0, 0},
  {NULL, NULL, 2, INT64_MAX},        {"x", "y", 0, INT64_MIN},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static struct uk_record sample(size_t i)
{
  return record(samples[i].key, samples[i].value, samples[i].headers);
}

/* Where the test's batches lie. */
static const struct uk_log_seal SEAL = {
  .place = {.topic_id = 7, .partition = 3, .offset = 1000},
  .position = 12345,
  .arrival = 1764000000000,
  .life = 9,
};
#define PLACE (&SEAL.place)

static struct uk_slice build(struct uk_log_builder *builder)
{
  uk_log_builder_init(builder);
  for (size_t i = 0; i < SAMPLES; i++) {
    struct uk_record one = sample(i);
    CHECK_EQ_INT(uk_log_builder_add(builder, &one, samples[i].timestamp), UK_OK);
  }
  return uk_log_builder_seal(builder, &SEAL);
}

static void check_sample(const struct uk_record *got, size_t i)
{
  struct uk_record want = sample(i);
  CHECK_EQ_INT(got->timestamp, samples[i].timestamp);
  CHECK_EQ_INT(got->has_key, want.has_key);
  CHECK_EQ_INT(got->has_value, want.has_value);
  CHECK_EQ_MEM(got->key.data, got->key.length, want.key.data, want.key.length);
  CHECK_EQ_MEM(got->value.data, got->value.length, want.value.data, want.value.length);
  if (!CHECK_EQ_INT(got->header_count, want.header_count))
    return;
  for (size_t h = 0; h < want.header_count; h++) {
    CHECK(uk_slice_equal(got->headers[h].key, headers[h].key));
    CHECK(uk_slice_equal(got->headers[h].value, headers[h].value));
  }
}

static struct uk_log_cursor cursor;

static void records_survive_a_round_trip(void)
{
  struct uk_log_builder builder;
  struct uk_slice bytes = build(&builder);
  struct uk_record got;
  char *copy = guard_copy(bytes.data, bytes.length);
  REQUIRE(uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, bytes.length)));
  CHECK_EQ_INT(cursor.batch.count, SAMPLES);
  CHECK_EQ_INT(cursor.batch.base_timestamp, samples[0].timestamp);
  CHECK_EQ_INT(cursor.batch.max_timestamp, INT64_MAX);
  CHECK_EQ_INT(cursor.batch.position, 12345);
  CHECK_EQ_INT(cursor.batch.version, 2);
  CHECK_EQ_INT(cursor.batch.span, SAMPLES);
  CHECK_EQ_INT(cursor.batch.arrival, 1764000000000);
  CHECK_EQ_INT(cursor.batch.life, 9);
  for (size_t i = 0; i < SAMPLES; i++) {
    REQUIRE(uk_log_cursor_next(&cursor, &got) == UK_LOG_CURSOR_RECORD);
    check_sample(&got, i);
    CHECK_EQ_INT(got.offset, 1000 + (int)i);
  }
  CHECK_EQ_INT(uk_log_cursor_next(&cursor, &got), UK_LOG_CURSOR_END);
  CHECK_EQ_INT(uk_log_cursor_next(&cursor, &got), UK_LOG_CURSOR_END);
  guard_free(copy, bytes.length);
  uk_log_builder_free(&builder);
}

static void skips_to_every_record(void)
{
  struct uk_log_builder builder;
  struct uk_slice bytes = build(&builder);
  struct uk_record got;
  for (size_t i = 0; i < SAMPLES; i++) {
    REQUIRE(uk_log_cursor_open(&cursor, PLACE, bytes));
    REQUIRE(uk_log_cursor_seek(&cursor, 1000 + (int64_t)i));
    REQUIRE(uk_log_cursor_next(&cursor, &got) == UK_LOG_CURSOR_RECORD);
    check_sample(&got, i);
  }
  REQUIRE(uk_log_cursor_open(&cursor, PLACE, bytes));
  CHECK(uk_log_cursor_seek(&cursor, INT64_MAX));
  CHECK_EQ_INT(uk_log_cursor_next(&cursor, &got), UK_LOG_CURSOR_END);
  uk_log_builder_free(&builder);
}

static void the_marker_holds_nothing(void)
{
  struct uk_log_builder builder;
  struct uk_log_batch batch;
  struct uk_record got;
  uk_log_builder_init(&builder);
  struct uk_log_seal seal = SEAL;
  seal.position = 99;
  struct uk_slice bytes = uk_log_builder_seal(&builder, &seal);
  CHECK_EQ_INT(bytes.length, UK_LOG_BATCH_HEADER);
  REQUIRE(uk_log_batch_read(&batch, bytes));
  CHECK_EQ_INT(batch.count, 0);
  CHECK_EQ_INT(batch.span, 0);
  CHECK_EQ_INT(batch.position, 99);
  REQUIRE(uk_log_cursor_open(&cursor, PLACE, bytes));
  CHECK_EQ_INT(uk_log_cursor_next(&cursor, &got), UK_LOG_CURSOR_END);
  uk_log_builder_free(&builder);
}

static void every_prefix_is_refused(void)
{
  struct uk_log_builder builder;
  struct uk_slice bytes = build(&builder);
  for (size_t length = 0; length < bytes.length; length++) {
    char *copy = guard_copy(bytes.data, length);
    CHECK(!uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, length)));
    guard_free(copy, length);
  }
  uk_log_builder_free(&builder);
}

static void every_flipped_bit_is_found(void)
{
  struct uk_log_builder builder;
  struct uk_slice bytes = build(&builder);
  char *copy = guard_copy(bytes.data, bytes.length);
  for (size_t bit = 0; bit < bytes.length * 8; bit++) {
    copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
    CHECK(!uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, bytes.length)));
    copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
  }
  CHECK(uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, bytes.length)));
  guard_free(copy, bytes.length);
  uk_log_builder_free(&builder);
}

/* Iterates over all records; every slice that the decoder returns must lie within the batch. */
static void walk(const char *data, size_t length, int64_t skip)
{
  struct uk_record got;
  if (!uk_log_cursor_open(&cursor, PLACE, uk_slice_of(data, length)) ||
      !uk_log_cursor_seek(&cursor, 1000 + skip))
    return;
  while (uk_log_cursor_next(&cursor, &got) == UK_LOG_CURSOR_RECORD) {
    CHECK(got.key.length == 0 ||
          (got.key.data >= data && got.key.data + got.key.length <= data + length));
    CHECK(got.value.length == 0 ||
          (got.value.data >= data && got.value.data + got.value.length <= data + length));
    CHECK(got.header_count <= UK_HEADERS_PER_MESSAGE_MAX);
  }
}

static uint32_t sum_of_key(const struct uk_log_place *place)
{
  uint8_t key[20];
  uk_store_u64(key, place->topic_id);
  uk_store_u32(key + 8, (uint32_t)place->partition);
  uk_store_u64(key + 12, (uint64_t)place->offset);
  return uk_log_checksum(0, key, sizeof key);
}

static void reseal(char *data, size_t length)
{
  uint32_t sum = uk_log_checksum(sum_of_key(PLACE), data, 4);
  sum = uk_log_checksum(sum, data + 8, length - 8);
  uk_store_u32((uint8_t *)data + 4, sum);
}

/* Damage that the checksum does not show: the damaged bytes have a valid one. */
static void damage_behind_a_valid_checksum_is_found(void)
{
  struct uk_log_builder builder;
  struct uk_slice bytes = build(&builder);
  unsigned seed = 7;
  for (int round = 0; round < 20000; round++) {
    size_t length = bytes.length;
    if (round % 4 == 0)
      length = UK_LOG_BATCH_HEADER + (size_t)rand_r(&seed) % (length - UK_LOG_BATCH_HEADER);
    char *copy = guard_copy(bytes.data, length);
    for (int i = rand_r(&seed) % 4; i >= 0; i--)
      copy[8 + (size_t)rand_r(&seed) % (length - 8)] = (char)rand_r(&seed);
    reseal(copy, length);
    walk(copy, length, round % 3 == 0 ? rand_r(&seed) % 8 : 0);
    guard_free(copy, length);
  }
  uk_log_builder_free(&builder);
}

/* Decodes a batch of `count` records with these bytes after its header. */
static enum uk_log_cursor_result read_crafted(const char *bytes, size_t length, uint32_t count)
{
  static char batch[UK_LOG_BATCH_HEADER + 20000];
  struct uk_record got;
  enum uk_log_cursor_result result;
  memset(batch, 0, UK_LOG_BATCH_HEADER);
  batch[0] = UK_LOG_BATCH_VERSION;
  uk_store_u32((uint8_t *)batch + 8, count);
  uk_store_u32((uint8_t *)batch + 44, count);
  if (length > 0)
    memcpy(batch + UK_LOG_BATCH_HEADER, bytes, length);
  length += UK_LOG_BATCH_HEADER;
  reseal(batch, length);
  char *copy = guard_copy(batch, length);
  if (!CHECK(uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, length))))
    return UK_LOG_CURSOR_DAMAGED;
  do
    result = uk_log_cursor_next(&cursor, &got);
  while (result == UK_LOG_CURSOR_RECORD);
  guard_free(copy, length);
  return result;
}

/* A valid checksum does not make a record valid: everything that the format forbids is damage. */
static void invalid_records_are_damage(void)
{
#define CASE(count, bytes)                                                                         \
  {                                                                                                \
    count, bytes, sizeof bytes - 1                                                                 \
  }
  static const struct {
    uint32_t count;
    const char *bytes;
    size_t length;
  } good[] =
    {
      CASE(0, ""),
      CASE(1, "\2\0\0"),    /* a null value */
      CASE(1, "\4\2\0\1v"), /* "v" */
      CASE(2, "\2\0\0\2\0\0"),
      CASE(1, "\5\4\0\1\0\0"),                                /* a header, of empty key and value */
      CASE(1, "\13\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), /* all 64 bits */
    },
    bad[] = {
      CASE(1, ""),                                            /* no record */
      CASE(1, "\0"),                                          /* a record without flags */
      CASE(1, "\1\0"),                                        /* without a timestamp */
      CASE(2, "\2\0\0"),                                      /* fewer records than the count */
      CASE(0, "\2\0\0"),                                      /* more records than the count */
      CASE(1, "\2\0\0\0"),                                    /* a byte after the last record */
      CASE(1, "\3\0\0\0"),                                    /* a byte after the record's fields */
      CASE(1, "\5\2\0\1vw"),                                  /* the same */
      CASE(1, "\2\20\0"),                                     /* an unknown flag */
      CASE(1, "\4\2\0\2v"),                                   /* a value longer than the record */
      CASE(1, "\5\2\0\1v"),                                   /* a record longer than the batch */
      CASE(1, "\3\4\0\0"),                                    /* header count 0 */
      CASE(1, "\4\4\0\1\0"),                                  /* a header without a value */
      CASE(1, "\7\4\0\1\0\0\0\0"),                            /* one header more than the count */
      CASE(1, "\13\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"), /* more than 64 bits */
      CASE(1, "\14\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"), /* eleven bytes */
      CASE(1, "\13\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81"),   /* an unterminated varint */
    };
#undef CASE
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    if (!CHECK_EQ_INT(read_crafted(good[i].bytes, good[i].length, good[i].count),
                      UK_LOG_CURSOR_END))
      fprintf(stderr, "  good[%zu]\n", i);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (!CHECK_EQ_INT(read_crafted(bad[i].bytes, bad[i].length, bad[i].count),
                      UK_LOG_CURSOR_DAMAGED))
      fprintf(stderr, "  bad[%zu]\n", i);
  }
}

/* The limit of headers is read; one more is damage. */
static void headers_are_counted(void)
{
  static char bytes[8 + 2 * (UK_HEADERS_PER_MESSAGE_MAX + 1)];
  for (size_t count = UK_HEADERS_PER_MESSAGE_MAX; count <= UK_HEADERS_PER_MESSAGE_MAX + 1;
       count++) {
    size_t body = 4 + 2 * count;
    memset(bytes, 0, sizeof bytes);
    bytes[0] = (char)(body | 0x80);
    bytes[1] = (char)(body >> 7);
    bytes[2] = 4;
    bytes[4] = (char)(count | 0x80);
    bytes[5] = (char)(count >> 7);
    CHECK_EQ_INT(read_crafted(bytes, 2 + body, 1),
                 count == UK_HEADERS_PER_MESSAGE_MAX ? UK_LOG_CURSOR_END : UK_LOG_CURSOR_DAMAGED);
  }
}

static void refuses_other_versions(void)
{
  struct uk_log_builder builder;
  struct uk_log_batch batch;
  struct uk_slice bytes = build(&builder);
  char *copy = guard_copy(bytes.data, bytes.length);
  copy[0] = 3;
  reseal(copy, bytes.length);
  CHECK(!uk_log_batch_read(&batch, uk_slice_of(copy, bytes.length)));
  CHECK(!uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, bytes.length)));
  guard_free(copy, bytes.length);
  uk_log_builder_free(&builder);
}

/* A batch as version 1 wrote it: "a" and "b". Its checksum does not cover the key. */
static size_t version_1(uint8_t *bytes, const char *records, size_t length)
{
  memset(bytes, 0, 36);
  bytes[0] = 1;
  uk_store_u32(bytes + 8, 2);
  uk_store_u64(bytes + 12, 50);
  uk_store_u64(bytes + 20, 60);
  uk_store_u64(bytes + 28, 70);
  memcpy(bytes + 36, records, length);
  uk_store_u32(bytes + 4, uk_log_checksum(uk_log_checksum(0, bytes, 4), bytes + 8, 28 + length));
  return 36 + length;
}

static void version_1_is_read(void)
{
  static const char records[] = "\4\2\0\1a\4\2\24\1b";
  struct uk_record got;
  uint8_t bytes[100];
  size_t length = version_1(bytes, records, sizeof records - 1);
  char *copy = guard_copy((char *)bytes, length);
  REQUIRE(uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, length)));
  CHECK_EQ_INT(cursor.batch.version, 1);
  CHECK_EQ_INT(cursor.batch.count, 2);
  CHECK_EQ_INT(cursor.batch.span, 2);
  CHECK_EQ_INT(cursor.batch.base_timestamp, 50);
  CHECK_EQ_INT(cursor.batch.max_timestamp, 60);
  CHECK_EQ_INT(cursor.batch.position, 70);
  CHECK_EQ_INT(cursor.batch.arrival, INT64_MAX);
  CHECK_EQ_INT(cursor.batch.life, 0);
  CHECK(!cursor.batch.stamped);
  for (int i = 0; i < 2; i++) {
    REQUIRE(uk_log_cursor_next(&cursor, &got) == UK_LOG_CURSOR_RECORD);
    CHECK_EQ_INT(got.offset, 1000 + i);
    CHECK_EQ_INT(got.timestamp, 50 + 10 * i);
    CHECK_EQ_MEM(got.value.data, got.value.length, i == 0 ? "a" : "b", 1);
  }
  CHECK_EQ_INT(uk_log_cursor_next(&cursor, &got), UK_LOG_CURSOR_END);
  guard_free(copy, length);
}

static void damage_in_version_1_is_found(void)
{
  static const char records[] = "\4\2\0\1a\4\2\24\1b";
  static const char gap[] = "\5\12\0\0\1a\4\2\24\1b"; /* it has none */
  struct uk_record got;
  uint8_t bytes[100];
  size_t length = version_1(bytes, records, sizeof records - 1);
  for (size_t cut = 0; cut < length; cut++) {
    char *copy = guard_copy((char *)bytes, cut);
    CHECK(!uk_log_cursor_open(&cursor, PLACE, uk_slice_of(copy, cut)));
    guard_free(copy, cut);
  }
  for (size_t bit = 0; bit < length * 8; bit++) {
    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
    CHECK(!uk_log_cursor_open(&cursor, PLACE, uk_slice_of((char *)bytes, length)));
    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
  }
  length = version_1(bytes, gap, sizeof gap - 1);
  REQUIRE(uk_log_cursor_open(&cursor, PLACE, uk_slice_of((char *)bytes, length)));
  CHECK_EQ_INT(uk_log_cursor_next(&cursor, &got), UK_LOG_CURSOR_DAMAGED);
}

/* Attributes that this version does not know, and the bytes that are zero. */
static void refuses_unknown_attributes(void)
{
  static const struct {
    size_t at;
    char value;
  } cases[] = {{1, 2}, {1, (char)0x80}, {2, 1}, {3, 1}};
  struct uk_log_builder builder;
  struct uk_log_batch batch;
  struct uk_slice bytes = build(&builder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *copy = guard_copy(bytes.data, bytes.length);
    copy[cases[i].at] = cases[i].value;
    reseal(copy, bytes.length);
    CHECK(!uk_log_batch_read(&batch, uk_slice_of(copy, bytes.length)));
    guard_free(copy, bytes.length);
  }
  uk_log_builder_free(&builder);
}

/* A batch that would reach beyond the last offset that there is. */
static void offsets_end(void)
{
  struct uk_log_builder builder;
  struct uk_log_seal seal = SEAL;
  struct uk_log_batch batch;
  struct uk_record one = sample(0);
  uk_log_builder_init(&builder);
  REQUIRE(uk_log_builder_add(&builder, &one, 1) == UK_OK);
  seal.place.offset = INT64_MAX - 1;
  CHECK(uk_log_batch_verify(&batch, &seal.place, uk_log_builder_seal(&builder, &seal)));
  seal.place.offset = INT64_MAX;
  CHECK(!uk_log_batch_verify(&batch, &seal.place, uk_log_builder_seal(&builder, &seal)));
  seal.place.offset = -1;
  CHECK(!uk_log_batch_verify(&batch, &seal.place, uk_log_builder_seal(&builder, &seal)));
  uk_log_builder_free(&builder);
}

/* Whether the server's clock set the greatest timestamp, not another one. */
static void a8_the_greatest_timestamp_may_be_the_servers(void)
{
  static const struct {
    int64_t own[2]; /* -1: the server's clock, which says 50 */
    bool stamped;
  } cases[] = {{{-1, -1}, true},  {{10, -1}, true},  {{-1, 10}, true}, /* the first of two equal */
               {{60, -1}, false}, {{-1, 60}, false}, {{10, 20}, false},
               {{-1, 50}, true},  {{50, -1}, false}};
  struct uk_log_builder builder;
  struct uk_log_batch batch;
  uk_log_builder_init(&builder);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (size_t j = 0; j < 2; j++) {
      struct uk_record one = sample(0);
      one.timestamp = cases[i].own[j];
      REQUIRE(uk_log_builder_add(&builder, &one, one.timestamp == -1 ? 50 : one.timestamp) ==
              UK_OK);
    }
    REQUIRE(uk_log_batch_read(&batch, uk_log_builder_seal(&builder, &SEAL)));
    CHECK_EQ_INT(batch.stamped, cases[i].stamped);
    uk_log_builder_clear(&builder);
    REQUIRE(uk_log_batch_read(&batch, uk_log_builder_seal(&builder, &SEAL)));
    CHECK(!batch.stamped); /* the marker */
    CHECK(batch.base_timestamp == 0 && batch.max_timestamp == 0);
    uk_log_builder_clear(&builder);
  }
  uk_log_builder_free(&builder);
}

/* A batch is filled to its last byte, and no further. */
static void fills_up_to_the_limit(void)
{
  struct uk_log_builder builder;
  static char value[UK_LOG_BATCH_BYTES];
  struct uk_record one = {.has_value = true};
  uk_log_builder_init(&builder);
  one.value = uk_slice_of(value, 100);
  REQUIRE(uk_log_builder_add(&builder, &one, 5) == UK_OK);
  /* A three-byte varint before the record, flags, delta, and a three-byte varint before the
   * value. */
  size_t left = UK_LOG_BATCH_BYTES - builder.bytes.length - 8;
  one.value.length = left + 1;
  CHECK(!uk_log_builder_fits(&builder, &one, 5));
  one.value.length = left;
  CHECK(uk_log_builder_fits(&builder, &one, 5));
  CHECK(!uk_log_builder_fits(&builder, &one, 5 + 64));
  REQUIRE(uk_log_builder_add(&builder, &one, 5) == UK_OK);
  CHECK_EQ_INT(uk_log_builder_seal(&builder, &SEAL).length, UK_LOG_BATCH_BYTES);
  one.value.length = 0;
  CHECK(!uk_log_builder_fits(&builder, &one, 5));
  uk_log_builder_free(&builder);
}

static void a_large_record_is_its_own_batch(void)
{
  struct uk_log_builder builder;
  size_t length = 3 * UK_LOG_BATCH_BYTES;
  char *value = calloc(1, length);
  struct uk_record got, one = {.has_value = true, .value = uk_slice_of(value, length)};
  uk_log_builder_init(&builder);
  REQUIRE(uk_log_builder_fits(&builder, &one, 1));
  REQUIRE(uk_log_builder_add(&builder, &one, 1) == UK_OK);
  CHECK(!uk_log_builder_fits(&builder, &one, 1));
  REQUIRE(uk_log_cursor_open(&cursor, PLACE, uk_log_builder_seal(&builder, &SEAL)));
  REQUIRE(uk_log_cursor_next(&cursor, &got) == UK_LOG_CURSOR_RECORD);
  CHECK_EQ_INT(got.value.length, length);
  for (size_t more = 0; more < 2; more++) { /* flags, delta and the length before the value */
    uk_log_builder_free(&builder);
    uk_log_builder_init(&builder);
    one.value.length = UK_LOG_RECORD_BYTES_MAX - 7 + more;
    fault_at(2); /* it is not copied: the memory is not there */
    CHECK_EQ_INT(uk_log_builder_add(&builder, &one, 1),
                 more == 0 ? UK_E_NO_MEMORY : UK_E_TOO_LARGE);
    CHECK_EQ_INT(fault_hit(), more == 0);
    fault_off();
    CHECK_EQ_INT(builder.count, 0);
  }
  uk_log_builder_free(&builder);
  free(value);
}

/* Key, value, and headers with their keys. A missing key or value does not count, whatever its
 * length says. */
static void bytes_of_a_record(void)
{
  struct uk_record_header named[2] = {{uk_slice_text("abc"), uk_slice_text("de")},
                                      {uk_slice_text("f"), uk_slice_text("")}};
  struct uk_record record = {.key = uk_slice_text("key"), .value = uk_slice_text("value")};
  CHECK_EQ_INT(uk_log_record_bytes(&record), 0);
  record.has_key = true;
  CHECK_EQ_INT(uk_log_record_bytes(&record), 3);
  record.has_value = true;
  CHECK_EQ_INT(uk_log_record_bytes(&record), 8);
  record.headers = named;
  record.header_count = 1;
  CHECK_EQ_INT(uk_log_record_bytes(&record), 13);
  record.header_count = 2;
  CHECK_EQ_INT(uk_log_record_bytes(&record), 14);
}

static void the_greatest_timestamp_may_be_negative(void)
{
  struct uk_log_builder builder;
  struct uk_log_batch batch;
  struct uk_record one = sample(1);
  uk_log_builder_init(&builder);
  REQUIRE(uk_log_builder_add(&builder, &one, -9) == UK_OK);
  REQUIRE(uk_log_builder_add(&builder, &one, -5) == UK_OK);
  REQUIRE(uk_log_builder_add(&builder, &one, -7) == UK_OK);
  REQUIRE(uk_log_batch_read(&batch, uk_log_builder_seal(&builder, &SEAL)));
  CHECK_EQ_INT(batch.base_timestamp, -9);
  CHECK_EQ_INT(batch.max_timestamp, -5);
  uk_log_builder_free(&builder);
}

/* The builder frees the memory of a large batch, and keeps that of others. */
static void memory_is_kept_up_to_a_limit(void)
{
  struct uk_log_builder builder;
  struct uk_record one = sample(1);
  size_t length = 4 * UK_LOG_BATCH_BYTES;
  char *value = calloc(1, length);
  uk_log_builder_init(&builder);
  REQUIRE(uk_log_builder_add(&builder, &one, 1) == UK_OK);
  size_t kept = builder.bytes.capacity;
  uk_log_builder_clear(&builder);
  CHECK_EQ_INT(builder.bytes.capacity, kept);
  one.value = uk_slice_of(value, length);
  REQUIRE(uk_log_builder_add(&builder, &one, 1) == UK_OK);
  uk_log_builder_clear(&builder);
  CHECK_EQ_INT(builder.bytes.capacity, 0);
  uk_log_builder_free(&builder);
  free(value);
}

static void survives_a_failing_allocator(void)
{
  struct uk_record one = sample(1);
  long before = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_log_builder builder;
    uk_log_builder_init(&builder);
    fault_at(n);
    enum uk_error error = uk_log_builder_add(&builder, &one, 5);
    struct uk_slice marker = uk_log_builder_seal(&builder, &SEAL);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK_EQ_INT(builder.count, hit ? 0 : 1);
    CHECK(hit ? marker.length == 0 : marker.length > UK_LOG_BATCH_HEADER);
    uk_log_builder_free(&builder);
  }
  CHECK_EQ_INT(fault_live(), before);
}

static void checksums(void)
{
  static char bytes[70000];
  unsigned seed = 1;
  CHECK_EQ_INT(uk_log_checksum(0, "123456789", 9), 0xe3069283);
  CHECK_EQ_INT(uk_log_checksum_portable(0, "123456789", 9), 0xe3069283);
  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (char)rand_r(&seed);
  for (size_t length = 0; length < sizeof bytes; length += length < 300 ? 1 : length / 50) {
    uint32_t whole = uk_log_checksum(0, bytes, length);
    CHECK_EQ_INT(uk_log_checksum_portable(0, bytes, length), whole);
    CHECK_EQ_INT(uk_log_checksum(uk_log_checksum(0, bytes, length / 3), bytes + length / 3,
                                 length - length / 3),
                 whole);
  }
  for (size_t length = 4090; length < 4130; length++)
    CHECK_EQ_INT(uk_log_checksum(7, bytes + 1, length),
                 uk_log_checksum_portable(7, bytes + 1, length));
}

int main(void)
{
  CHECK_RUN(records_survive_a_round_trip);
  CHECK_RUN(skips_to_every_record);
  CHECK_RUN(the_marker_holds_nothing);
  CHECK_RUN(every_prefix_is_refused);
  CHECK_RUN(every_flipped_bit_is_found);
  CHECK_RUN(damage_behind_a_valid_checksum_is_found);
  CHECK_RUN(invalid_records_are_damage);
  CHECK_RUN(headers_are_counted);
  CHECK_RUN(refuses_other_versions);
  CHECK_RUN(version_1_is_read);
  CHECK_RUN(damage_in_version_1_is_found);
  CHECK_RUN(refuses_unknown_attributes);
  CHECK_RUN(offsets_end);
  CHECK_RUN(a8_the_greatest_timestamp_may_be_the_servers);
  CHECK_RUN(fills_up_to_the_limit);
  CHECK_RUN(a_large_record_is_its_own_batch);
  CHECK_RUN(bytes_of_a_record);
  CHECK_RUN(the_greatest_timestamp_may_be_negative);
  CHECK_RUN(memory_is_kept_up_to_a_limit);
  CHECK_RUN(survives_a_failing_allocator);
  CHECK_RUN(checksums);
  return check_end();
}
