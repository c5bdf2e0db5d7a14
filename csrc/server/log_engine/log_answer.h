/* log_answer: what a produce was answered, as bytes of the table `keys` (log_store.h). Pure
 * functions.
 *
 * Integers are big-endian; varints are those of log_bytes.h.
 *
 *   0   16 bytes: the request's fingerprint
 *   16  u64  when the key ends: the row of `expiries`
 *   24  i64  timestamp of the records that came without one
 *   32  runs, which cover the records in the order of the request, each:
 *         varint  2 * number of the place + 1 if there are several records, else + 0
 *         with several: varint: how many, less two
 *         for the first run of a place: varint topic id, varint partition, varint offset
 *
 * A place is a partition. Places are numbered from 0 in the order in which they first appear; the
 * records of one have consecutive offsets, because one transaction wrote them. The names of the
 * topics are in the request, which is the same. */
#ifndef UK_LOG_ANSWER_H
#define UK_LOG_ANSWER_H

#include "common/buffer.h"
#include "server/log_engine/log_topics.h"

enum {
  UK_LOG_ANSWER_HEADER = 32,
  UK_LOG_ANSWER_BYTES_MAX = 1 << 24, /* of an answer; 100,000 records have less than a tenth */
  UK_LOG_ANSWER_KEEP = 1 << 16       /* bytes that are kept between two answers */
};

struct uk_log_answer_writer {
  struct uk_buffer bytes;
  uint64_t number; /* of this answer: marks the partitions that are in it */
  uint32_t places, place;
  uint64_t run;                      /* records of `place` that are not written yet */
  const struct uk_log_staged *first; /* of them, if it is the place's first; else NULL */
};

void uk_log_answer_init(struct uk_log_answer_writer *writer);
void uk_log_answer_free(struct uk_log_answer_writer *writer);

/* Begins an answer. */
void uk_log_answer_begin(struct uk_log_answer_writer *writer, const uint8_t *fingerprint,
                         uint64_t end, int64_t timestamp);
/* Adds the next record. It lives until the answer has ended. */
void uk_log_answer_add(struct uk_log_answer_writer *writer, const struct uk_log_staged *record);
/* The answer's bytes; the caller may append to them. NULL when memory is out. */
struct uk_buffer *uk_log_answer_end(struct uk_log_answer_writer *writer);

/* The fields of an answer's header. Precondition: it has at least UK_LOG_ANSWER_HEADER bytes. */
uint64_t uk_log_answer_ends(struct uk_slice answer);
int64_t uk_log_answer_timestamp(struct uk_slice answer);
bool uk_log_answer_is_to(struct uk_slice answer, const uint8_t *fingerprint);

/* Where the next record of a place lies. */
struct uk_log_answer_place {
  uint64_t topic_id;
  int32_t partition;
  int64_t offset;
  bool is_first; /* of the answer in this place */
};

enum uk_log_answer_result { UK_LOG_ANSWER_OK, UK_LOG_ANSWER_DAMAGED, UK_LOG_ANSWER_NO_MEMORY };

/* Calls `each` for each of `count` records, until it returns false. DAMAGED when the bytes make no
 * sense or are about another number of records. `places` is scratch. */
enum uk_log_answer_result uk_log_answer_read(struct uk_slice answer, size_t count,
                                             struct uk_buffer *places,
                                             bool (*each)(void *argument, size_t index,
                                                          const struct uk_log_answer_place *place),
                                             void *argument);

#endif
