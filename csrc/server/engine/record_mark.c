#include "server/engine/record_mark.h"

#include <endian.h>
#include <string.h>

enum {
  WORD = 8,              /* bytes */
  LANES = 4,             /* words that are added side by side */
  RECORDS_PER_MS = 1000, /* more than any one partition takes */
  TRUST_MOST = 1000      /* milliseconds */
};

/* Checksum. */

/* A change here makes every stored mark another record's: positions would start again. */
static uint64_t add_word(uint64_t sum, uint64_t word)
{
  sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return sum ^ sum >> 32;
}

/* Little-endian, on every machine. */
static uint64_t word_at(const unsigned char *at)
{
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return le64toh(word);
}

static uint64_t add_rest(uint64_t sum, const unsigned char *data, size_t length)
{
  uint64_t rest = 0;
  for (; length >= WORD; data += WORD, length -= WORD)
    sum = add_word(sum, word_at(data));
  for (size_t i = 0; i < length; i++)
    rest |= (uint64_t)data[i] << 8 * i;
  return add_word(sum, rest);
}

/* Lanes do not wait for each other: a processor works on all of them at once. */
static uint64_t add_bytes(uint64_t sum, struct uk_slice bytes)
{
  const unsigned char *data = (const unsigned char *)bytes.data;
  size_t blocks = bytes.length / (LANES * WORD);
  sum = add_word(sum, bytes.length);
  uint64_t lanes[LANES] = {sum, sum + 1, sum + 2, sum + 3};
  for (size_t i = 0; i < blocks; i++) {
    for (size_t lane = 0; lane < LANES; lane++, data += WORD)
      lanes[lane] = add_word(lanes[lane], word_at(data));
  }
  for (size_t lane = 0; blocks > 0 && lane < LANES; lane++)
    sum = add_word(sum, lanes[lane]);
  return add_rest(sum, data, bytes.length % (LANES * WORD));
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
