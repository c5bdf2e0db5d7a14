/* request: a call as it is sent: method, path, headers, body. No I/O.
 *
 * The caller begins an endpoint, adds its parts in the order of the functions below, and checks for
 * errors once, at the end: the first failure stays in the request. The memory is kept from one
 * request to the next. A request holds no credentials. */
#ifndef UK_CLIENT_REQUEST_H
#define UK_CLIENT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/protocol.h"

enum {
  UK_REQUEST_PATH_MAX = 64 << 10,
  UK_REQUEST_HEADERS_MAX = 256 << 10,
  UK_REQUEST_BODY_MAX = 256 << 20,
  UK_REQUEST_PARAMETERS = 3
};

struct uk_client_request {
  enum uk_endpoint endpoint;
  enum uk_method method;
  struct uk_buffer path;    /* with the query, without the prefix of the URL */
  struct uk_buffer headers; /* "Name: value" lines, each NUL-terminated */
  struct uk_buffer body;    /* JSON or raw bytes; empty for an endpoint without a body */
  int64_t wait;             /* milliseconds that the server may wait before it answers */
  size_t messages;          /* messages or partitions in the body */
  bool binary;              /* bytes travel as base64 */
  bool queried;             /* the path has a '?' */
  bool filled;              /* the next item of the body needs a comma before it */
  bool headed;              /* the message has headers */
  enum uk_error error;      /* the first failure, UK_OK = none */
  char message[160];        /* of the failure; "": the error's own text */
};

/* A message to produce. A slice whose data is NULL is absent. */
struct uk_message {
  struct uk_slice topic, key;
  struct uk_slice value;        /* data NULL: a tombstone */
  int64_t partition, timestamp; /* -1 = absent */
};

void uk_client_request_init(struct uk_client_request *request);
void uk_client_request_free(struct uk_client_request *request);

/* Starts a new request. Percent-encodes the parameters into the path. Chooses the method: POST if
 * the endpoint accepts it. */
void uk_client_request_begin(struct uk_client_request *request, enum uk_endpoint endpoint,
                             bool binary, const struct uk_slice *parameters);

/* Adds the headers that describe the body. Returns UK_OK or the first failure, including those of
 * the buffers. */
enum uk_error uk_client_request_end(struct uk_client_request *request);

/* The text of the first failure. */
const char *uk_client_request_message(const struct uk_client_request *request);

void uk_client_request_query(struct uk_client_request *request, const char *name,
                             struct uk_slice value);
void uk_client_request_query_integer(struct uk_client_request *request, const char *name,
                                     int64_t value);

/* Precondition: uk_header_name_valid(name) and uk_header_value_valid(value). */
void uk_client_request_header(struct uk_client_request *request, struct uk_slice name,
                              struct uk_slice value);
void uk_client_request_header_integer(struct uk_client_request *request, const char *name,
                                      int64_t value);
/* The Idempotency-Key of a produce; adds nothing for "". */
void uk_client_request_key(struct uk_client_request *request, const char *key);
bool uk_header_name_valid(struct uk_slice name);
bool uk_header_value_valid(struct uk_slice value);

/* The JSON body: brackets around a list of messages or partitions, and fields of an object. */
void uk_client_request_list(struct uk_client_request *request);
void uk_client_request_list_end(struct uk_client_request *request);
void uk_client_request_object(struct uk_client_request *request);
void uk_client_request_object_end(struct uk_client_request *request);
void uk_client_request_text(struct uk_client_request *request, const char *name,
                            struct uk_slice value);
void uk_client_request_integer(struct uk_client_request *request, const char *name, int64_t value);
/* The name of a field; the caller adds its value next. */
void uk_client_request_name(struct uk_client_request *request, const char *name);
/* A field that is a list: elements follow, then uk_client_request_list_end. `name` names an element
 * in errors. */
void uk_client_request_field_list(struct uk_client_request *request, const char *name);
void uk_client_request_element(struct uk_client_request *request, const char *name,
                               struct uk_slice text);

/* One message; its headers are added between the two calls. */
void uk_client_request_message_begin(struct uk_client_request *request,
                                     const struct uk_message *message);
void uk_client_request_message_header(struct uk_client_request *request, struct uk_slice key,
                                      struct uk_slice value);
void uk_client_request_message_end(struct uk_client_request *request);

/* {topic, partition}, and offset if it is >= 0. */
void uk_client_request_partition(struct uk_client_request *request, struct uk_slice topic,
                                 int64_t partition, int64_t offset);

/* The body as raw bytes, for the webhook. */
void uk_client_request_raw(struct uk_client_request *request, struct uk_slice bytes);

#endif
