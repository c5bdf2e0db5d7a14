/* for: kafka_tail_cache.c
 *
 * The copies of the last records of a partition. */
#include "server/kafka_engine/fetch/kafka_tail_cache.h"

#include <stdlib.h>

#include "check.h"
#include "fault.h"

enum { PLENTY = 1 << 20 };

static const struct uk_record_header headers[] = {{{"lang", 4}, {"en", 2}},
                                                  {{"empty", 5}, {"", 0}}};

/* Its bytes are overwritten by the next one. */
static const struct uk_record *record(int64_t offset)
{
  static char text[32];
  static struct uk_record made;
  snprintf(text, sizeof text, "value %lld", (long long)offset);
  made = (struct uk_record){.topic = uk_slice_text("topic"),
                            .partition = 3,
                            .offset = offset,
                            .timestamp = 1000 + offset,
                            .has_key = true,
                            .has_value = true,
                            .key = uk_slice_text("key"),
                            .value = uk_slice_text(text),
                            .headers = headers,
                            .header_count = 2};
  return &made;
}

struct seen {
  size_t count, most;
  int64_t first, last;
};

static bool see(void *argument, const struct uk_record *got)
{
  struct seen *seen = argument;
  char value[32];
  if (seen->count == seen->most)
    return false;
  if (seen->count++ == 0)
    seen->first = got->offset;
  seen->last = got->offset;
  snprintf(value, sizeof value, "value %lld", (long long)got->offset);
  CHECK_EQ_SLICE(got->topic, "topic");
  CHECK_EQ_SLICE(got->key, "key");
  CHECK_EQ_SLICE(got->value, value);
  CHECK_EQ_INT(got->partition, 3);
  CHECK_EQ_INT(got->timestamp, 1000 + got->offset);
  CHECK_EQ_INT(got->header_count, 2);
  CHECK_EQ_SLICE(got->headers[0].key, "lang");
  CHECK_EQ_SLICE(got->headers[0].value, "en");
  CHECK_EQ_SLICE(got->headers[1].key, "empty");
  CHECK_EQ_SLICE(got->headers[1].value, "");
  return true;
}

static struct seen look(const struct uk_kafka_tail_cache *tail, int64_t offset, size_t most)
{
  struct seen seen = {.most = most, .first = -1, .last = -1};
  uk_kafka_tail_cache_each(tail, offset, see, &seen);
  return seen;
}

static void returns_records_from_an_offset(void)
{
  struct uk_kafka_tail_cache tail;
  uk_kafka_tail_cache_init(&tail, 10);
  CHECK(!uk_kafka_tail_cache_has(&tail, 0));
  for (int64_t offset = 10; offset < 20; offset += offset == 14 ? 3 : 1)
    uk_kafka_tail_cache_add(&tail, record(offset), PLENTY);
  CHECK_EQ_INT(tail.from, 10);
  CHECK_EQ_INT(tail.end, 20);
  CHECK(uk_kafka_tail_cache_has(&tail, 19) && !uk_kafka_tail_cache_has(&tail, 20));
  struct seen all = look(&tail, 10, SIZE_MAX), rest = look(&tail, 15, SIZE_MAX);
  CHECK_EQ_INT(all.count, 8);
  CHECK_EQ_INT(rest.first, 17);
  CHECK_EQ_INT(rest.last, 19);
  CHECK_EQ_INT(look(&tail, 20, SIZE_MAX).count, 0);
  CHECK_EQ_INT(look(&tail, 10, 3).count, 3);
  uk_kafka_tail_cache_clear(&tail);
  CHECK_EQ_INT(tail.bytes, 0);
  CHECK_EQ_INT(tail.from, 20);
}

static void drops_the_oldest_beyond_its_size(void)
{
  struct uk_kafka_tail_cache tail;
  uk_kafka_tail_cache_init(&tail, 100);
  for (int64_t offset = 100; offset < 200; offset++) {
    uk_kafka_tail_cache_add(&tail, record(offset), 2000);
    CHECK(tail.bytes <= 2000);
    CHECK_EQ_INT(tail.end, offset + 1);
    struct seen seen = look(&tail, 0, SIZE_MAX);
    CHECK_EQ_INT(seen.first, tail.from);
    CHECK_EQ_INT(seen.last, offset);
  }
  CHECK(tail.from > 190 && tail.from < 199);
  uk_kafka_tail_cache_clear(&tail);
}

static void keeps_records_that_just_fit(void)
{
  struct uk_kafka_tail_cache tail;
  uk_kafka_tail_cache_init(&tail, 10);
  uk_kafka_tail_cache_add(&tail, record(10), PLENTY);
  size_t one = tail.bytes;
  uk_kafka_tail_cache_add(&tail, record(11), 2 * one);
  CHECK_EQ_INT(tail.from, 10);
  CHECK_EQ_INT(tail.bytes, 2 * one);
  uk_kafka_tail_cache_add(&tail, record(12), 3 * one - 1);
  CHECK_EQ_INT(tail.from, 11);
  uk_kafka_tail_cache_add(&tail, record(13), one); /* as large as the cache */
  CHECK_EQ_INT(tail.from, 13);
  CHECK(uk_kafka_tail_cache_has(&tail, 13));
  uk_kafka_tail_cache_add(&tail, record(14), one - 1);
  CHECK_EQ_INT(tail.from, 15);
  uk_kafka_tail_cache_clear(&tail);
}

static size_t size_of(const struct uk_record *kept)
{
  struct uk_kafka_tail_cache tail;
  uk_kafka_tail_cache_init(&tail, 0);
  uk_kafka_tail_cache_add(&tail, kept, PLENTY);
  size_t bytes = tail.bytes;
  uk_kafka_tail_cache_clear(&tail);
  return bytes;
}

/* Each byte of a record, and each header. */
static void everything_that_is_copied_counts(void)
{
  struct uk_record_header changed[3] = {headers[0], headers[1], {{"h", 1}, {"v", 1}}};
  struct uk_record longer = *record(0);
  size_t plain = size_of(&longer);
  longer.topic = uk_slice_text("topic4444");
  CHECK_EQ_INT(size_of(&longer), plain + 4);
  longer.key = uk_slice_text("key22");
  CHECK_EQ_INT(size_of(&longer), plain + 4 + 2);
  longer.value = uk_slice_text("value 0, and more");
  CHECK_EQ_INT(size_of(&longer), plain + 4 + 2 + strlen(", and more"));
  plain = size_of(&longer);
  longer.headers = changed;
  changed[0].key = uk_slice_text("language");
  CHECK_EQ_INT(size_of(&longer), plain + 4);
  changed[1].value = uk_slice_text("no more");
  CHECK_EQ_INT(size_of(&longer), plain + 4 + 7);
  longer.header_count = 3;
  CHECK_EQ_INT(size_of(&longer), plain + 4 + 7 + sizeof changed[0] + 2);
}

/* The giver of the record may overwrite every byte of it. */
static void everything_is_copied(void)
{
  char topic[] = "topic", key[] = "key", value[] = "value 0", name[] = "lang", text[] = "en";
  struct uk_record_header own[] = {{uk_slice_text(name), uk_slice_text(text)}, headers[1]};
  struct uk_record given = *record(0);
  struct uk_kafka_tail_cache tail;
  given.topic = uk_slice_text(topic);
  given.key = uk_slice_text(key);
  given.value = uk_slice_text(value);
  given.headers = own;
  uk_kafka_tail_cache_init(&tail, 0);
  uk_kafka_tail_cache_add(&tail, &given, PLENTY);
  memset(topic, '-', strlen(topic));
  memset(key, '-', strlen(key));
  memset(value, '-', strlen(value));
  memset(name, '-', strlen(name));
  memset(text, '-', strlen(text));
  own[0] = own[1] = (struct uk_record_header){{"", 0}, {"", 0}};
  CHECK_EQ_INT(look(&tail, 0, SIZE_MAX).count, 1);
  uk_kafka_tail_cache_clear(&tail);
}

static void a_record_that_is_too_large_leaves_nothing(void)
{
  struct uk_kafka_tail_cache tail;
  uk_kafka_tail_cache_init(&tail, 5);
  uk_kafka_tail_cache_add(&tail, record(5), PLENTY);
  uk_kafka_tail_cache_add(&tail, record(6), 10);
  CHECK_EQ_INT(tail.bytes, 0);
  CHECK_EQ_INT(tail.from, 7);
  CHECK_EQ_INT(tail.end, 7);
  CHECK(!uk_kafka_tail_cache_has(&tail, 5));
  uk_kafka_tail_cache_add(&tail, record(7), PLENTY);
  CHECK_EQ_INT(look(&tail, 0, SIZE_MAX).count, 1);
  uk_kafka_tail_cache_clear(&tail);
}

static void a_record_without_memory_counts_as_too_large(void)
{
  struct uk_kafka_tail_cache tail;
  long live = fault_live();
  uk_kafka_tail_cache_init(&tail, 0);
  uk_kafka_tail_cache_add(&tail, record(0), PLENTY);
  fault_at(1);
  uk_kafka_tail_cache_add(&tail, record(1), PLENTY);
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(tail.from, 2);
  CHECK_EQ_INT(tail.end, 2);
  CHECK(uk_list_is_empty(&tail.records));
  CHECK_EQ_INT(fault_live(), live);
}

int main(void)
{
  CHECK_RUN(returns_records_from_an_offset);
  CHECK_RUN(drops_the_oldest_beyond_its_size);
  CHECK_RUN(keeps_records_that_just_fit);
  CHECK_RUN(everything_that_is_copied_counts);
  CHECK_RUN(everything_is_copied);
  CHECK_RUN(a_record_that_is_too_large_leaves_nothing);
  CHECK_RUN(a_record_without_memory_counts_as_too_large);
  return check_end();
}
