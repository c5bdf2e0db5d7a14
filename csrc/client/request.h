/* request: one call as it goes on the wire: method, path, headers, body. No I/O.
 *
 * A caller begins an endpoint, adds what it takes in the order of the functions below, and asks
 * once, at the end, whether all went well: what fails, fails in the request (sticky). The memory
 * is kept from one request to the next. Credentials are not in it. */
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
  struct uk_buffer path;    /* with the query, without the URL's prefix */
  struct uk_buffer headers; /* "Name: value" lines, each ended by a NUL */
  struct uk_buffer body;    /* JSON or raw bytes; empty when the endpoint takes none */
  int64_t wait;             /* milliseconds that the server is asked to wait */
  size_t messages;          /* produced, or partitions asked for */
  bool binary;              /* bytes travel as base64 */
  bool queried;             /* a '?' stands in the path */
  bool filled;              /* what is written next in the body stands behind a comma */
  bool headed;              /* the message has headers */
  enum uk_error error;      /* the first failure, UK_OK when there is none */
  char message[160];        /* its text; "" for the error's own */
};

/* A message to produce. Slices with data NULL are absent. */
struct uk_message {
  struct uk_slice topic, key;
  struct uk_slice value;        /* data NULL: a tombstone */
  int64_t partition, timestamp; /* -1 = absent */
};

void uk_client_request_init(struct uk_client_request *request);
void uk_client_request_free(struct uk_client_request *request);

/* Starts over. Fills the path's parameters, percent-encoded; chooses the method: POST where the
 * endpoint takes it. */
void uk_client_request_begin(struct uk_client_request *request, enum uk_endpoint endpoint,
                             bool binary, const struct uk_slice *parameters);

/* Adds the headers that describe the body. UK_OK, or what went wrong first, here or in a buffer. */
enum uk_error uk_client_request_end(struct uk_client_request *request);

/* The text of the failure. */
const char *uk_client_request_message(const struct uk_client_request *request);

void uk_client_request_query(struct uk_client_request *request, const char *name,
                             struct uk_slice value);
void uk_client_request_query_integer(struct uk_client_request *request, const char *name,
                                     int64_t value);

/* `name` must be a token and `value` free of control characters: see uk_header_valid. */
void uk_client_request_header(struct uk_client_request *request, struct uk_slice name,
                              struct uk_slice value);
void uk_client_request_header_integer(struct uk_client_request *request, const char *name,
                                      int64_t value);
bool uk_header_name_valid(struct uk_slice name);
bool uk_header_value_valid(struct uk_slice value);

/* The JSON body: brackets around a list of messages or partitions, fields of an object. */
void uk_client_request_list(struct uk_client_request *request);
void uk_client_request_list_end(struct uk_client_request *request);
void uk_client_request_object(struct uk_client_request *request);
void uk_client_request_object_end(struct uk_client_request *request);
void uk_client_request_text(struct uk_client_request *request, const char *name,
                            struct uk_slice value);
void uk_client_request_integer(struct uk_client_request *request, const char *name, int64_t value);
/* The name of a field whose value is added next. */
void uk_client_request_name(struct uk_client_request *request, const char *name);
/* A list in a field: elements and uk_client_request_list_end follow. `name` names an element in
 * errors. */
void uk_client_request_field_list(struct uk_client_request *request, const char *name);
void uk_client_request_element(struct uk_client_request *request, const char *name,
                               struct uk_slice text);

/* One message; its headers go between the two calls. */
void uk_client_request_message_begin(struct uk_client_request *request,
                                     const struct uk_message *message);
void uk_client_request_message_header(struct uk_client_request *request, struct uk_slice key,
                                      struct uk_slice value);
void uk_client_request_message_end(struct uk_client_request *request);

/* {topic, partition} and, when offset >= 0, offset. */
void uk_client_request_partition(struct uk_client_request *request, struct uk_slice topic,
                                 int64_t partition, int64_t offset);

/* The body as it is, for the webhook. */
void uk_client_request_raw(struct uk_client_request *request, struct uk_slice bytes);

#endif
