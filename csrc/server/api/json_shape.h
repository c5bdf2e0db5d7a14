/* json_shape: tables that describe the objects of request bodies, and the types of their fields. */
#ifndef UK_JSON_SHAPE_H
#define UK_JSON_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

/* The value of a field, by its type. All zero: not given. */
struct uk_json_text {
  struct uk_slice bytes;
  bool given;
  bool null;
  bool unquoted; /* not a string: `bytes` is the JSON of a number, boolean, object or array */
};

struct uk_json_integer {
  int64_t value;
  bool given;
};

struct uk_json_list {
  void *items; /* of struct uk_json_text, or of the shape's structs; in the scratch arena */
  size_t count;
  bool given;
  bool array;       /* false: a single item without brackets */
  const char *name; /* of the field; NULL: the body itself */
  size_t own;       /* items in front of the field's, which are fields of the body */
};

enum uk_json_field_type {
  UK_FIELD_TEXT,         /* struct uk_json_text */
  UK_FIELD_TEXT_OR_NULL, /* struct uk_json_text; null is empty */
  UK_FIELD_VALUE,        /* the same; an object or array is its text, byte for byte as sent */
  UK_FIELD_INTEGER,      /* struct uk_json_integer, of `least` to `most` */
  UK_FIELD_TEXTS,        /* struct uk_json_list of up to `most`; a single text is a list of one */
  UK_FIELD_OBJECTS,      /* struct uk_json_list of up to `most` of `shape` */
  UK_FIELD_SOME_OBJECTS, /* the same; a single object is a list of one */
  UK_FIELD_PAIRS         /* the same, or one object: each name and value become the first and the
                            second field of an item */
};

enum { UK_SHAPE_FIELDS_MAX = 32 };

struct uk_json_shape;

struct uk_json_field {
  const char *name;
  enum uk_json_field_type type;
  bool required;
  size_t offset;
  int64_t least, most;
  int64_t most_in_all; /* items of this list in all objects of the body together; 0: any. Only one
                          field of a body may have it */
  const struct uk_json_shape *shape;
};

struct uk_json_shape {
  const struct uk_json_field *fields;
  size_t field_count; /* at most UK_SHAPE_FIELDS_MAX */
  size_t size;        /* of the struct that is filled */
};

#endif
