#include "server/api/json_request.h"

#include "common/integral.h"
#include "common/json_reader.h"

enum { FIRST_ITEMS = 4 };

static bool read_value(struct uk_json_reading *reading, const struct uk_json_place *place,
                       const struct uk_json_field *field, enum uk_json_event event, void *target);

static bool is_scalar(enum uk_json_event event)
{
  return event >= UK_JSON_STRING && event <= UK_JSON_FALSE;
}

/* Reads a text that is not a string. */
static bool read_unquoted(struct uk_json_reading *reading, const struct uk_json_place *place,
                          const struct uk_json_field *field, enum uk_json_event event,
                          struct uk_json_text *text)
{
  bool nullable = field->type != UK_FIELD_TEXT;
  bool nested =
    field->type == UK_FIELD_VALUE && (event == UK_JSON_OBJECT || event == UK_JSON_ARRAY);
  text->null = event == UK_JSON_NULL && nullable;
  if (text->null)
    return true;
  if (!is_scalar(event) && !nested)
    return uk_json_refuse_event(reading, place, nullable ? "string or null" : "string", event);
  text->unquoted = true;
  if (uk_json_raw(&reading->json, event, &text->bytes) != UK_JSON_ERROR)
    return true;
  if (reading->json.error == UK_JSON_E_DEPTH)
    return uk_json_refuse(reading, place, "at most %d levels expected", UK_JSON_DEEP_MAX);
  return uk_json_refuse_event(reading, place, "string", UK_JSON_ERROR);
}

static bool read_text(struct uk_json_reading *reading, const struct uk_json_place *place,
                      const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  struct uk_json_text *text = target;
  text->given = true;
  if (event != UK_JSON_STRING)
    return read_unquoted(reading, place, field, event, text);
  text->bytes = reading->json.string;
  return true;
}

static bool read_integer(struct uk_json_reading *reading, const struct uk_json_place *place,
                         const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  struct uk_json_integer *integer = target;
  int64_t value = reading->json.integer;
  bool good = event == UK_JSON_INTEGER;
  if (event == UK_JSON_NUMBER || event == UK_JSON_STRING)
    good = uk_parse_integral(reading->json.string, &value);
  if (!good || value < field->least || value > field->most)
    return uk_json_refuse_integer(reading, place, field, event);
  *integer = (struct uk_json_integer){value, true};
  return true;
}

/* Makes room for one more item; NULL if out of memory. Outgrown copies stay in the scratch arena;
 * together they take less than the list itself. */
static void *add_item(struct uk_json_reading *reading, struct uk_json_list *list, size_t *capacity,
                      size_t size)
{
  if (list->count == *capacity) {
    size_t larger = *capacity > 0 ? *capacity * 2 : FIRST_ITEMS;
    char *items = uk_arena_allocate(uk_request_scratch(reading->request), larger, size);
    if (items == NULL)
      return NULL;
    if (list->count > 0)
      memcpy(items, list->items, list->count * size);
    list->items = items;
    *capacity = larger;
  }
  return (char *)list->items + list->count++ * size;
}

static bool read_object(struct uk_json_reading *reading, const struct uk_json_place *place,
                        const struct uk_json_shape *shape, void *object);

static bool read_item(struct uk_json_reading *reading, const struct uk_json_place *place,
                      const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  static const struct uk_json_field text = {.type = UK_FIELD_TEXT};
  if (field->type == UK_FIELD_TEXTS)
    return read_text(reading, place, &text, event, target);
  if (event != UK_JSON_OBJECT)
    return uk_json_refuse_event(reading, place, "object", event);
  return read_object(reading, place, field->shape, target);
}

static size_t item_size(const struct uk_json_field *field)
{
  return field->type == UK_FIELD_TEXTS ? sizeof(struct uk_json_text) : field->shape->size;
}

/* Makes room for one more item of the list at `place`; NULL with an error reply. */
static void *next_item(struct uk_json_reading *reading, const struct uk_json_place *place,
                       const struct uk_json_field *field, struct uk_json_list *list,
                       size_t *capacity)
{
  if ((int64_t)list->count >= field->most) {
    uk_json_refuse(reading, place, "at most %lld items expected", (long long)field->most);
    return NULL;
  }
  if (field->most_in_all > 0 && ++reading->in_all > field->most_in_all) {
    uk_json_refuse(reading, place, "at most %lld items expected in one request",
                   (long long)field->most_in_all);
    return NULL;
  }
  void *item = add_item(reading, list, capacity, item_size(field));
  if (item == NULL)
    uk_json_refuse_memory(reading);
  return item;
}

static bool read_items(struct uk_json_reading *reading, const struct uk_json_place *place,
                       const struct uk_json_field *field, struct uk_json_list *list)
{
  enum uk_json_event event;
  size_t capacity = 0;
  list->array = true;
  while ((event = uk_json_next(&reading->json)) != UK_JSON_ARRAY_END) {
    struct uk_json_place here = {.parent = place, .index = list->count};
    void *item = next_item(reading, place, field, list, &capacity);
    if (item == NULL || !read_item(reading, &here, field, event, item))
      return false;
  }
  return true;
}

/* Reads {"name": text, …} as if it were [{FIRST: "name", SECOND: text}, …]. */
static bool read_pairs(struct uk_json_reading *reading, const struct uk_json_place *place,
                       const struct uk_json_field *field, struct uk_json_list *list)
{
  const struct uk_json_field *fields = field->shape->fields;
  enum uk_json_event event;
  size_t capacity = 0;
  while ((event = uk_json_next(&reading->json)) == UK_JSON_KEY) {
    struct uk_json_place here = {.parent = place, .name = reading->json.string};
    char *item = next_item(reading, place, field, list, &capacity);
    if (item == NULL)
      return false;
    struct uk_json_text *name = (void *)(item + fields[0].offset);
    *name = (struct uk_json_text){.bytes = here.name, .given = true};
    event = uk_json_next(&reading->json);
    if (!read_value(reading, &here, &fields[1], event, item + fields[1].offset))
      return false;
  }
  return event == UK_JSON_OBJECT_END || uk_json_refuse_event(reading, place, "field", event);
}

static bool may_be_single(const struct uk_json_field *field, enum uk_json_event event)
{
  return field->type == UK_FIELD_TEXTS
           ? is_scalar(event)
           : field->type == UK_FIELD_SOME_OBJECTS && event == UK_JSON_OBJECT;
}

static bool read_list(struct uk_json_reading *reading, const struct uk_json_place *place,
                      const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  static const char *const expected[] = {
    [UK_FIELD_TEXTS] = "string or array of strings",
    [UK_FIELD_OBJECTS] = "array of objects",
    [UK_FIELD_SOME_OBJECTS] = "object or array of objects",
    [UK_FIELD_PAIRS] = "object or array of objects",
  };
  struct uk_json_list *list = target;
  size_t capacity = 0;
  list->given = true;
  list->name = field->name;
  if (event == UK_JSON_ARRAY)
    return read_items(reading, place, field, list);
  if (event == UK_JSON_OBJECT && field->type == UK_FIELD_PAIRS)
    return read_pairs(reading, place, field, list);
  if (!may_be_single(field, event))
    return uk_json_refuse_event(reading, place, expected[field->type], event);
  void *item = next_item(reading, place, field, list, &capacity);
  return item != NULL && read_item(reading, place, field, event, item);
}

static bool read_value(struct uk_json_reading *reading, const struct uk_json_place *place,
                       const struct uk_json_field *field, enum uk_json_event event, void *target)
{
  static bool (*const readers[])(struct uk_json_reading *, const struct uk_json_place *,
                                 const struct uk_json_field *, enum uk_json_event, void *) = {
    [UK_FIELD_TEXT] = read_text,  [UK_FIELD_TEXT_OR_NULL] = read_text,
    [UK_FIELD_VALUE] = read_text, [UK_FIELD_INTEGER] = read_integer,
    [UK_FIELD_TEXTS] = read_list, [UK_FIELD_OBJECTS] = read_list,
    [UK_FIELD_PAIRS] = read_list, [UK_FIELD_SOME_OBJECTS] = read_list,
  };
  return readers[field->type](reading, place, field, event, target);
}

/* The field of that name, or NULL. Reading the first byte of an empty name is safe: a quote follows
 * it. */
static const struct uk_json_field *find_field(const struct uk_json_shape *shape,
                                              struct uk_slice name)
{
  const struct uk_json_field *end = shape->fields + shape->field_count;
  char first = name.data[0];
  for (const struct uk_json_field *field = shape->fields; field != end; field++) {
    if (field->name[0] == first && uk_slice_is(name, field->name))
      return field;
  }
  return NULL;
}

/* Whether null means that the field is absent. */
static bool is_absent(const struct uk_json_field *field, enum uk_json_event event)
{
  return event == UK_JSON_NULL && !field->required && field->type != UK_FIELD_TEXT_OR_NULL &&
         field->type != UK_FIELD_VALUE;
}

static bool read_field(struct uk_json_reading *reading, const struct uk_json_place *place,
                       const struct uk_json_shape *shape, void *object, uint32_t *seen)
{
  struct uk_slice name = reading->json.string;
  const struct uk_json_field *field = find_field(shape, name);
  if (field == NULL)
    return uk_json_refuse_name(reading, place, shape, name);
  struct uk_json_place here = {.parent = place, .name = name};
  uint32_t bit = UINT32_C(1) << (field - shape->fields);
  if ((*seen & bit) != 0)
    return uk_json_refuse(reading, &here, "given twice");
  *seen |= bit;
  enum uk_json_event event = uk_json_next(&reading->json);
  return is_absent(field, event) ||
         read_value(reading, &here, field, event, (char *)object + field->offset);
}

static bool has_required(struct uk_json_reading *reading, const struct uk_json_place *place,
                         const struct uk_json_shape *shape, uint32_t seen)
{
  for (size_t i = 0; i < shape->field_count; i++) {
    if (!shape->fields[i].required || (seen >> i & 1) != 0)
      continue;
    struct uk_json_place missing = {.parent = place, .name = uk_slice_text(shape->fields[i].name)};
    return uk_json_refuse(reading, &missing, "missing");
  }
  return true;
}

static bool read_object(struct uk_json_reading *reading, const struct uk_json_place *place,
                        const struct uk_json_shape *shape, void *object)
{
  enum uk_json_event event;
  uint32_t seen = 0;
  while ((event = uk_json_next(&reading->json)) == UK_JSON_KEY) {
    if (!read_field(reading, place, shape, object, &seen))
      return false;
  }
  if (event != UK_JSON_OBJECT_END)
    return uk_json_refuse_event(reading, place, "field", event);
  return has_required(reading, place, shape, seen);
}

/* False if there is nothing to read. */
static bool start(struct uk_json_reading *reading, struct uk_request *request)
{
  static const char mark[] = {'\xef', '\xbb', '\xbf'};
  bool marked =
    request->body_length >= sizeof mark && memcmp(request->body, mark, sizeof mark) == 0;
  *reading = (struct uk_json_reading){.request = request, .skipped = marked ? sizeof mark : 0};
  size_t length = request->body_length - reading->skipped;
  if (length == 0)
    return false;
  uk_json_reader_init(&reading->json, request->body + reading->skipped, length,
                      UK_JSON_TRAILING_COMMA | UK_JSON_STRICT_SURROGATE);
  return true;
}

static bool end(struct uk_json_reading *reading, const struct uk_json_place *body)
{
  enum uk_json_event event = uk_json_next(&reading->json);
  return event == UK_JSON_END || uk_json_refuse_event(reading, body, "nothing more", event);
}

bool uk_json_read_objects(struct uk_request *request, const struct uk_json_shape *shape,
                          int64_t most, struct uk_json_list *out)
{
  const struct uk_json_place body = {0};
  const struct uk_json_field items = {.type = UK_FIELD_OBJECTS, .most = most, .shape = shape};
  struct uk_json_reading reading;
  size_t capacity = 0;
  *out = (struct uk_json_list){0};
  if (!start(&reading, request))
    return true;
  enum uk_json_event event = uk_json_next(&reading.json);
  if (event == UK_JSON_ARRAY)
    return read_list(&reading, &body, &items, event, out) && end(&reading, &body);
  if (event != UK_JSON_OBJECT)
    return uk_json_refuse_event(&reading, &body, "object or array of objects", event);
  void *object = add_item(&reading, out, &capacity, shape->size);
  out->given = true;
  if (object == NULL)
    return uk_json_refuse_memory(&reading);
  return read_object(&reading, &body, shape, object) && end(&reading, &body);
}

bool uk_json_read_object(struct uk_request *request, const struct uk_json_shape *shape, void *out)
{
  struct uk_json_list list;
  struct uk_json_reading reading = {.request = request};
  const struct uk_json_place body = {0};
  memset(out, 0, shape->size);
  if (!uk_json_read_objects(request, shape, 1, &list))
    return false;
  if (!list.given)
    return has_required(&reading, &body, shape, 0);
  if (list.count == 0)
    return uk_json_refuse(&reading, &body, "object expected, got an empty array");
  memcpy(out, list.items, shape->size);
  return true;
}

void uk_json_field_place(char *out, size_t size, const struct uk_json_list *list, size_t index,
                         const char *name)
{
  const struct uk_json_place body = {0};
  const struct uk_json_place named = {.parent = &body,
                                      .name = uk_slice_text(list->name != NULL ? list->name : "")};
  const bool is_own = index < list->own;
  const struct uk_json_place *whole = list->name != NULL && !is_own ? &named : &body;
  const struct uk_json_place item = {.parent = whole, .index = index - list->own};
  const struct uk_json_place field = {.parent = list->array && !is_own ? &item : whole,
                                      .name = uk_slice_text(name)};
  uk_json_write_place(out, size, &field);
}
