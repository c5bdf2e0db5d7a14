/* record_mark: recognises a record that was read before. Pure: no lock, no I/O.
 *
 * A topic that is deleted and created again gives the same offsets to other records, and so does a
 * log that lost its end. An offset therefore means something for one life of a topic only. A
 * position keeps the mark of the record before it. If that record is still in its place, so is
 * everything before the position; if another one is there, the position belongs to an earlier
 * life. */
#ifndef UK_RECORD_MARK_H
#define UK_RECORD_MARK_H

#include "server/engine/engine.h"

/* Zeroed: no record is known. */
struct uk_record_mark {
  bool known;
  int64_t timestamp;
  uint64_t checksum; /* of key, value and headers; the same on every machine */
};

struct uk_record_mark uk_record_mark_of(const struct uk_record *record);

/* True if both are known and of equal records. */
bool uk_record_mark_equal(const struct uk_record_mark *a, const struct uk_record_mark *b);

/* What a reader saw that looked for the record before a position. Offsets are UK_RECORD_UNSEEN
 * where nothing was seen. */
#define UK_RECORD_UNSEEN INT64_C(-1)
struct uk_record_sighting {
  int64_t offset;             /* of the first record at or after the one that was looked for */
  struct uk_record_mark mark; /* of that record */
  int64_t ended_at;           /* without a record: where the reader met the end */
  int64_t first, end;         /* of the partition, looked up after the reading */
};

enum uk_record_verdict {
  UK_RECORD_IN_PLACE, /* the position is valid */
  UK_RECORD_OTHER,    /* another life: the position means nothing */
  UK_RECORD_REMOVED,  /* the position lies below the first offset that is kept */
  UK_RECORD_UNCLEAR   /* what was seen does not fit together, or is not enough: look again */
};

/* Whether a position is still valid. `mark` is of the record before it; if it is not known, only
 * the range can speak against the position. Precondition: position > 0.
 *
 * A record that is missing between others is taken for one that compaction removed: replaying a
 * whole topic for each of these would be worse than what this cannot see. */
enum uk_record_verdict uk_record_judge(const struct uk_record_mark *mark, int64_t position,
                                       const struct uk_record_sighting *seen);

/* True if the verdict needs the range: `first` and `end`. */
bool uk_record_judge_needs_range(const struct uk_record_mark *mark, int64_t position,
                                 const struct uk_record_sighting *seen);

/* How long, in milliseconds, a position stays valid without another look: in less time no new topic
 * gets as many records as lie before the position. */
int64_t uk_record_trust(int64_t position);

#endif
