/* cors: what a browser lets the script of another origin's page do, and what it is kept from
 * sending without one. */
#ifndef UK_CORS_H
#define UK_CORS_H

#include "server/request/request.h"

struct uk_cors;

/* `origins` are "SCHEME://HOST[:PORT]" each, in any letter case, with or without the default port
 * of http and https; or "*" alone, which admits every origin, or "none" alone. None at all reads as
 * "*". Copies the texts. BAD_REQUEST with a `message` that begins with "cors_origin"; NO_MEMORY. */
enum uk_error uk_cors_new(struct uk_cors **cors, const char *const *origins, size_t count,
                          char *message, size_t size);
void uk_cors_free(struct uk_cors *cors);

/* The value of Access-Control-Allow-Origin for this origin, which lives as long as `cors`; NULL
 * when it is not admitted. */
const char *uk_cors_admit(const struct uk_cors *cors, struct uk_slice origin);

/* Adds the headers of CORS to the reply of a request that has an Origin, and to the answer to
 * OPTIONS, right before the reply is written. Does nothing where they are there already. */
void uk_cors_add_headers(const struct uk_cors *cors, struct uk_request *request);

/* Whether a browser sends the request although no script of an admitted page asked for it: an
 * image, a link, a form of another site. */
bool uk_cors_is_unasked(const struct uk_request *request);

#endif
