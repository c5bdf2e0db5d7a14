/* log_batch: records of one partition that were written together, as bytes on disk. Pure functions.
 *
 * Version 2. Integers are big-endian; varints are little-endian groups of seven bits, 64 bits at
 * most.
 *
 *   0   u8   version = 2
 *   1   u8   attributes: 1 = the greatest timestamp is the server's clock's
 *   2   u16  zero
 *   4   u32  CRC-32C of the batch's key (u64 topic id, u32 partition, u64 base offset), of bytes 0
 *            to 3 and of 8 to the end
 *   8   u32  number of records
 *   12  i64  base timestamp: the first record's
 *   20  i64  greatest timestamp
 *   28  u64  position: the bytes of all earlier batches of this partition
 *   36  i64  arrival: when the batch was written, by the server's clock (log_clock.h)
 *   44  u32  span: how many offsets the batch covers, from its base offset on
 *   48  u32  number of the log's life that wrote the batch (log_store.h)
 *   52  records, each:
 *         varint  length of the record after this varint
 *         u8      flags: 1 key, 2 value (a null value without it), 4 headers, 8 gap
 *         varint  timestamp - base timestamp, zigzag
 *         with 8: varint: how many offsets are missing before this record
 *         with 1: varint length, key;  with 2: varint length, value
 *         with 4: varint count (>= 1), for each: varint length, key, varint length, value
 *
 * The base offset is in the key of the batch. A record's offset is that of the record before it
 * plus one, or the base offset, plus the gap. Offsets may be missing at the end of the span too. A
 * batch with span 0 is the marker that keeps the end of an emptied partition.
 *
 * Version 1 has no attributes, no key in its checksum, nothing from 36 to 51 and no gaps: its
 * records begin at 36, and their number is its span. It is read, never written.
 *
 * To change the format: a new layout takes the next version, and the decoder keeps reading every
 * version that a released writer wrote. It treats a version that it does not know as damage. A
 * program that meets such a version must have refused the log: so the log's format number
 * (log_store.h) changes with it. */
#ifndef UK_LOG_BATCH_H
#define UK_LOG_BATCH_H

#include "common/buffer.h"
#include "server/engine/engine.h"

enum {
  UK_LOG_BATCH_VERSION = 2,
  UK_LOG_BATCH_HEADER = 52,
  UK_LOG_BATCH_BYTES = 16 * 4096 - 16, /* 16 LMDB pages with their one page header */
  UK_LOG_RECORD_BYTES_MAX = 1 << 30    /* a larger record than a batch has a batch of its own */
};

/* The bytes that count against limits: key, value, and the keys and values of the headers. */
size_t uk_log_record_bytes(const struct uk_record *record);

/* Where a batch lies: its key. */
struct uk_log_place {
  uint64_t topic_id;
  int32_t partition;
  int64_t offset; /* the base offset */
};

struct uk_log_builder {
  struct uk_buffer bytes; /* header and records; empty while count is 0 */
  uint32_t count;
  int64_t base_timestamp, max_timestamp;
  bool stamped; /* the greatest timestamp is the server's clock's */
};

void uk_log_builder_init(struct uk_log_builder *builder);
void uk_log_builder_free(struct uk_log_builder *builder);
/* Keeps the memory, unless the batch was large. */
void uk_log_builder_clear(struct uk_log_builder *builder);

/* True when the record fits into the batch; an empty builder takes any record. */
bool uk_log_builder_fits(const struct uk_log_builder *builder, const struct uk_record *record,
                         int64_t timestamp);

/* Adds the record with this timestamp, which is the server's clock's when the record has none of
 * its own (-1). On UK_E_NO_MEMORY and UK_E_TOO_LARGE the builder is unchanged. */
enum uk_error uk_log_builder_add(struct uk_log_builder *builder, const struct uk_record *record,
                                 int64_t timestamp);

/* What a header says besides what the builder knows. */
struct uk_log_seal {
  struct uk_log_place place;
  uint64_t position;
  int64_t arrival; /* milliseconds since the epoch */
  uint32_t life;
  uint32_t missing; /* offsets behind the last record that the batch covers, too */
};

/* Fills in the header. The bytes live until the builder changes. Without records the batch is the
 * marker. Empty when memory is out. */
struct uk_slice uk_log_builder_seal(struct uk_log_builder *builder, const struct uk_log_seal *seal);

struct uk_log_batch;

/* Appends a copy of a batch that was verified, in version 2, under another seal; its arrival stays
 * if the batch has one. */
enum uk_error uk_log_batch_copy(struct uk_buffer *out, const struct uk_log_batch *batch,
                                struct uk_slice bytes, const struct uk_log_seal *seal);

/* The header. */
struct uk_log_batch {
  unsigned version;
  bool stamped;   /* the greatest timestamp is the server's clock's; false in version 1 */
  uint32_t count; /* records */
  uint32_t span;  /* offsets */
  int64_t base_timestamp, max_timestamp;
  uint64_t position;
  int64_t arrival; /* INT64_MAX in version 1: unknown */
  uint32_t life;   /* 0 in version 1 */
};

/* Reads the header alone, which proves nothing: the checksum is not looked at. False when the bytes
 * are too short or have an unknown version. */
bool uk_log_batch_read(struct uk_log_batch *batch, struct uk_slice bytes);

/* True when the batch is whole and lies under its own key (version 1: is whole). `batch` is its
 * header. */
bool uk_log_batch_verify(struct uk_log_batch *batch, const struct uk_log_place *place,
                         struct uk_slice bytes);

/* Iterates over the records of a batch. Keys, values and headers point into its bytes. */
struct uk_log_cursor {
  struct uk_log_batch batch;
  uint32_t index;       /* of the next record */
  int64_t offset;       /* the next record's, if no gap comes before it */
  int64_t first, limit; /* the batch's offsets: first to limit - 1 */
  const uint8_t *at, *end;
  struct uk_record_header headers[UK_HEADERS_PER_MESSAGE_MAX]; /* of the last record read */
};

/* False when the header, the version, the place or the checksum is wrong. */
bool uk_log_cursor_open(struct uk_log_cursor *cursor, const struct uk_log_place *place,
                        struct uk_slice bytes);

/* Skips the records below `offset`; it reads only their lengths and gaps. False when the bytes are
 * damaged. */
bool uk_log_cursor_seek(struct uk_log_cursor *cursor, int64_t offset);

enum uk_log_cursor_result { UK_LOG_CURSOR_DAMAGED, UK_LOG_CURSOR_RECORD, UK_LOG_CURSOR_END };

/* Sets everything in the record except topic and partition. Its headers live until the next
 * call. */
enum uk_log_cursor_result uk_log_cursor_next(struct uk_log_cursor *cursor,
                                             struct uk_record *record);

#endif
