/* produce_outcome: the overall result of a produce whose records were stored or refused one by one.
 */
#ifndef UK_PRODUCE_OUTCOME_H
#define UK_PRODUCE_OUTCOME_H

#include "server/engine/engine.h"

/* A record that surely was not stored; one with GATEWAY_TIMEOUT may have been. */
static inline bool uk_produce_is_missing(const struct uk_record *record)
{
  return record->error != UK_OK && record->error != UK_E_GATEWAY_TIMEOUT;
}

/* Derives the operation's outcome, and `each`, from the `error` and `reason` of the records.
 *
 * If all records failed for the same reason, that is the error. Otherwise `each` is set, and the
 * error is the first of these that applies:
 *   - the first error that a retry cannot cure: a client that looks only at the overall status must
 *     not send stored records again;
 *   - GATEWAY_TIMEOUT, if a record was stored or may have been: the request was carried out in
 *     part, and a retry stores that part twice, which UNAVAILABLE would deny;
 *   - the error of the first record that failed. */
void uk_produce_conclude(struct uk_produce *produce);

/* Writes `topic "t" partition 3: REASON` for a record that failed. */
void uk_produce_reason(const struct uk_record *record, char *text, size_t size);

#endif
