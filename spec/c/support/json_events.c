#include "json_events.h"

#include <stdarg.h>

#include "check.h"
#include "common/json_reader.h"
#include "common/utf8.h"
#include "guard.h"

static struct {
  char text[1 << 16];
  size_t length;
} line;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  size_t room = sizeof line.text - line.length;
  int length = vsnprintf(line.text + line.length, room, format, arguments);
  va_end(arguments);
  line.length += (size_t)length < room ? (size_t)length : room - 1;
}

static void say_bytes(struct uk_slice bytes)
{
  if (bytes.length < sizeof line.text - line.length) {
    memcpy(line.text + line.length, bytes.data, bytes.length);
    line.length += bytes.length;
  }
}

static const char *const error_names[] = {
#define ERROR_NAME(name, text) #name,
  UK_JSON_ERRORS(ERROR_NAME)
#undef ERROR_NAME
};

static void say_event(const struct uk_json_reader *reader, enum uk_json_event event)
{
  static const char *const words[] = {
    [UK_JSON_END] = ".",     [UK_JSON_OBJECT] = "{",    [UK_JSON_OBJECT_END] = "}",
    [UK_JSON_ARRAY] = "[",   [UK_JSON_ARRAY_END] = "]", [UK_JSON_TRUE] = "t",
    [UK_JSON_FALSE] = "f",   [UK_JSON_NULL] = "z",      [UK_JSON_KEY] = ":",
    [UK_JSON_STRING] = "\"",
  };
  if (line.length > 0)
    say(" ");
  if (event == UK_JSON_STRING)
    say("\"");
  if (event == UK_JSON_STRING || event == UK_JSON_KEY)
    say_bytes(reader->string);
  if (event == UK_JSON_INTEGER)
    say("%lld", (long long)reader->integer);
  else if (event == UK_JSON_NUMBER)
    say("~%.17g", reader->number);
  else if (event == UK_JSON_ERROR)
    say("!%s@%zu", error_names[reader->error], reader->position);
  else
    say("%s", words[event]);
}

/* What holds after every event. */
static void check_event(const struct uk_json_reader *reader, enum uk_json_event event,
                        const char *data, size_t length)
{
  struct uk_slice string = reader->string;
  CHECK(reader->position <= length);
  CHECK(reader->depth <= UK_JSON_DEPTH_MAX);
  CHECK((event == UK_JSON_ERROR) == (reader->error != UK_JSON_E_NONE));
  if (event == UK_JSON_KEY || event == UK_JSON_STRING) {
    CHECK(string.data > data && string.data + string.length < data + length);
    CHECK((reader->flags & UK_JSON_ANY_BYTES) != 0 || uk_utf8_valid(string.data, string.length));
  }
}

static enum uk_json_event read_all(struct uk_json_reader *reader, const char *data, size_t length,
                                   bool say_all)
{
  enum uk_json_event event;
  size_t events = 0;
  do {
    event = uk_json_next(reader);
    check_event(reader, event, data, length);
    if (say_all)
      say_event(reader, event);
  } while (event != UK_JSON_ERROR && event != UK_JSON_END && CHECK(events++ <= length));
  size_t position = reader->position;
  CHECK_EQ_INT(uk_json_next(reader), event);
  CHECK_EQ_INT(reader->position, position);
  return event;
}

const char *json_events(const void *text, size_t length, unsigned flags)
{
  struct uk_json_reader reader;
  char *copy = guard_copy(text, length);
  line.length = 0;
  uk_json_reader_init(&reader, copy, length, flags);
  read_all(&reader, copy, length, true);
  line.text[line.length] = '\0';
  guard_free(copy, length);
  return line.text;
}

bool json_accepts(const void *text, size_t length, unsigned flags, int *error, size_t *position)
{
  struct uk_json_reader reader;
  char *copy = guard_copy(text, length);
  uk_json_reader_init(&reader, copy, length, flags);
  bool accepts = read_all(&reader, copy, length, false) == UK_JSON_END;
  *error = (int)reader.error;
  *position = reader.position;
  guard_free(copy, length);
  return accepts;
}

/* Undoes %HH and %-. False when there is something else behind a '%'. */
static bool decode_case(struct json_case *json_case)
{
  char *out = json_case->text;
  const char *in = strcmp(out, "%-") == 0 ? "" : out;
  while (*in != '\0') {
    unsigned byte = (unsigned char)*in++;
    if (byte == '%') {
      if (sscanf(in, "%2X", &byte) != 1)
        return false;
      in += 2;
    }
    *out++ = (char)byte;
  }
  *out = '\0';
  json_case->length = (size_t)(out - json_case->text);
  return true;
}

bool json_each_case(void (*check)(const struct json_case *json_case))
{
  static struct json_case json_case;
  char row[4096];
  FILE *file = fopen("spec/json/cases.txt", "r");
  int cases = 0;
  bool ok = file != NULL;
  while (ok && fgets(row, sizeof row, file) != NULL) {
    if (row[0] == '#' || row[0] == '\n')
      continue;
    ok = sscanf(row, "%11[a-z]\t%119[^\t\n]\t%2047[^\n]", json_case.verdict, json_case.name,
                json_case.text) == 3 &&
         decode_case(&json_case);
    cases += ok;
    if (ok)
      check(&json_case);
  }
  if (file != NULL)
    fclose(file);
  return ok && cases >= 250;
}
