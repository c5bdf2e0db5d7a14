#include "server/api/json_request.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/json_reader.h"

enum { TEXT_SIZE = 512, FIRST_ITEMS = 4, NAME_SHOWN = 64 };

/* Where the reader is: a chain on the stack, from a value to what holds it. */
struct place {
  const struct place *parent; /* NULL for the body itself */
  const char *name;           /* of a field; NULL for an item */
  size_t index;
};

struct reading {
  struct uk_request *request;
  struct uk_json_reader json;
};

static size_t write_place(char *out, size_t size, const struct place *place)
{
  if (place->parent == NULL)
    return 0;
  size_t length = write_place(out, size, place->parent);
  int added = place->name == NULL
                ? snprintf(out + length, size - length, "[%zu]", place->index)
                : snprintf(out + length, size - length, "%s%s", length > 0 ? "." : "", place->name);
  length += added > 0 ? (size_t)added : 0;
  return length < size ? length : size - 1;
}

__attribute__((format(printf, 3, 4))) static bool
fail(struct reading *reading, const struct place *place, const char *format, ...)
{
  char where[UK_PLACE_SIZE], text[TEXT_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  bool somewhere = write_place(where, sizeof where, place) > 0;
  uk_request_error(reading->request, UK_E_BAD_REQUEST, "%s: %s", somewhere ? where : "body", text);
  return false;
}

static bool fail_memory(struct reading *reading)
{
  uk_request_error(reading->request, UK_E_NO_MEMORY, NULL);
  return false;
}

static const char *kind_of(enum uk_json_event event)
{
  static const char *const kinds[] = {
    [UK_JSON_OBJECT] = "object",  [UK_JSON_ARRAY] = "array",   [UK_JSON_STRING] = "string",
    [UK_JSON_INTEGER] = "number", [UK_JSON_NUMBER] = "number", [UK_JSON_TRUE] = "boolean",
    [UK_JSON_FALSE] = "boolean",  [UK_JSON_NULL] = "null",
  };
  return (size_t)event < sizeof kinds / sizeof *kinds && kinds[event] != NULL ? kinds[event]
                                                                              : "nothing";
}

/* Another event came than the one that was wanted. */
static bool fail_event(struct reading *reading, const struct place *place, const char *expected,
                       enum uk_json_event event)
{
  if (event != UK_JSON_ERROR)
    return fail(reading, place, "%s expected, got %s", expected, kind_of(event));
  uk_request_error(reading->request, UK_E_BAD_REQUEST, "malformed JSON at byte %zu: %s",
                   reading->json.position, uk_json_error_text(reading->json.error));
  return false;
}

static bool read_value(struct reading *reading, const struct place *place,
                       const struct uk_json_field *field, enum uk_json_event event, void *target);

static bool read_text(struct reading *reading, const struct place *place,
                      const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  struct uk_json_text *text = target;
  bool nullable = field->type == UK_FIELD_TEXT_OR_NULL;
  text->given = true;
  text->null = event == UK_JSON_NULL && nullable;
  if (event == UK_JSON_STRING)
    text->bytes = reading->json.string;
  else if (!text->null)
    return fail_event(reading, place, nullable ? "string or null" : "string", event);
  return true;
}

static bool read_integer(struct reading *reading, const struct place *place,
                         const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  struct uk_json_integer *integer = target;
  if (event == UK_JSON_NUMBER) {
    struct uk_slice text = reading->json.string;
    return fail(reading, place, "integer expected, got %.*s",
                (int)(text.length < NAME_SHOWN ? text.length : NAME_SHOWN), text.data);
  }
  if (event != UK_JSON_INTEGER)
    return fail_event(reading, place, "integer", event);
  if (reading->json.integer < field->least || reading->json.integer > field->most)
    return fail(reading, place, "%lld to %lld expected, got %lld", (long long)field->least,
                (long long)field->most, (long long)reading->json.integer);
  *integer = (struct uk_json_integer){reading->json.integer, true};
  return true;
}

/* Room for one item more; NULL when memory is out. What was outgrown stays in the arena: half of it
 * at most. */
static void *add_item(struct reading *reading, struct uk_json_list *list, size_t *capacity,
                      size_t size)
{
  if (list->count == *capacity) {
    size_t larger = *capacity > 0 ? *capacity * 2 : FIRST_ITEMS;
    char *items = uk_arena_allocate(&reading->request->arena, larger, size);
    if (items == NULL)
      return NULL;
    if (list->count > 0)
      memcpy(items, list->items, list->count * size);
    list->items = items;
    *capacity = larger;
  }
  return (char *)list->items + list->count++ * size;
}

static bool read_object(struct reading *reading, const struct place *place,
                        const struct uk_json_shape *shape, void *object);

static bool read_item(struct reading *reading, const struct place *place,
                      const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  static const struct uk_json_field text = {.type = UK_FIELD_TEXT};
  if (field->type == UK_FIELD_TEXTS)
    return read_text(reading, place, &text, event, target);
  if (event != UK_JSON_OBJECT)
    return fail_event(reading, place, "object", event);
  return read_object(reading, place, field->shape, target);
}

static bool read_list(struct reading *reading, const struct place *place,
                      const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  struct uk_json_list *list = target;
  size_t capacity = 0;
  size_t size = field->type == UK_FIELD_TEXTS ? sizeof(struct uk_json_text) : field->shape->size;
  if (event != UK_JSON_ARRAY)
    return fail_event(reading, place,
                      field->type == UK_FIELD_TEXTS ? "array of strings" : "array of objects",
                      event);
  list->given = true;
  list->array = true;
  while ((event = uk_json_next(&reading->json)) != UK_JSON_ARRAY_END) {
    struct place item = {.parent = place, .index = list->count};
    if ((int64_t)list->count >= field->most)
      return fail(reading, place, "at most %lld items expected", (long long)field->most);
    void *room = add_item(reading, list, &capacity, size);
    if (room == NULL)
      return fail_memory(reading);
    if (!read_item(reading, &item, field, event, room))
      return false;
  }
  return true;
}

static bool read_value(struct reading *reading, const struct place *place,
                       const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  static bool (*const readers[])(struct reading *, const struct place *,
                                 const struct uk_json_field *, enum uk_json_event, void *) = {
    [UK_FIELD_TEXT] = read_text,       [UK_FIELD_TEXT_OR_NULL] = read_text,
    [UK_FIELD_INTEGER] = read_integer, [UK_FIELD_TEXTS] = read_list,
    [UK_FIELD_OBJECTS] = read_list,
  };
  return readers[field->type](reading, place, field, event, target);
}

/* The number of the field, or `field_count`. */
static size_t find_field(const struct uk_json_shape *shape, struct uk_slice name)
{
  size_t i = 0;
  while (i < shape->field_count && !uk_slice_is(name, shape->fields[i].name))
    i++;
  return i;
}

static bool read_field(struct reading *reading, const struct place *place,
                       const struct uk_json_shape *shape, void *object, uint32_t *seen)
{
  struct uk_slice name = reading->json.string;
  size_t i = find_field(shape, name);
  if (i == shape->field_count)
    return fail(reading, place, "unknown field \"%.*s\"",
                (int)(name.length < NAME_SHOWN ? name.length : NAME_SHOWN), name.data);
  const struct uk_json_field *field = &shape->fields[i];
  struct place here = {.parent = place, .name = field->name};
  if ((*seen >> i & 1) != 0)
    return fail(reading, &here, "given twice");
  *seen |= UINT32_C(1) << i;
  return read_value(reading, &here, field, uk_json_next(&reading->json),
                    (char *)object + field->offset);
}

static bool has_required(struct reading *reading, const struct place *place,
                         const struct uk_json_shape *shape, uint32_t seen)
{
  for (size_t i = 0; i < shape->field_count; i++) {
    struct place missing = {.parent = place, .name = shape->fields[i].name};
    if (shape->fields[i].required && (seen >> i & 1) == 0)
      return fail(reading, &missing, "missing");
  }
  return true;
}

static bool read_object(struct reading *reading, const struct place *place,
                        const struct uk_json_shape *shape, void *object)
{
  enum uk_json_event event;
  uint32_t seen = 0;
  while ((event = uk_json_next(&reading->json)) == UK_JSON_KEY) {
    if (!read_field(reading, place, shape, object, &seen))
      return false;
  }
  if (event != UK_JSON_OBJECT_END)
    return fail_event(reading, place, "field", event);
  return has_required(reading, place, shape, seen);
}

static void start(struct reading *reading, struct uk_request *request)
{
  reading->request = request;
  uk_json_reader_init(&reading->json, request->body, request->body_length,
                      UK_JSON_TRAILING_COMMA | UK_JSON_STRICT_SURROGATE);
}

static bool end(struct reading *reading, const struct place *body)
{
  enum uk_json_event event = uk_json_next(&reading->json);
  return event == UK_JSON_END || fail_event(reading, body, "nothing more", event);
}

bool uk_json_read_objects(struct uk_request *request, const struct uk_json_shape *shape,
                          int64_t most, struct uk_json_list *out)
{
  const struct place body = {0};
  const struct uk_json_field items = {.type = UK_FIELD_OBJECTS, .most = most, .shape = shape};
  struct reading reading;
  size_t capacity = 0;
  *out = (struct uk_json_list){0};
  if (request->body_length == 0)
    return true;
  start(&reading, request);
  enum uk_json_event event = uk_json_next(&reading.json);
  if (event == UK_JSON_ARRAY)
    return read_list(&reading, &body, &items, event, out) && end(&reading, &body);
  if (event != UK_JSON_OBJECT)
    return fail_event(&reading, &body, "object or array of objects", event);
  void *object = add_item(&reading, out, &capacity, shape->size);
  out->given = true;
  if (object == NULL)
    return fail_memory(&reading);
  return read_object(&reading, &body, shape, object) && end(&reading, &body);
}

bool uk_json_read_object(struct uk_request *request, const struct uk_json_shape *shape, void *out)
{
  struct uk_json_list list;
  struct reading reading = {.request = request};
  const struct place body = {0};
  memset(out, 0, shape->size);
  if (request->body_length == 0)
    return has_required(&reading, &body, shape, 0);
  if (!uk_json_read_objects(request, shape, 1, &list))
    return false;
  if (list.count == 0)
    return fail(&reading, &body, "object expected, got an empty array");
  memcpy(out, list.items, shape->size);
  return true;
}

void uk_json_field_place(char *out, size_t size, const struct uk_json_list *list, size_t index,
                         const char *name)
{
  const struct place body = {0};
  const struct place item = {.parent = &body, .index = index};
  const struct place field = {.parent = list->array ? &item : &body, .name = name};
  write_place(out, size, &field);
}
