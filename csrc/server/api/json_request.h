/* json_request: reads a request body into structs, guided by one table per kind of object.
 *
 * It is lenient where existing clients rely on it, by the same rules for every endpoint:
 *   - a UTF-8 byte order mark before the body and a trailing comma are ignored;
 *   - an integer may be a string ("42") or a number with an integral value (1e3, 5.0);
 *   - a number or boolean may stand for a string; its value is its text as sent;
 *   - null for an optional field is the same as omitting the field.
 * Anything else that does not match the table is an error, as is an unknown field.
 *
 * Every reader here returns false with an error reply: a 400 that names the place, as in
 * `[2].headers[0].key: string expected, got object`, or a 503 if out of memory. Texts point into
 * the body. */
#ifndef UK_JSON_REQUEST_H
#define UK_JSON_REQUEST_H

#include "server/api/json_failure.h"
#include "server/api/json_shape.h"
#include "server/request/request.h"

/* Reads a body that is one object or an array of one. An empty body is an object without fields. */
bool uk_json_read_object(struct uk_request *request, const struct uk_json_shape *shape, void *out);

/* Reads a body that is one object or an array of up to `most` objects. An empty body is an empty
 * list with `given` false. */
bool uk_json_read_objects(struct uk_request *request, const struct uk_json_shape *shape,
                          int64_t most, struct uk_json_list *out);

/* Writes the place of a field of an item: "[2].name" in the body, "list[2].name" in a list there,
 * without the index if the list is a single object. */
void uk_json_field_place(char *out, size_t size, const struct uk_json_list *list, size_t index,
                         const char *name);

#endif
