/* json_request: a request body into structs, told by one table for each kind of object.
 *
 * Every reader here returns false with the reply made: a 400 that names the place, as in
 * `[2].headers[0].value: string expected, got number`, or a 503 when memory is out. Texts point
 * into the body. */
#ifndef UK_JSON_REQUEST_H
#define UK_JSON_REQUEST_H

#include "server/api/request.h"

/* What a field is read into, by its type. All zero: it was not given. */
struct uk_json_text {
  struct uk_slice bytes;
  bool given;
  bool null;
};

struct uk_json_integer {
  int64_t value;
  bool given;
};

struct uk_json_list {
  void *items; /* of struct uk_json_text, or of the shape's structs; in the arena */
  size_t count;
  bool given;
  bool array; /* not one object alone */
};

enum uk_json_field_type {
  UK_FIELD_TEXT,         /* struct uk_json_text */
  UK_FIELD_TEXT_OR_NULL, /* struct uk_json_text */
  UK_FIELD_INTEGER,      /* struct uk_json_integer, of `least` to `most` */
  UK_FIELD_TEXTS,        /* struct uk_json_list, at most `most` */
  UK_FIELD_OBJECTS       /* struct uk_json_list of `shape`, at most `most` */
};

struct uk_json_shape;

struct uk_json_field {
  const char *name;
  enum uk_json_field_type type;
  bool required;
  size_t offset;
  int64_t least, most;
  const struct uk_json_shape *shape;
};

struct uk_json_shape {
  const struct uk_json_field *fields;
  size_t field_count; /* at most 32 */
  size_t size;        /* of the struct */
};

/* A body of one object, or of an array of one; an empty body is an object without fields. */
bool uk_json_read_object(struct uk_request *request, const struct uk_json_shape *shape, void *out);

/* A body of one object or of an array of up to `most` objects. An empty body is an empty list that
 * is not `given`. */
bool uk_json_read_objects(struct uk_request *request, const struct uk_json_shape *shape,
                          int64_t most, struct uk_json_list *out);

enum { UK_PLACE_SIZE = 256 };

/* Where a field of an item of the body stands: "[2].name", or "name" when the body is one object.
 */
void uk_json_field_place(char *out, size_t size, const struct uk_json_list *list, size_t index,
                         const char *name);

#endif
