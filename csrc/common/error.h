/* error: the list of errors of client and server.
 *
 * X(NAME, word, status, retriable, text)
 *   word       stable; what a Lua program sees as details.code
 *   status     the HTTP status of a server; 0 for an error that only a client has
 *   retriable  true when the same request may succeed later
 *   text       for people, when there is no more precise one
 *
 * A response carries a status and a text, but no word. A client finds the word by the status
 * (uk_error_from_status): that of the first row with this status. */
#ifndef UK_ERROR_H
#define UK_ERROR_H

#include <stdbool.h>

#define UK_ERRORS(X)                                                                               \
  X(BAD_REQUEST, "bad_request", 400, false, "the request is malformed")                            \
  X(UNAUTHORIZED, "unauthorized", 401, false, "no or wrong credentials")                           \
  X(FORBIDDEN, "forbidden", 403, false, "the credentials do not permit this")                      \
  X(NOT_FOUND, "not_found", 404, false, "no such path, topic or consumer instance")                \
  X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, false, "the path does not take this method")    \
  X(REQUEST_TIMEOUT, "request_timeout", 408, true, "the request did not arrive in time")           \
  X(CONFLICT, "conflict", 409, false, "it conflicts with what exists")                             \
  X(TOO_LARGE, "too_large", 413, false, "the body or a message is over the limit")                 \
  X(URI_TOO_LONG, "uri_too_long", 414, false, "the request line is over the limit")                \
  X(UNPROCESSABLE, "unprocessable", 422, false, "the idempotency key belongs to another request")  \
  X(TOO_MANY, "too_many", 429, true, "over a limit on instances or requests")                      \
  X(HEADERS_TOO_LARGE, "headers_too_large", 431, false,                                            \
    "the request line and headers are over the limit")                                             \
  X(INTERNAL, "internal", 500, false, "the server failed")                                         \
  X(UNAVAILABLE, "unavailable", 503, true, "the server cannot serve this now")                     \
  X(GATEWAY_TIMEOUT, "gateway_timeout", 504, true, "the engine did not answer in time")            \
  X(NO_MEMORY, "no_memory", 503, true, "out of memory")                                            \
  X(RESOLVE_FAILED, "resolve_failed", 0, true, "the host name could not be resolved")              \
  X(CONNECT_FAILED, "connect_failed", 0, true, "the connection was refused or not reached")        \
  X(TLS_FAILED, "tls_failed", 0, false, "the TLS handshake or certificate was refused")            \
  X(TIMEOUT, "timeout", 0, true, "no answer in time")                                              \
  X(CONNECTION_LOST, "connection_lost", 0, true,                                                   \
    "the connection broke before the answer was complete")                                         \
  X(RESPONSE_TOO_LARGE, "response_too_large", 0, false, "the response is over max_response_bytes") \
  X(BAD_RESPONSE, "bad_response", 0, false, "the response is not what the REST API answers")       \
  X(INTEGER_RANGE, "integer_range", 0, false, "an integer does not fit this Lua's numbers")        \
  X(TRANSPORT_FAILED, "transport_failed", 0, false, "the transfer failed")                         \
  X(CANCELLED, "cancelled", 0, true, "the operation was given up")                                 \
  X(QUEUE_FULL, "queue_full", 0, true, "the producer's queue is full")

enum uk_error {
  UK_OK = 0,
#define UK_ERROR_ENUM(name, word, status, retriable, text) UK_E_##name,
  UK_ERRORS(UK_ERROR_ENUM)
#undef UK_ERROR_ENUM
    UK_ERROR_COUNT
};

/* All four accept any value. UK_OK and unknown values read as "ok", 200, false, "done". */
const char *uk_error_word(enum uk_error error);
int uk_error_status(enum uk_error error); /* 0 for an error that only a client has */
bool uk_error_retriable(enum uk_error error);
const char *uk_error_text(enum uk_error error);

/* The error for an HTTP status that is not 2xx. An unlisted 4xx is BAD_REQUEST, an unlisted 5xx
 * is INTERNAL except 502, which is UNAVAILABLE; any other status is BAD_RESPONSE. */
enum uk_error uk_error_from_status(int status);

/* The error with that word; UK_OK for an unknown word. */
enum uk_error uk_error_from_word(const char *word);

#endif
