/* produce_outcome: how a produce ended whose records were stored or refused one by one. */
#ifndef UK_PRODUCE_OUTCOME_H
#define UK_PRODUCE_OUTCOME_H

#include "server/engine/engine.h"

/* Sets the outcome of the operation, and `each`, from `error` and `reason` of the records.
 *
 * Where all failed alike, that is the error. Else `each` is set, and the error is the first in the order of:
 *   - what stays as it is when it is sent again, of the record that comes first: whoever looks at nothing but the
 *     status does not send again what is stored;
 *   - GATEWAY_TIMEOUT, when a record was stored or may have been: the whole was carried out in part, and sending it
 *     again stores that part twice, which is what UNAVAILABLE would deny;
 *   - the error of the record that comes first. */
void uk_produce_conclude(struct uk_produce *produce);

/* `topic "t" partition 3: REASON`, for a record that failed. */
void uk_produce_reason(const struct uk_record *record, char *text, size_t size);

#endif
