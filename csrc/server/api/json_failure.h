/* json_failure: says what is wrong with a request body, and where. */
#ifndef UK_JSON_FAILURE_H
#define UK_JSON_FAILURE_H

#include "common/json_reader.h"
#include "server/api/json_shape.h"
#include "server/request/request.h"

enum { UK_PLACE_SIZE = 256 };

/* Where the reader is: a chain on the stack from a value to its parents. */
struct uk_json_place {
  const struct uk_json_place *parent; /* NULL for the body itself */
  struct uk_slice name;               /* of a field; data NULL for an array item */
  size_t index;
};

struct uk_json_reading {
  struct uk_request *request;
  struct uk_json_reader json;
  int64_t in_all; /* items read so far that count for `most_in_all` */
  size_t skipped; /* bytes of the body before the text that `json` reads */
};

/* Writes "[2].headers[0].key", truncated to `size`; "" for the body itself. Returns the length. */
size_t uk_json_write_place(char *out, size_t size, const struct uk_json_place *place);

/* The functions below make an error reply and return false. The first three name the place. */

bool uk_json_refuse(struct uk_json_reading *reading, const struct uk_json_place *place,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The value is not an integer within the field's limits. */
bool uk_json_refuse_integer(struct uk_json_reading *reading, const struct uk_json_place *place,
                            const struct uk_json_field *field, enum uk_json_event event);

/* The shape has no field of this name. */
bool uk_json_refuse_name(struct uk_json_reading *reading, const struct uk_json_place *place,
                         const struct uk_json_shape *shape, struct uk_slice name);

/* The value has the wrong type; or the JSON is malformed, and the text says at which byte. */
bool uk_json_refuse_event(struct uk_json_reading *reading, const struct uk_json_place *place,
                          const char *expected, enum uk_json_event event);

bool uk_json_refuse_memory(struct uk_json_reading *reading);

#endif
