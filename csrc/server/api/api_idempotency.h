/* api_idempotency: the key that a request gives a produce, so that it can be repeated. */
#ifndef UK_API_IDEMPOTENCY_H
#define UK_API_IDEMPOTENCY_H

#include "server/api/api.h"

/* Reads Idempotency-Key; without it, the key is empty. Call it before anything else reads the path
 * or the body: other readers change them in place, and the fingerprint is of what was sent. False:
 * the reply is an error. */
bool uk_api_read_produce_key(struct uk_request *request, struct uk_produce_key *key);

#endif
