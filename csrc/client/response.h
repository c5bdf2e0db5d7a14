/* response: a status and a body, read. No I/O, no memory of its own: a pull reader over the
 * bytes of the body, which it changes in place and which its slices point into.
 *
 * A response that is not 2xx is a uk_client_failure. A 2xx is read by shape:
 *
 *   uk_response_open(&reader, body, length, binary);
 *   if (uk_response_list(&reader))
 *     while (uk_response_element(&reader, &object, &uk_shape_message))
 *       while ((field = uk_response_field(&reader, &object)) >= 0)
 *         ... reader.value, of the type that the shape gives this field
 *   uk_response_close(&reader);
 *
 * Whatever is not as the REST API says ends every loop and sets `error` and `message`; fields
 * that no shape knows are passed over. */
#ifndef UK_RESPONSE_H
#define UK_RESPONSE_H

#include <stdbool.h>

#include "common/error.h"
#include "common/json_reader.h"
#include "common/protocol.h"

enum { UK_RESPONSE_MESSAGE_SIZE = 160, UK_FAILURE_TEXT_SIZE = 256, UK_SHAPE_FIELDS_MAX = 8 };

enum uk_field_type {
  UK_FIELD_TEXT,
  UK_FIELD_BYTES,          /* base64 undone when the reader is binary */
  UK_FIELD_NULLABLE_BYTES, /* null: data NULL */
  UK_FIELD_INTEGER,
  UK_FIELD_HEADERS /* the list is open, for uk_response_element with uk_shape_header */
};

struct uk_field {
  const char *name;
  struct uk_slice quoted; /* "name": */
  enum uk_field_type type;
};

/* Every field of a shape is required; of one that is cut in two, those before or those behind the cut. */
struct uk_shape {
  const char *noun; /* in errors */
  unsigned count;
  unsigned cut; /* how many fields stand before it; 0 = none */
  struct uk_field fields[UK_SHAPE_FIELDS_MAX];
};

/* The positions of the fields in the shapes. */
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

/* Where a message stands. */
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
  size_t element;        /* number of the list's current element, from 1; 0 outside of lists */
  size_t messages;       /* that the request produced, 0 = not known; uk_response_open clears it */
  bool binary;
  enum uk_error error;
  char message[UK_RESPONSE_MESSAGE_SIZE]; /* "" for the error's own text */
  struct uk_response_position fault;      /* the message at fault, as its reader found it */
};

/* An object that is being read. */
struct uk_response_object {
  const struct uk_shape *shape;
  unsigned seen; /* a bit for each field */
  unsigned next; /* the field that probably comes next: servers keep an order */
};

void uk_response_open(struct uk_response_reader *reader, char *body, size_t length, bool binary);

/* The body is a list. */
bool uk_response_list(struct uk_response_reader *reader);

/* The list's next object is open; false at its end. */
bool uk_response_element(struct uk_response_reader *reader, struct uk_response_object *object,
                         const struct uk_shape *shape);

/* The body is one object, and it is open. */
bool uk_response_object(struct uk_response_reader *reader, struct uk_response_object *object,
                        const struct uk_shape *shape);

/* The position in the shape of the next field that it knows, its value in `value` or `integer`;
 * -1 at the end of the object. */
int uk_response_field(struct uk_response_reader *reader, struct uk_response_object *object);

/* At the end of a list: fails unless it had as many elements as the request had messages. */
bool uk_response_counted(struct uk_response_reader *reader);

/* Nothing may follow. UK_OK when the whole response was right. */
enum uk_error uk_response_close(struct uk_response_reader *reader);

/* The first message of a body that is cut off, as far as its fields are there. Changes the body. */
void uk_response_first(char *body, size_t length, struct uk_response_position *position);

/* Notes a topic, cut to what a topic's name may have. */
void uk_response_set_topic(struct uk_response_position *position, struct uk_slice topic);

/* Sets the error, unless there is one. */
void uk_response_fail(struct uk_response_reader *reader, enum uk_error error, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));
/* The same, from the JSON reader's error. */
void uk_response_fail_json(struct uk_response_reader *reader);

struct uk_client_failure {
  enum uk_error error;
  int status;
  int64_t retry_after;             /* seconds, -1 = not said */
  struct uk_slice message;         /* in the body or `text`; data NULL: the error's own text */
  char text[UK_FAILURE_TEXT_SIZE]; /* for a message that comes from elsewhere */
  bool has_results;                /* for uk_response_results */
  struct uk_json_reader results;   /* of the body, where their list comes next */
};

/* False for a 2xx. `retry_after` as uk_parse_retry_after gives it. */
bool uk_response_failed(struct uk_client_failure *failure, int status, int64_t retry_after,
                        char *body, size_t length);

/* A produce of which some messages are stored and others are not: what became of each, in the order of the
 * request. The same calls read the list that a produce of which all are stored answers:
 *
 *   failed ? uk_response_results(&reader, &failure, messages) : uk_response_list(&reader)
 *   while (uk_response_result(&reader, &result))
 *     ...
 *   reader.error != UK_OK: the answer is not as the REST API says; no result can be relied on
 *
 * To send the whole again would store some messages twice: send those again whose error is retriable
 * (UK_E_GATEWAY_TIMEOUT: that one may be stored all the same). */
struct uk_produce_result {
  enum uk_error error; /* UK_OK: stored, and the last four say where */
  int status;
  struct uk_slice message; /* with an error; as all bytes, in the body */
  struct uk_slice topic;
  int64_t partition, offset, timestamp;
};

/* Opens the list of a failure that has results. `messages` = how many the request had, 0 = not known: another
 * number of results is an error. */
bool uk_response_results(struct uk_response_reader *reader, const struct uk_client_failure *failure,
                         size_t messages);
/* The next one; false at the end of the list, and for an error. */
bool uk_response_result(struct uk_response_reader *reader, struct uk_produce_result *result);

/* The seconds of a Retry-After: a number of them, or a date seen from `now` (seconds since 1970), 0
 * when it has passed. At most a day; -1 for anything else. */
int64_t uk_parse_retry_after(struct uk_slice text, int64_t now);

#endif
