/* cors: what a script on another origin's page may do, and which requests of such pages are refused
 * because no script sent them. */
#ifndef UK_CORS_H
#define UK_CORS_H

#include "server/request/request.h"

struct uk_cors;

/* Each origin is "SCHEME://HOST[:PORT]" in any letter case; the default port of http and https is
 * optional. Alternatively a single "*", which allows every origin, or a single "none". An empty
 * list means "*". Copies the strings. BAD_REQUEST with a `message` that begins with "cors_origin";
 * NO_MEMORY. */
enum uk_error uk_cors_new(struct uk_cors **cors, const char *const *origins, size_t count,
                          char *message, size_t size);
void uk_cors_free(struct uk_cors *cors);

/* The Access-Control-Allow-Origin value for this origin, which lives as long as `cors`; NULL if the
 * origin is not allowed. */
const char *uk_cors_admit(const struct uk_cors *cors, struct uk_slice origin);

/* Adds the CORS headers to the reply if the request has an Origin or is an answered OPTIONS. Call
 * it just before the reply is written. Does nothing if they are already there. */
void uk_cors_add_headers(const struct uk_cors *cors, struct uk_request *request);

/* Whether a browser sent the request without a script of an allowed page asking for it, for an
 * image, a link or a form of another site. */
bool uk_cors_is_unasked(const struct uk_request *request);

#endif
