/* for: sender_queue.c, sender_record.c. Records leave the ring unchanged and in order, whatever
 * their sizes, and no more enter than fit. */
#include <stdlib.h>

#include "check.h"
#include "client/sender/sender_queue.h"

static struct uk_message message_of(const char *value, size_t length)
{
  return (struct uk_message){
    .topic = {"t", 1}, .value = {value, length}, .partition = -1, .timestamp = 7};
}

static bool put(struct uk_sender_queue *queue, const struct uk_message *message,
                struct uk_slice headers)
{
  const size_t size = uk_sender_record_size(message, headers.length);
  struct uk_sender_record *record = uk_sender_queue_reserve(queue, size);
  if (record == NULL)
    return false;
  uk_sender_record_write(record, size, message, headers);
  uk_sender_queue_commit(queue, record);
  return true;
}

static void keeps_every_part(void)
{
  struct uk_sender_queue queue;
  struct uk_buffer headers;
  struct uk_message message = {.topic = {"topic", 5},
                               .key = {"", 0},
                               .value = {"v\0w", 3},
                               .partition = 3,
                               .timestamp = INT64_MAX},
                    got;
  struct uk_slice key, value;
  REQUIRE(uk_sender_queue_init(&queue, 4096));
  uk_buffer_init(&headers, 1000);
  uk_sender_header_pack(&headers, uk_slice_text("a"), uk_slice_text(""));
  uk_sender_header_pack(&headers, uk_slice_text(""), uk_slice_text("b"));
  CHECK(put(&queue, &message, uk_buffer_slice(&headers)));
  struct uk_slice packed = uk_sender_record_read(uk_sender_queue_first(&queue), &got);
  CHECK_EQ_SLICE(got.topic, "topic");
  CHECK(got.key.data != NULL);
  CHECK_EQ_INT(got.key.length, 0);
  CHECK_EQ_MEM(got.value.data, got.value.length, "v\0w", 3);
  CHECK_EQ_INT(got.partition, 3);
  CHECK(got.timestamp == INT64_MAX);
  CHECK(uk_sender_header_next(&packed, &key, &value));
  CHECK_EQ_SLICE(key, "a");
  CHECK_EQ_INT(value.length, 0);
  CHECK(uk_sender_header_next(&packed, &key, &value));
  CHECK_EQ_INT(key.length, 0);
  CHECK_EQ_SLICE(value, "b");
  CHECK(!uk_sender_header_next(&packed, &key, &value));
  uk_buffer_free(&headers);
  uk_sender_queue_free(&queue);
}

static void distinguishes_absent_from_empty(void)
{
  struct uk_sender_queue queue;
  struct uk_message message = {.topic = {"t", 1}, .partition = -1, .timestamp = 1}, got;
  REQUIRE(uk_sender_queue_init(&queue, 4096));
  CHECK(put(&queue, &message, uk_slice_of(NULL, 0)));
  uk_sender_record_read(uk_sender_queue_first(&queue), &got);
  CHECK(got.key.data == NULL);
  CHECK(got.value.data == NULL);
  CHECK_EQ_INT(got.partition, -1);
  uk_sender_queue_free(&queue);
}

/* A record as large as the queue fits an empty queue, wherever its ends are. One more byte never
 * fits. */
static void accepts_records_that_fit(void)
{
  static char bytes[4096];
  struct uk_sender_queue queue;
  struct uk_message small = message_of(bytes, 100), large = message_of(bytes, 0);
  const size_t head = uk_sender_record_size(&large, 0);
  REQUIRE(uk_sender_queue_init(&queue, sizeof bytes));
  large.value.length = sizeof bytes - head + 7 - (head + 7) % 8;
  while (uk_sender_record_size(&large, 0) > sizeof bytes)
    large.value.length--;
  for (int i = 0; i < 5; i++) {
    CHECK(put(&queue, &small, uk_slice_of(NULL, 0)));
    CHECK(!put(&queue, &large, uk_slice_of(NULL, 0)));
    uk_sender_queue_drop(&queue);
    CHECK(put(&queue, &large, uk_slice_of(NULL, 0)));
    CHECK_EQ_INT(queue.used, sizeof bytes);
    CHECK(!put(&queue, &small, uk_slice_of(NULL, 0)));
    uk_sender_queue_drop(&queue);
    CHECK_EQ_INT(queue.used, 0);
  }
  uk_sender_queue_free(&queue);
}

/* Room at the front of the memory, before the oldest record: for a record that just fits, and for
 * one that does not. */
static void accepts_records_that_fit_in_front(void)
{
  static char bytes[4096];
  struct uk_message quarter = message_of(bytes, 0), more;
  const size_t head = uk_sender_record_size(&quarter, 0);
  quarter.value.length = sizeof bytes / 4 - head;
  CHECK_EQ_INT(uk_sender_record_size(&quarter, 0), sizeof bytes / 4);
  for (size_t extra = 0; extra < 2; extra++) {
    struct uk_sender_queue queue;
    REQUIRE(uk_sender_queue_init(&queue, sizeof bytes));
    for (int i = 0; i < 3; i++)
      CHECK(put(&queue, &quarter, uk_slice_of(NULL, 0)));
    uk_sender_queue_drop(&queue); /* one quarter at each end is free */
    uk_sender_queue_drop(&queue);
    more = quarter;
    more.value.length = sizeof bytes / 2 - head + extra * UK_RECORD_ALIGNMENT;
    CHECK_EQ_INT(put(&queue, &more, uk_slice_of(NULL, 0)), extra == 0);
    CHECK_EQ_INT(queue.used, extra == 0 ? sizeof bytes : sizeof bytes / 4);
    uk_sender_queue_free(&queue);
  }
}

/* Packed headers: each key and value has a length of its own, and both may be empty. */
static void unpacks_headers(void)
{
  static const char *const parts[] = {"ab", "cde", "", "f", "g", "", "hi", "jklm", "", ""};
  struct uk_buffer headers;
  struct uk_slice key, value;
  uk_buffer_init(&headers, 1000);
  for (size_t i = 0; i < 10; i += 2)
    uk_sender_header_pack(&headers, uk_slice_text(parts[i]), uk_slice_text(parts[i + 1]));
  struct uk_slice packed = uk_buffer_slice(&headers);
  for (size_t i = 0; i < 10; i += 2) {
    REQUIRE(uk_sender_header_next(&packed, &key, &value));
    CHECK_EQ_SLICE(key, parts[i]);
    CHECK_EQ_SLICE(value, parts[i + 1]);
  }
  CHECK_EQ_INT(packed.length, 0);
  CHECK(!uk_sender_header_next(&packed, &key, &value));
  /* One that no record can hold; its bytes are not read. */
  const struct uk_slice large = uk_slice_of("", (size_t)UK_RECORD_MAX + 1),
                        small = uk_slice_text("");
  for (int i = 0; i < 2; i++) {
    uk_buffer_clear(&headers);
    uk_sender_header_pack(&headers, i == 0 ? large : small, i == 0 ? small : large);
    CHECK_EQ_INT(headers.error, UK_E_TOO_LARGE);
  }
  uk_buffer_free(&headers);
}

/* Every part counts. Only the sizes are read here, not the bytes. */
static void a_record_may_be_as_large_as_its_limit(void)
{
  for (int part = 0; part < 3; part++) {
    struct uk_message message = message_of("", 1);
    const size_t room = UK_RECORD_MAX - uk_sender_record_size(&message, 0);
    const size_t head = uk_sender_record_size(&message, 0);
    struct uk_slice *slice = part == 0 ? &message.key : &message.value;
    size_t headers = 0, *length = part == 2 ? &headers : &slice->length;
    *length = room; /* and what the alignment leaves free */
    while (uk_sender_record_size(&message, headers) != 0)
      ++*length;
    CHECK(*length > room && *length <= room + head);
    --*length;
    CHECK_EQ_INT(uk_sender_record_size(&message, headers), UK_RECORD_MAX);
    CHECK_EQ_INT(sizeof(struct uk_sender_record) + message.topic.length + message.key.length +
                   message.value.length + headers,
                 UK_RECORD_MAX);
  }
}

static void refuses_records_that_are_too_large(void)
{
  struct uk_message message = message_of("", UK_RECORD_MAX);
  CHECK_EQ_INT(uk_sender_record_size(&message, 0), 0);
  CHECK_EQ_INT(uk_sender_record_size(&message, SIZE_MAX), 0);
  message.value.length = 0;
  message.topic.length = UINT16_MAX + 1;
  CHECK_EQ_INT(uk_sender_record_size(&message, 0), 0);
}

/* Against a model. */

enum { STEPS = 200000, CAPACITY = 3000, SIZE_LIMIT = 900 };

static uint32_t chance(void)
{
  static uint32_t state = 1;
  state = state * 1664525 + 1013904223;
  return state >> 8;
}

/* The length of the nth message, which repeats one letter. */
static size_t length_of(uint64_t sequence)
{
  return (size_t)(sequence * 2654435761U % SIZE_LIMIT);
}

static bool put_next(struct uk_sender_queue *queue)
{
  char value[SIZE_LIMIT];
  const struct uk_message message = message_of(value, length_of(queue->sequence));
  memset(value, 'a' + (int)(queue->sequence % 26), sizeof value);
  return put(queue, &message, uk_slice_of(NULL, 0));
}

static void check_record(const struct uk_sender_record *record, uint64_t sequence)
{
  struct uk_message message;
  uk_sender_record_read(record, &message);
  CHECK(record->sequence == sequence);
  CHECK(message.value.length == length_of(sequence));
  for (size_t i = 0; i < message.value.length; i++)
    if (!CHECK(message.value.data[i] == 'a' + (int)(sequence % 26)))
      return;
}

/* Reads some records while others are added. */
static void read_run(struct uk_sender_queue *queue)
{
  struct uk_queue_reader reader;
  const struct uk_sender_record *record;
  uint64_t sequence = uk_sender_queue_oldest(queue);
  uk_queue_reader_open(&reader, queue);
  for (uint32_t left = chance() % 8; left > 0 && (record = uk_queue_reader_next(&reader)) != NULL;
       left--) {
    check_record(record, sequence++);
    uk_queue_reader_pass(&reader, record);
    if (chance() % 2 == 0)
      put_next(queue);
  }
  uk_queue_reader_close(&reader, queue);
  CHECK(uk_sender_queue_oldest(queue) == sequence);
}

static void is_a_queue(void)
{
  struct uk_sender_queue queue;
  uint64_t wraps = 0;
  REQUIRE(uk_sender_queue_init(&queue, CAPACITY));
  for (int step = 0; step < STEPS; step++) {
    const uint32_t what = chance() % 8;
    if (what < 5)
      wraps += !put_next(&queue);
    else if (what < 7)
      read_run(&queue);
    else if (queue.messages > 0) {
      check_record(uk_sender_queue_first(&queue), uk_sender_queue_oldest(&queue));
      uk_sender_queue_drop(&queue);
    }
    if (!CHECK(queue.used <= queue.capacity))
      break;
  }
  CHECK(wraps > 100);
  while (queue.messages > 0)
    uk_sender_queue_drop(&queue);
  CHECK(uk_sender_queue_first(&queue) == NULL);
  uk_sender_queue_free(&queue);
}

/* The number of pages that the process has mapped. */
static long mapped(void)
{
  long pages = -1;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld", &pages) != 1)
    pages = -1;
  if (file != NULL)
    fclose(file);
  return pages;
}

static void frees_its_memory(void)
{
  struct uk_sender_queue queue;
  const long before = mapped();
  REQUIRE(uk_sender_queue_init(&queue, 1 << 30));
  CHECK(mapped() >= before + (1 << 30) / 65536); /* the largest page size */
  uk_sender_queue_free(&queue);
  CHECK(queue.memory == NULL);
  uk_sender_queue_free(&queue);
  CHECK(mapped() <= before + 64);
}

int main(void)
{
  CHECK_RUN(keeps_every_part);
  CHECK_RUN(distinguishes_absent_from_empty);
  CHECK_RUN(accepts_records_that_fit);
  CHECK_RUN(accepts_records_that_fit_in_front);
  CHECK_RUN(unpacks_headers);
  CHECK_RUN(a_record_may_be_as_large_as_its_limit);
  CHECK_RUN(refuses_records_that_are_too_large);
  CHECK_RUN(is_a_queue);
  CHECK_RUN(frees_its_memory);
  return check_end();
}
