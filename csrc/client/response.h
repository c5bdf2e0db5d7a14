/* response: reads a status and a body. No I/O, and no memory of its own: a pull reader over the
 * bytes of the body, which it changes in place. Its slices point into them.
 *
 * A response that is not 2xx is a uk_client_failure. A 2xx is read by shape:
 *
 *   uk_response_open(&reader, body, length, binary);
 *   if (uk_response_list(&reader))
 *     while (uk_response_element(&reader, &object, &uk_shape_message))
 *       while ((field = uk_response_field(&reader, &object)) >= 0)
 *         ... reader.value or reader.integer, by the type of the field
 *   uk_response_close(&reader);
 *
 * A response that violates the REST API ends every loop, and sets `error` and `message`. Unknown
 * fields are skipped. */
#ifndef UK_RESPONSE_H
#define UK_RESPONSE_H

#include <stdbool.h>

#include "common/error.h"
#include "common/json_reader.h"
#include "common/protocol.h"

enum { UK_RESPONSE_MESSAGE_SIZE = 160, UK_FAILURE_TEXT_SIZE = 256, UK_SHAPE_FIELDS_MAX = 8 };

enum uk_field_type {
  UK_FIELD_TEXT,
  UK_FIELD_BYTES,          /* decoded from base64 if the reader is binary */
  UK_FIELD_NULLABLE_BYTES, /* null: data NULL */
  UK_FIELD_INTEGER,
  UK_FIELD_HEADERS /* an open list: read it with uk_response_element and uk_shape_header */
};

struct uk_field {
  const char *name;
  struct uk_slice quoted; /* "name": */
  enum uk_field_type type;
};

/* All fields of a shape are required. A shape with a cut requires those before it, or those after
 * it. */
struct uk_shape {
  const char *noun; /* in errors */
  unsigned count;
  unsigned cut; /* number of fields before it; 0 = no cut */
  struct uk_field fields[UK_SHAPE_FIELDS_MAX];
};

/* Positions of the fields in the shapes. */
enum {
  UK_FIELD_TOPIC,
  UK_FIELD_PARTITION,
  UK_FIELD_OFFSET,
  UK_FIELD_TIMESTAMP,
  UK_FIELD_KEY,
  UK_FIELD_VALUE,
  UK_FIELD_MESSAGE_HEADERS
};
enum { UK_FIELD_HEADER_KEY, UK_FIELD_HEADER_VALUE };
enum { UK_FIELD_ERROR = UK_FIELD_TIMESTAMP + 1, UK_FIELD_STATUS };

extern const struct uk_shape uk_shape_metadata; /* topic, partition, offset, timestamp */
extern const struct uk_shape uk_shape_message;  /* and key, value, headers */
extern const struct uk_shape uk_shape_offset;   /* topic, partition, offset */
extern const struct uk_shape uk_shape_header;   /* key, value */
extern const struct uk_shape uk_shape_topic;    /* topic, partitions */
extern const struct uk_shape uk_shape_result;   /* result */

/* The position of a message. */
struct uk_response_position {
  bool known;
  char topic[UK_TOPIC_NAME_MAX + 1];
  int64_t partition, offset;
};

struct uk_response_reader {
  struct uk_json_reader json;
  struct uk_slice value; /* of a text or bytes field */
  int64_t integer;       /* of an integer field */
  size_t length;         /* of the body */
  size_t element;        /* number of the current list element, from 1; 0 outside lists */
  size_t messages;       /* of the request, 0 = unknown; uk_response_open clears it */
  bool binary;
  enum uk_error error;
  char message[UK_RESPONSE_MESSAGE_SIZE]; /* "": the error's own text */
  struct uk_response_position fault;      /* of the message that is malformed */
};

/* An object that is being read. */
struct uk_response_object {
  const struct uk_shape *shape;
  unsigned seen; /* one bit per field */
  unsigned next; /* the field to expect next: servers write fields in order */
};

void uk_response_open(struct uk_response_reader *reader, char *body, size_t length, bool binary);

/* Opens a body that is a list. */
bool uk_response_list(struct uk_response_reader *reader);

/* Opens the next object of the list; false at its end. Fails at the first metadata or result beyond
 * `messages`: a list that never ends is not read. */
bool uk_response_element(struct uk_response_reader *reader, struct uk_response_object *object,
                         const struct uk_shape *shape);

/* Opens a body that is an object. */
bool uk_response_object(struct uk_response_reader *reader, struct uk_response_object *object,
                        const struct uk_shape *shape);

/* Reads the next known field into `value` or `integer`. Returns its position in the shape, or -1 at
 * the end of the object. */
int uk_response_field(struct uk_response_reader *reader, struct uk_response_object *object);

/* Call it at the end of a list of metadata: fails unless the list had one element per message of
 * the request. */
bool uk_response_counted(struct uk_response_reader *reader);

/* Fails if anything follows. Returns UK_OK when the whole response was valid. */
enum uk_error uk_response_close(struct uk_response_reader *reader);

/* The position of the first message of a truncated body, if its fields arrived. Changes the
 * body. */
void uk_response_first(char *body, size_t length, struct uk_response_position *position);

/* Stores a topic, truncated to UK_TOPIC_NAME_MAX, without control characters. */
void uk_response_set_topic(struct uk_response_position *position, struct uk_slice topic);

/* Sets the error unless one is set. */
void uk_response_fail(struct uk_response_reader *reader, enum uk_error error, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));
/* The same with the error of the JSON reader. */
void uk_response_fail_json(struct uk_response_reader *reader);

struct uk_client_failure {
  enum uk_error error;
  int status;
  int64_t retry_after;     /* seconds, -1 = none */
  struct uk_slice message; /* in the body or in `text`, without control characters; data NULL:
                                      the error's own text */
  char text[UK_FAILURE_TEXT_SIZE]; /* for a message that is not in the body */
  bool has_results;                /* see uk_response_results */
  struct uk_json_reader results;   /* a reader of the body, in front of their list */
};

/* False for a 2xx; otherwise fills `failure`. `retry_after` comes from uk_parse_retry_after. */
bool uk_response_failed(struct uk_client_failure *failure, int status, int64_t retry_after,
                        char *body, size_t length);

/* The result of each message of a produce that was stored in part, in the order of the request. The
 * same calls read the answer to a produce that was stored as a whole:
 *
 *   failed ? uk_response_results(&reader, &failure, messages) : uk_response_list(&reader)
 *   while (uk_response_result(&reader, &result))
 *     ...
 *   reader.error != UK_OK: the answer violates the REST API; ignore all results
 *
 * Sending the whole request again would store some messages twice. Send only those whose error is
 * retriable; a message with UK_E_GATEWAY_TIMEOUT may be stored nevertheless. */
struct uk_produce_result {
  enum uk_error error; /* UK_OK: stored, and the last four fields say where */
  int status;
  struct uk_slice message; /* of the error, without control characters */
  struct uk_slice topic;
  int64_t partition, offset, timestamp;
};

/* Opens the results of a failure. `messages` is the number of messages in the request, 0 = unknown;
 * a different number of results is an error. */
bool uk_response_results(struct uk_response_reader *reader, const struct uk_client_failure *failure,
                         size_t messages);
/* Reads the next result; false at the end of the list and after an error. */
bool uk_response_result(struct uk_response_reader *reader, struct uk_produce_result *result);

/* The seconds of a Retry-After header: its number, or the time from `now` (seconds since 1970) to
 * its date, 0 for a past date. At most a day. -1 for any other text. */
int64_t uk_parse_retry_after(struct uk_slice text, int64_t now);

#endif
