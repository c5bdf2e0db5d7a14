#include "common/json_reader.h"

#include "common/json_parts.h"
#include "common/scan.h"

void uk_json_reader_init(struct uk_json_reader *reader, char *data, size_t length, unsigned flags)
{
  *reader = (struct uk_json_reader){.data = data,
                                    .at = data,
                                    .end = length > 0 ? data + length : data,
                                    .flags = flags,
                                    .depth_max = (flags & UK_JSON_DEEP) != 0 ? UK_JSON_DEEP_MAX
                                                                             : UK_JSON_DEPTH_MAX,
                                    .expect = UK_JSON_EXPECT_VALUE};
}

static enum uk_json_event fail(struct uk_json_reader *reader, const char *at,
                               enum uk_json_error error)
{
  uk_json_fail(reader, at, error);
  return UK_JSON_ERROR;
}

static inline char *skip_space(char *at, const char *end)
{
  while (at != end && (unsigned char)*at <= ' ' &&
         (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
    at++;
  return at;
}

static inline bool in_object(const struct uk_json_reader *reader)
{
  return (reader->objects >> (reader->depth - 1) % UK_JSON_DEPTH_MAX & 1) != 0;
}

/* Continues at `at`, after a complete value. */
static inline enum uk_json_event after_value(struct uk_json_reader *reader, char *at,
                                             enum uk_json_event event)
{
  reader->at = at;
  reader->expect = reader->depth > 0 ? UK_JSON_EXPECT_COMMA : UK_JSON_EXPECT_END;
  return event;
}

static enum uk_json_event open_level(struct uk_json_reader *reader, char *at, bool object)
{
  const unsigned level = reader->depth;
  if (level == reader->depth_max)
    return fail(reader, at, UK_JSON_E_DEPTH);
  if (level % UK_JSON_DEPTH_MAX == 0 && level > 0)
    reader->outer[level / UK_JSON_DEPTH_MAX - 1] = reader->objects;
  uint64_t bit = UINT64_C(1) << level % UK_JSON_DEPTH_MAX;
  reader->depth++;
  reader->objects = object ? reader->objects | bit : reader->objects & ~bit;
  reader->at = at + 1;
  reader->expect = object ? UK_JSON_EXPECT_FIRST_KEY : UK_JSON_EXPECT_FIRST_VALUE;
  return object ? UK_JSON_OBJECT : UK_JSON_ARRAY;
}

static enum uk_json_event close_level(struct uk_json_reader *reader, char *at)
{
  enum uk_json_event event = in_object(reader) ? UK_JSON_OBJECT_END : UK_JSON_ARRAY_END;
  const unsigned level = --reader->depth;
  if (level % UK_JSON_DEPTH_MAX == 0 && level > 0)
    reader->objects = reader->outer[level / UK_JSON_DEPTH_MAX - 1];
  return after_value(reader, at + 1, event);
}

/* Reads a string from its opening quote. Returns the byte after the closing one, or NULL. Most
 * strings are plain and end here. */
static inline char *read_string(struct uk_json_reader *reader, char *at)
{
  char *start = at + 1;
  char *stop = start + (uk_scan_plain(start, reader->end) - start);
  if (stop == reader->end || *stop != '"')
    return uk_json_read_string(reader, start, stop);
  reader->string = uk_slice_of(start, (size_t)(stop - start));
  return stop + 1;
}

static enum uk_json_event read_literal(struct uk_json_reader *reader, char *at, const char *word,
                                       enum uk_json_event event)
{
  for (char *next = at; next != reader->end; next++) {
    if (*next != *word++)
      return fail(reader, at, UK_JSON_E_BAD_LITERAL);
    if (*word == '\0')
      return after_value(reader, next + 1, event);
  }
  return fail(reader, reader->end, UK_JSON_E_CUT_OFF);
}

static enum uk_json_event read_number(struct uk_json_reader *reader, char *at)
{
  enum uk_json_event event;
  char *behind = uk_json_read_number(reader, at, &event);
  return behind != NULL ? after_value(reader, behind, event) : UK_JSON_ERROR;
}

static enum uk_json_event read_string_value(struct uk_json_reader *reader, char *at)
{
  char *behind = read_string(reader, at);
  return behind != NULL ? after_value(reader, behind, UK_JSON_STRING) : UK_JSON_ERROR;
}

static enum uk_json_event read_value(struct uk_json_reader *reader, char *at)
{
  switch (*at) {
  case '"': return read_string_value(reader, at);
  case '{': return open_level(reader, at, true);
  case '[': return open_level(reader, at, false);
  case 't': return read_literal(reader, at, "true", UK_JSON_TRUE);
  case 'f': return read_literal(reader, at, "false", UK_JSON_FALSE);
  case 'n': return read_literal(reader, at, "null", UK_JSON_NULL);
  default:
    if (*at == '-' || (*at >= '0' && *at <= '9'))
      return read_number(reader, at);
    return fail(reader, at, UK_JSON_E_EXPECTED_VALUE);
  }
}

static enum uk_json_event read_key(struct uk_json_reader *reader, char *at)
{
  if (*at != '"')
    return fail(reader, at, UK_JSON_E_EXPECTED_KEY);
  char *behind = read_string(reader, at);
  if (behind == NULL)
    return UK_JSON_ERROR;
  reader->at = behind;
  reader->expect = UK_JSON_EXPECT_COLON;
  return UK_JSON_KEY;
}

/* The text has ended: an error unless the value is complete. */
static enum uk_json_event read_end(struct uk_json_reader *reader, char *at)
{
  bool nothing_yet = reader->expect == UK_JSON_EXPECT_VALUE && reader->depth == 0;
  reader->position = (size_t)(at - reader->data);
  if (reader->expect == UK_JSON_EXPECT_END)
    return UK_JSON_END;
  return fail(reader, at, nothing_yet ? UK_JSON_E_EMPTY : UK_JSON_E_CUT_OFF);
}

/* Skips the byte at `at` and white space. NULL, after uk_json_fail, at the end of the text. */
static inline char *next_token(struct uk_json_reader *reader, char *at)
{
  at = skip_space(at + 1, reader->end);
  if (at == reader->end)
    return uk_json_fail(reader, at, UK_JSON_E_CUT_OFF);
  reader->position = (size_t)(at - reader->data);
  return at;
}

static enum uk_json_event read_after_comma(struct uk_json_reader *reader, char *comma)
{
  bool object = in_object(reader);
  char *at = next_token(reader, comma);
  if (at == NULL)
    return UK_JSON_ERROR;
  if (*at == (object ? '}' : ']')) {
    if ((reader->flags & UK_JSON_TRAILING_COMMA) == 0)
      return fail(reader, comma, UK_JSON_E_TRAILING_COMMA);
    return close_level(reader, at);
  }
  return object ? read_key(reader, at) : read_value(reader, at);
}

static enum uk_json_event read_comma(struct uk_json_reader *reader, char *at)
{
  if (*at == ',')
    return read_after_comma(reader, at);
  if (*at == (in_object(reader) ? '}' : ']'))
    return close_level(reader, at);
  return fail(reader, at, UK_JSON_E_EXPECTED_COMMA);
}

static enum uk_json_event read_colon(struct uk_json_reader *reader, char *at)
{
  if (*at != ':')
    return fail(reader, at, UK_JSON_E_EXPECTED_COLON);
  at = next_token(reader, at);
  return at != NULL ? read_value(reader, at) : UK_JSON_ERROR;
}

enum uk_json_event uk_json_next(struct uk_json_reader *reader)
{
  if (reader->expect == UK_JSON_EXPECT_NOTHING)
    return UK_JSON_ERROR;
  char *at = skip_space(reader->at, reader->end);
  if (at == reader->end)
    return read_end(reader, at);
  reader->position = (size_t)(at - reader->data);
  switch (reader->expect) {
  case UK_JSON_EXPECT_COMMA: return read_comma(reader, at);
  case UK_JSON_EXPECT_COLON: return read_colon(reader, at);
  case UK_JSON_EXPECT_FIRST_KEY: return *at == '}' ? close_level(reader, at) : read_key(reader, at);
  case UK_JSON_EXPECT_FIRST_VALUE:
    return *at == ']' ? close_level(reader, at) : read_value(reader, at);
  case UK_JSON_EXPECT_VALUE: return read_value(reader, at);
  default: return fail(reader, at, UK_JSON_E_TRAILING);
  }
}

bool uk_json_take_key(struct uk_json_reader *reader, struct uk_slice quoted)
{
  char *at = reader->at;
  bool comma =
    reader->expect == UK_JSON_EXPECT_COMMA && in_object(reader) && at != reader->end && *at == ',';
  if (!comma && reader->expect != UK_JSON_EXPECT_FIRST_KEY)
    return false;
  at += comma;
  if ((size_t)(reader->end - at) < quoted.length || memcmp(at, quoted.data, quoted.length) != 0)
    return false;
  reader->at = at + quoted.length;
  reader->expect = UK_JSON_EXPECT_VALUE;
  return true;
}

enum uk_json_event uk_json_skip(struct uk_json_reader *reader, enum uk_json_event event)
{
  if (event == UK_JSON_KEY)
    event = uk_json_next(reader);
  if (event != UK_JSON_OBJECT && event != UK_JSON_ARRAY)
    return event;
  unsigned outside = reader->depth - 1;
  while (event != UK_JSON_ERROR && reader->depth > outside)
    event = uk_json_next(reader);
  return event;
}

enum uk_json_event uk_json_raw(struct uk_json_reader *reader, enum uk_json_event event,
                               struct uk_slice *raw)
{
  const char *start = reader->data + reader->position;
  unsigned flags = reader->flags, depth_max = reader->depth_max;
  reader->flags = UK_JSON_AS_SENT;
  reader->depth_max = reader->depth + UK_JSON_DEEP_MAX - 1; /* its first level is open */
  event = uk_json_skip(reader, event);
  reader->flags = flags;
  reader->depth_max = depth_max;
  *raw = uk_slice_of(start, (size_t)(reader->at - start));
  return event;
}

const char *uk_json_error_text(enum uk_json_error error)
{
  static const char *const texts[] = {
#define UK_JSON_ERROR_TEXT(name, text) text,
    UK_JSON_ERRORS(UK_JSON_ERROR_TEXT)
#undef UK_JSON_ERROR_TEXT
  };
  size_t index = (size_t)error;
  return texts[index < sizeof texts / sizeof texts[0] ? index : UK_JSON_E_NONE];
}
