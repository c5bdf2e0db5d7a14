/* The batches of the embedded log: the bytes as they are, and under a valid checksum, which shows
 * what the reader itself refuses. */
#include "common/buffer.h"
#include "fuzz.h"
#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_bytes.h"
#include "server/log_engine/log_checksum.h"

static const struct uk_log_place PLACE = {.topic_id = 7, .partition = 3, .offset = 1000};

static struct uk_log_cursor cursor; /* large */

static void check_slice(struct uk_slice slice, struct uk_slice batch)
{
  if (slice.length == 0)
    return;
  FUZZ_REQUIRE(slice.data >= batch.data);
  FUZZ_REQUIRE(slice.data + slice.length <= batch.data + batch.length);
  fuzz_touch(slice.data, slice.length);
}

static void check_record(const struct uk_record *record, struct uk_slice batch)
{
  check_slice(record->key, batch);
  check_slice(record->value, batch);
  FUZZ_REQUIRE(record->header_count <= UK_HEADERS_PER_MESSAGE_MAX);
  for (size_t i = 0; i < record->header_count; i++) {
    check_slice(record->headers[i].key, batch);
    check_slice(record->headers[i].value, batch);
  }
}

/* Reads the records from that offset on. Returns their number, or -1 for damage. */
static int64_t count_from(struct uk_slice batch, int64_t offset)
{
  struct uk_record record;
  enum uk_log_cursor_result result;
  int64_t count = 0, last = offset - 1;
  if (!uk_log_cursor_open(&cursor, &PLACE, batch) || !uk_log_cursor_seek(&cursor, offset))
    return -1;
  while ((result = uk_log_cursor_next(&cursor, &record)) == UK_LOG_CURSOR_RECORD) {
    check_record(&record, batch);
    FUZZ_REQUIRE(record.offset > last);
    last = record.offset;
    count++;
  }
  return result == UK_LOG_CURSOR_END ? count : -1;
}

/* A batch that was verified is the same after it was copied. */
static void copy(struct uk_slice batch, int64_t count)
{
  struct uk_log_batch header;
  struct uk_buffer out;
  const struct uk_log_seal seal = {.place = PLACE, .position = 5, .arrival = 6, .life = 7};
  if (!uk_log_batch_read(&header, batch) || !uk_log_batch_verify(&header, &PLACE, batch))
    return;
  uk_buffer_init(&out, batch.length + UK_LOG_BATCH_HEADER);
  FUZZ_REQUIRE(uk_log_batch_copy(&out, &header, batch, &seal) == UK_OK);
  FUZZ_REQUIRE(count_from(uk_buffer_slice(&out), PLACE.offset) == count);
  uk_buffer_free(&out);
}

static void read_batch(struct uk_slice batch)
{
  const int64_t count = count_from(batch, PLACE.offset);
  if (count < 0)
    return;
  copy(batch, count);
  for (int64_t skip = 1; skip < 4; skip++) {
    const int64_t rest = count_from(batch, PLACE.offset + skip);
    FUZZ_REQUIRE(rest >= 0 && rest <= count && rest >= count - skip);
  }
}

static void seal(char *bytes, size_t size)
{
  uint8_t key[20];
  uint32_t sum = 0;
  uk_store_u64(key, PLACE.topic_id);
  uk_store_u32(key + 8, (uint32_t)PLACE.partition);
  uk_store_u64(key + 12, (uint64_t)PLACE.offset);
  if (bytes[0] != 1)
    sum = uk_log_checksum(0, key, sizeof key);
  sum = uk_log_checksum(sum, bytes, 4);
  sum = uk_log_checksum(sum, bytes + 8, size - 8);
  uk_store_u32((uint8_t *)bytes + 4, sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *bytes = fuzz_copy(data, size);
  read_batch(uk_slice_of(bytes, size));
  if (size >= 8) {
    seal(bytes, size);
    read_batch(uk_slice_of(bytes, size));
  }
  free(bytes);
  return 0;
}
