/* log_batch: records of one partition that were written together, as bytes on disk. Pure functions.
 *
 * Format 1. Integers are big-endian; varints are little-endian groups of seven bits, 64 bits at
 * most.
 *
 *   0   u8   version = 1
 *   1   u8   zero, three times
 *   4   u32  CRC-32C of bytes 0 to 3 and 8 to the end
 *   8   u32  number of records; 0 only in the marker that keeps the end of an emptied partition
 *   12  i64  base timestamp: the first record's
 *   20  i64  greatest timestamp
 *   28  u64  position: the bytes of all earlier batches of this partition
 *   36  records, each:
 *         varint  length of the record after this varint
 *         u8      flags: 1 key, 2 value (a null value without it), 4 headers
 *         varint  timestamp - base timestamp, zigzag
 *         with 1: varint length, key;  with 2: varint length, value
 *         with 4: varint count (>= 1), for each: varint length, key, varint length, value
 *
 * The base offset is in the key of the batch; the offsets in a batch have no gaps.
 *
 * To change the format: a new layout takes the next version, and the decoder keeps reading every
 * version that a released writer wrote. It treats a version that it does not know as damage. */
#ifndef UK_LOG_BATCH_H
#define UK_LOG_BATCH_H

#include "common/buffer.h"
#include "server/engine/engine.h"

enum {
  UK_LOG_BATCH_VERSION = 1,
  UK_LOG_BATCH_HEADER = 36,
  UK_LOG_BATCH_BYTES = 16 * 4096 - 16, /* 16 LMDB pages with their one page header */
  UK_LOG_RECORD_BYTES_MAX = 1 << 30    /* a larger record than a batch has a batch of its own */
};

/* The bytes that count against limits: key, value, and the keys and values of the headers. */
size_t uk_log_record_bytes(const struct uk_record *record);

struct uk_log_builder {
  struct uk_buffer bytes; /* header and records; empty while count is 0 */
  uint32_t count;
  int64_t base_timestamp, max_timestamp;
};

void uk_log_builder_init(struct uk_log_builder *builder);
void uk_log_builder_free(struct uk_log_builder *builder);
/* Keeps the memory, unless the batch was large. */
void uk_log_builder_clear(struct uk_log_builder *builder);

/* True when the record fits into the batch; an empty builder takes any record. */
bool uk_log_builder_fits(const struct uk_log_builder *builder, const struct uk_record *record,
                         int64_t timestamp);

/* On UK_E_NO_MEMORY and UK_E_TOO_LARGE the builder is unchanged. Ignores the record's own
 * timestamp. */
enum uk_error uk_log_builder_add(struct uk_log_builder *builder, const struct uk_record *record,
                                 int64_t timestamp);

/* Fills in the header. The bytes live until the builder changes. Without records the batch is the
 * marker. Empty when memory is out. */
struct uk_slice uk_log_builder_seal(struct uk_log_builder *builder, uint64_t position);

/* The header. */
struct uk_log_batch {
  uint32_t count;
  int64_t base_timestamp, max_timestamp;
  uint64_t position;
};

/* Reads the header alone. False when the bytes are too short or have another version. */
bool uk_log_batch_read(struct uk_log_batch *batch, struct uk_slice bytes);

/* Iterates over the records of a batch. Keys, values and headers point into its bytes. */
struct uk_log_cursor {
  struct uk_log_batch batch;
  uint32_t index; /* of the next record */
  const uint8_t *at, *end;
  struct uk_record_header headers[UK_HEADERS_PER_MESSAGE_MAX]; /* of the last record read */
};

/* False when the header, the version or the checksum is wrong. */
bool uk_log_cursor_open(struct uk_log_cursor *cursor, struct uk_slice bytes);

/* Skips up to `count` records; it reads only their lengths. False when the bytes are damaged. */
bool uk_log_cursor_skip(struct uk_log_cursor *cursor, uint64_t count);

enum uk_log_cursor_result { UK_LOG_CURSOR_DAMAGED, UK_LOG_CURSOR_RECORD, UK_LOG_CURSOR_END };

/* Sets everything in the record except topic, partition and offset. Its headers live until the next
 * call. */
enum uk_log_cursor_result uk_log_cursor_next(struct uk_log_cursor *cursor,
                                             struct uk_record *record);

#endif
