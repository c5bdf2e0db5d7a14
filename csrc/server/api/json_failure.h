/* json_failure: what is wrong with a request body, and where. */
#ifndef UK_JSON_FAILURE_H
#define UK_JSON_FAILURE_H

#include "common/json_reader.h"
#include "server/api/json_shape.h"
#include "server/request/request.h"

enum { UK_PLACE_SIZE = 256 };

/* Where the reader is: a chain on the stack, from a value to what holds it. */
struct uk_json_place {
  const struct uk_json_place *parent; /* NULL for the body itself */
  struct uk_slice name;               /* of a field; `data` is NULL for an item */
  size_t index;
};

struct uk_json_reading {
  struct uk_request *request;
  struct uk_json_reader json;
  size_t skipped; /* bytes of the body in front of what `json` reads */
};

/* "[2].headers[0].key", cut off at `size`; "" for the body itself. Returns its length. */
size_t uk_json_write_place(char *out, size_t size, const struct uk_json_place *place);

/* All of these make the reply, and return false. The first three name the place. */

bool uk_json_refuse(struct uk_json_reading *reading, const struct uk_json_place *place,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Another number, text or event came than an integer that the field takes. */
bool uk_json_refuse_integer(struct uk_json_reading *reading, const struct uk_json_place *place,
                            const struct uk_json_field *field, enum uk_json_event event);

/* A name that is none of the shape's. */
bool uk_json_refuse_name(struct uk_json_reading *reading, const struct uk_json_place *place,
                         const struct uk_json_shape *shape, struct uk_slice name);

/* Another event came than what was expected; an error of the JSON names its byte. */
bool uk_json_refuse_event(struct uk_json_reading *reading, const struct uk_json_place *place,
                          const char *expected, enum uk_json_event event);

bool uk_json_refuse_memory(struct uk_json_reading *reading);

#endif
