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
 * `[2].headers[0].key: string expected, got object`, or a 503 when memory is out. Texts point
 * into the body. */
#ifndef UK_JSON_REQUEST_H
#define UK_JSON_REQUEST_H

#include "server/api/json_failure.h"
#include "server/api/json_shape.h"
#include "server/request/request.h"

/* A body of one object, or of an array of one; an empty body is an object without fields. */
bool uk_json_read_object(struct uk_request *request, const struct uk_json_shape *shape, void *out);

/* A body of one object or of an array of up to `most` objects. An empty body is an empty list that
 * is not `given`. */
bool uk_json_read_objects(struct uk_request *request, const struct uk_json_shape *shape,
                          int64_t most, struct uk_json_list *out);

/* Where a field of an item of the body stands: "[2].name", or "name" when the body is one object.
 */
void uk_json_field_place(char *out, size_t size, const struct uk_json_list *list, size_t index,
                         const char *name);

#endif
