/* produce_answer: the results of a produce in few bytes, so that they can be kept for its key.
 *
 * Records that follow each other with consecutive offsets in one partition, one timestamp and no
 * error, or with the same error, form a run of UK_PRODUCE_RUN_BYTES bytes, integers big-endian:
 *
 *   u32 records, i32 partition, u32 HTTP status of the error (0: stored), i64 offset of the first
 *   record, i64 timestamp
 *
 * Topics are not in it: a key belongs to one request, which has the same topics each time. */
#ifndef UK_PRODUCE_ANSWER_H
#define UK_PRODUCE_ANSWER_H

#include "common/buffer.h"
#include "server/engine/engine.h"

enum { UK_PRODUCE_RUN_BYTES = 28 };

/* Appends the results of all records. The buffer's error says whether memory ran out. */
void uk_produce_answer_write(struct uk_buffer *buffer, const struct uk_produce *produce);

/* Sets the results of all records; the reason of a failure is not kept. False, and nothing is set,
 * if the answer is not one for that many records. */
bool uk_produce_answer_read(struct uk_slice answer, struct uk_produce *produce);

#endif
