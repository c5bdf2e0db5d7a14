#include "server/api/json_failure.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/nearest.h"

enum { TEXT_SIZE = 512, NAME_SHOWN = 64 };

static int shown(struct uk_slice text)
{
  return (int)(text.length < NAME_SHOWN ? text.length : NAME_SHOWN);
}

size_t uk_json_write_place(char *out, size_t size, const struct uk_json_place *place)
{
  if (place->parent == NULL)
    return 0;
  size_t length = uk_json_write_place(out, size, place->parent);
  int added = place->name.data == NULL
                ? snprintf(out + length, size - length, "[%zu]", place->index)
                : snprintf(out + length, size - length, "%s%.*s", length > 0 ? "." : "",
                           shown(place->name), place->name.data);
  length += added > 0 ? (size_t)added : 0;
  return length < size ? length : size - 1;
}

bool uk_json_refuse(struct uk_json_reading *reading, const struct uk_json_place *place,
                    const char *format, ...)
{
  char where[UK_PLACE_SIZE], text[TEXT_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  bool somewhere = uk_json_write_place(where, sizeof where, place) > 0;
  uk_request_error(reading->request, UK_E_BAD_REQUEST, "%s: %s", somewhere ? where : "body", text);
  return false;
}

bool uk_json_refuse_memory(struct uk_json_reading *reading)
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

bool uk_json_refuse_event(struct uk_json_reading *reading, const struct uk_json_place *place,
                          const char *expected, enum uk_json_event event)
{
  if (event != UK_JSON_ERROR)
    return uk_json_refuse(reading, place, "%s expected, got %s", expected, kind_of(event));
  uk_request_error(reading->request, UK_E_BAD_REQUEST, "malformed JSON at byte %zu: %s",
                   reading->json.position + reading->skipped,
                   uk_json_error_text(reading->json.error));
  return false;
}

bool uk_json_refuse_integer(struct uk_json_reading *reading, const struct uk_json_place *place,
                            const struct uk_json_field *field, enum uk_json_event event)
{
  char expected[80], got[24];
  struct uk_slice text = reading->json.string;
  snprintf(expected, sizeof expected, "an integer of %lld to %lld", (long long)field->least,
           (long long)field->most);
  if (event == UK_JSON_INTEGER) {
    snprintf(got, sizeof got, "%lld", (long long)reading->json.integer);
    text = uk_slice_text(got);
  } else if (event != UK_JSON_NUMBER && event != UK_JSON_STRING) {
    return uk_json_refuse_event(reading, place, expected, event);
  }
  const char *quote = event == UK_JSON_STRING ? "\"" : "";
  return uk_json_refuse(reading, place, "%s expected, got %s%.*s%s", expected, quote, shown(text),
                        text.data, quote);
}

bool uk_json_refuse_name(struct uk_json_reading *reading, const struct uk_json_place *place,
                         const struct uk_json_shape *shape, struct uk_slice name)
{
  const char *names[UK_SHAPE_FIELDS_MAX];
  for (size_t i = 0; i < shape->field_count; i++)
    names[i] = shape->fields[i].name;
  return uk_json_refuse(reading, place, "unknown field \"%.*s\"; did you mean \"%s\"?", shown(name),
                        name.data, uk_nearest(name, names, shape->field_count));
}
