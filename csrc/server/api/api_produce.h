/* api_produce: what the endpoints that produce share. */
#ifndef UK_API_PRODUCE_H
#define UK_API_PRODUCE_H

#include "server/api/api.h"

enum { UK_PRODUCE_MESSAGES_MAX = 100000 }; /* of one request */

/* An operation for `count` records, zeroed but for "by key, now". `single`: the reply is one
 * object, no array. NULL: the reply is an error already. */
struct uk_produce *uk_api_produce_operation(struct uk_request *request, size_t count, bool single);

/* Checks the size of the record; `index` is its place in an array or -1. */
bool uk_api_check_size(struct uk_request *request, const struct uk_record *record, int64_t index);

/* True, as a handler that has submitted. */
bool uk_api_submit_produce(struct uk_request *request);

#endif
