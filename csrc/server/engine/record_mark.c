#include "server/engine/record_mark.h"

enum {
  RECORDS_PER_MS = 1000, /* more than any one partition takes */
  TRUST_MOST = 1000      /* milliseconds */
};

/* Checksum. */

static uint64_t add_word(uint64_t sum, uint64_t word)
{
  sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return sum ^ sum >> 32;
}

static uint64_t add_bytes(uint64_t sum, struct uk_slice bytes)
{
  const unsigned char *data = (const unsigned char *)bytes.data;
  size_t i = 0;
  sum = add_word(sum, bytes.length);
  for (; i + 8 <= bytes.length; i += 8) {
    const unsigned char *at = data + i;
    sum = add_word(sum, (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
                          (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 |
                          (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56);
  }
  uint64_t rest = 0;
  for (size_t shift = 0; i < bytes.length; i++, shift += 8)
    rest |= (uint64_t)data[i] << shift;
  return add_word(sum, rest);
}

static uint64_t checksum(const struct uk_record *record)
{
  uint64_t sum = add_word(0, (uint64_t)record->has_key << 1 | (uint64_t)record->has_value);
  sum = add_bytes(sum, record->has_key ? record->key : uk_slice_text(""));
  sum = add_bytes(sum, record->has_value ? record->value : uk_slice_text(""));
  for (size_t i = 0; i < record->header_count; i++)
    sum = add_bytes(add_bytes(sum, record->headers[i].key), record->headers[i].value);
  return add_word(sum, record->header_count);
}

struct uk_record_mark uk_record_mark_of(const struct uk_record *record)
{
  return (struct uk_record_mark){
    .known = true, .timestamp = record->timestamp, .checksum = checksum(record)};
}

bool uk_record_mark_equal(const struct uk_record_mark *a, const struct uk_record_mark *b)
{
  return a->known && b->known && a->timestamp == b->timestamp && a->checksum == b->checksum;
}

/* Verdict. */

static bool is_at_place(int64_t position, const struct uk_record_sighting *seen)
{
  return seen->offset == position - 1;
}

static bool is_other(const struct uk_record_mark *mark, const struct uk_record_sighting *seen)
{
  return mark->known && !uk_record_mark_equal(mark, &seen->mark);
}

bool uk_record_judge_needs_range(const struct uk_record_mark *mark, int64_t position,
                                 const struct uk_record_sighting *seen)
{
  if (is_at_place(position, seen))
    return is_other(mark, seen);
  return seen->offset < position && seen->ended_at < position;
}

enum uk_record_verdict uk_record_judge(const struct uk_record_mark *mark, int64_t position,
                                       const struct uk_record_sighting *seen)
{
  if (!uk_record_judge_needs_range(mark, position, seen))
    return UK_RECORD_IN_PLACE;
  if (seen->first == UK_RECORD_UNSEEN || seen->end == UK_RECORD_UNSEEN)
    return UK_RECORD_UNCLEAR;
  if (seen->end < position || is_at_place(position, seen))
    return UK_RECORD_OTHER;
  if (seen->first > position)
    return UK_RECORD_REMOVED;
  return seen->first == position ? UK_RECORD_IN_PLACE : UK_RECORD_UNCLEAR;
}

int64_t uk_record_trust(int64_t position)
{
  int64_t trust = position / RECORDS_PER_MS;
  return trust < TRUST_MOST ? trust : TRUST_MOST;
}
