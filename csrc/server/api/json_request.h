/* json_request: reads a request body into structs, by one table for each kind of object.
 *
 * It is lenient where public clients rely on it. The same rules hold for every endpoint:
 *   - a UTF-8 byte order mark before the body is passed over, so is a trailing comma;
 *   - an integer may be text ("42") or a number with an integral value (1e3, 5.0);
 *   - a number or boolean may stand where a text belongs, and is its text as it was sent;
 *   - null for a field that is not required is the same as leaving the field out.
 * Anything else that does not fit the table is an error, as is an unknown field.
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
  bool unquoted; /* not a string: `bytes` is the JSON text of a number, boolean, object or array */
};

struct uk_json_integer {
  int64_t value;
  bool given;
};

struct uk_json_list {
  void *items; /* of struct uk_json_text, or of the shape's structs; in the arena */
  size_t count;
  bool given;
  bool array; /* not one item alone */
};

enum uk_json_field_type {
  UK_FIELD_TEXT,         /* struct uk_json_text */
  UK_FIELD_TEXT_OR_NULL, /* struct uk_json_text; null is empty */
  UK_FIELD_VALUE,        /* likewise; an object or array is its text, byte for byte as sent */
  UK_FIELD_INTEGER,      /* struct uk_json_integer, of `least` to `most` */
  UK_FIELD_TEXTS,        /* struct uk_json_list, at most `most`; one text alone is a list of it */
  UK_FIELD_OBJECTS,      /* struct uk_json_list of `shape`, at most `most` */
  UK_FIELD_PAIRS         /* likewise; also one object, whose names and values become the first and
                            the second field of the shape, in their order */
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
