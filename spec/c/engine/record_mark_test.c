/* Marks of records, and what they say about a position. For: record_mark.c, record_mark.h. */
#include "server/engine/record_mark.h"

#include <string.h>

#include "check.h"

static struct uk_record record_of(const char *key, const char *value)
{
  return (struct uk_record){.timestamp = 5,
                            .has_key = key != NULL,
                            .has_value = value != NULL,
                            .key = uk_slice_text(key != NULL ? key : ""),
                            .value = uk_slice_text(value != NULL ? value : "")};
}

static struct uk_record_mark mark_of(const char *key, const char *value)
{
  struct uk_record record = record_of(key, value);
  return uk_record_mark_of(&record);
}

/* Checksums are stored with committed offsets, and compared by other machines and versions. */
static void checksums_stay_as_they_are(void)
{
  struct uk_record record =
    record_of("key", "a value that is longer than what is added side by side");
  const struct uk_record_header headers[] = {{uk_slice_text("h"), uk_slice_text("v")}};
  CHECK(uk_record_mark_of(&record).checksum == UINT64_C(0xaac6689c718110e5));
  record.headers = headers;
  record.header_count = 1;
  CHECK(uk_record_mark_of(&record).checksum == UINT64_C(0x8a3b3f55e8cca05b));
}

static void equal_records_have_equal_marks(void)
{
  struct uk_record_mark a = mark_of("key", "value"), b = mark_of("key", "value");
  CHECK(a.known);
  CHECK_EQ_INT(a.timestamp, 5);
  CHECK(uk_record_mark_equal(&a, &b));
  b.timestamp++;
  CHECK(!uk_record_mark_equal(&a, &b));
  b = a;
  b.known = false;
  CHECK(!uk_record_mark_equal(&a, &b));
  CHECK(!uk_record_mark_equal(&b, &a));
}

static void each_part_counts(void)
{
  static const char *const pairs[][2] = {
    {"key", "value"},
    {"kez", "value"},
    {"key", "valuf"},
    {"", "keyvalue"},
    {NULL, "value"},
    {"", "value"},
    {"key", NULL},
    {"key", ""},
    {NULL, NULL},
    {"keyvalue", ""},
    {"keyv", "alue"},
    {"key", "value of 8"},
    {"key", "valuf of 8"},
    {"key", "value of 9"},
    {"key", "0123456789abcdef"},
    {"key", "0123456799abcdef"},
    {"key", "0123456789abcdeg"},
    {"key", "0123456789abcdef0"},
  };
  size_t count = sizeof pairs / sizeof *pairs;
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < count; j++) {
      struct uk_record_mark a = mark_of(pairs[i][0], pairs[i][1]);
      struct uk_record_mark b = mark_of(pairs[j][0], pairs[j][1]);
      if (!CHECK_EQ_INT(uk_record_mark_equal(&a, &b), i == j))
        fprintf(stderr, "  %zu %zu\n", i, j);
    }
  }
}

static void headers_count_in_their_order(void)
{
  const struct uk_record_header headers[] = {{uk_slice_text("a"), uk_slice_text("1")},
                                             {uk_slice_text("b"), uk_slice_text("2")},
                                             {uk_slice_text("a"), uk_slice_text("1")},
                                             {uk_slice_text("1"), uk_slice_text("a")}};
  const struct {
    size_t from, count;
  } sets[] = {{0, 0}, {0, 1}, {0, 2}, {1, 2}, {0, 3}, {3, 1}};
  struct uk_record_mark marks[sizeof sets / sizeof *sets];
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    struct uk_record record = record_of("key", "value");
    record.headers = headers + sets[i].from;
    record.header_count = sets[i].count;
    marks[i] = uk_record_mark_of(&record);
    for (size_t j = 0; j < i; j++)
      CHECK(!uk_record_mark_equal(&marks[i], &marks[j]));
  }
}

/* Every byte counts, at every length. */
static void each_byte_counts(void)
{
  char text[101];
  for (size_t length = 1; length < sizeof text; length++) {
    memset(text, 'x', length);
    text[length] = '\0';
    struct uk_record_mark plain = mark_of("key", text);
    for (size_t i = 0; i < length; i++) {
      text[i] = 'y';
      struct uk_record_mark other = mark_of("key", text);
      CHECK(!uk_record_mark_equal(&plain, &other));
      if (i >= 32) { /* the same change in another lane or block is another one */
        text[i] = 'x';
        text[i - 8] = 'y';
        struct uk_record_mark moved = mark_of("key", text);
        CHECK(!uk_record_mark_equal(&other, &moved));
        text[i - 8] = 'x';
        text[i - 32] = 'y';
        moved = mark_of("key", text);
        CHECK(!uk_record_mark_equal(&other, &moved));
        text[i - 32] = 'x';
      }
      text[i] = 'x';
    }
  }
}

/* Verdicts. The position is 10, so the record before it is at 9. */

enum { X = -1 }; /* not seen */

static const struct {
  bool known, same; /* the mark of the position; whether the record seen has it */
  int64_t offset, ended_at, first, end;
  enum uk_record_verdict verdict;
  bool needs_range;
} verdicts[] = {
  /* In its place. */
  {true, true, 9, X, X, X, UK_RECORD_IN_PLACE, false},
  {false, false, 9, X, X, X, UK_RECORD_IN_PLACE, false},
  /* Another one. */
  {true, false, 9, X, X, X, UK_RECORD_UNCLEAR, true},
  {true, false, 9, X, 0, 20, UK_RECORD_OTHER, true},
  {true, false, 9, X, 0, 10, UK_RECORD_OTHER, true},
  {true, false, 9, X, 15, 20, UK_RECORD_OTHER, true},
  /* None: removed by compaction, or only records that are no messages follow. */
  {true, false, 10, X, X, X, UK_RECORD_IN_PLACE, false},
  {true, false, 15, X, X, X, UK_RECORD_IN_PLACE, false},
  {true, false, X, 10, X, X, UK_RECORD_IN_PLACE, false},
  {true, false, X, 12, X, X, UK_RECORD_IN_PLACE, false},
  /* The partition ends there, or the offset is out of range. */
  {true, false, X, 9, X, X, UK_RECORD_UNCLEAR, true},
  {true, false, X, 9, 0, 9, UK_RECORD_OTHER, true},
  {true, false, X, X, 0, 3, UK_RECORD_OTHER, true},
  {true, false, X, X, 0, 9, UK_RECORD_OTHER, true},
  {false, false, X, X, 0, 9, UK_RECORD_OTHER, true},
  {true, false, X, X, 3, 3, UK_RECORD_OTHER, true},
  /* Retention. */
  {true, false, X, X, 10, 10, UK_RECORD_IN_PLACE, true},
  {true, false, X, X, 10, 20, UK_RECORD_IN_PLACE, true},
  {true, false, X, X, 11, 20, UK_RECORD_REMOVED, true},
  {false, false, X, X, 20, 20, UK_RECORD_REMOVED, true},
  /* It changed meanwhile. */
  {true, false, X, 9, 0, 10, UK_RECORD_UNCLEAR, true},
  {true, false, X, X, 9, 20, UK_RECORD_UNCLEAR, true},
  {true, false, X, X, 0, X, UK_RECORD_UNCLEAR, true},
  {true, false, X, X, X, 3, UK_RECORD_UNCLEAR, true},
};

static void a_position_is_judged_by_the_record_before_it(void)
{
  for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
    struct uk_record_mark mark = mark_of("key", "value");
    struct uk_record_sighting seen = {.offset = verdicts[i].offset,
                                      .mark = verdicts[i].same ? mark : mark_of("key", "other"),
                                      .ended_at = verdicts[i].ended_at,
                                      .first = verdicts[i].first,
                                      .end = verdicts[i].end};
    mark.known = verdicts[i].known;
    bool good = CHECK_EQ_INT(uk_record_judge(&mark, 10, &seen), verdicts[i].verdict);
    if (!CHECK_EQ_INT(uk_record_judge_needs_range(&mark, 10, &seen), verdicts[i].needs_range) ||
        !good)
      fprintf(stderr, "  row %zu\n", i);
  }
}

static void a_look_is_trusted_for_a_millisecond_per_thousand_records(void)
{
  CHECK_EQ_INT(uk_record_trust(0), 0);
  CHECK_EQ_INT(uk_record_trust(999), 0);
  CHECK_EQ_INT(uk_record_trust(1000), 1);
  CHECK_EQ_INT(uk_record_trust(999999), 999);
  CHECK_EQ_INT(uk_record_trust(1000000), 1000);
  CHECK_EQ_INT(uk_record_trust(INT64_MAX), 1000);
}

int main(void)
{
  CHECK_RUN(checksums_stay_as_they_are);
  CHECK_RUN(equal_records_have_equal_marks);
  CHECK_RUN(each_part_counts);
  CHECK_RUN(headers_count_in_their_order);
  CHECK_RUN(each_byte_counts);
  CHECK_RUN(a_position_is_judged_by_the_record_before_it);
  CHECK_RUN(a_look_is_trusted_for_a_millisecond_per_thousand_records);
  return check_end();
}
