/* api_produce: what the producing endpoints share. */
#ifndef UK_API_PRODUCE_H
#define UK_API_PRODUCE_H

#include "server/api/api.h"

enum { UK_PRODUCE_MESSAGES_MAX = 100000 }; /* per request */

/* Allocates an operation with a copy of the key, for `count` records, zeroed except partition and
 * timestamp, which are -1. `single`: the reply is one object instead of an array. NULL: the reply
 * is an error. */
struct uk_produce *uk_api_produce_operation(struct uk_request *request,
                                            const struct uk_produce_key *key, size_t count,
                                            bool single);

/* Checks the record's size; false with an error reply. `index` is its place in an array, or -1. */
bool uk_api_check_size(struct uk_request *request, const struct uk_record *record, int64_t index);

/* Reserves memory for the reply, frees the input (with `keep_body`, the records refer to the body)
 * and submits the operation. Returns what a handler returns: false if memory is out. */
bool uk_api_submit_produce(struct uk_request *request, bool keep_body);

#endif
