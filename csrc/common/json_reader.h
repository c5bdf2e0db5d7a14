/* json_reader: a reader of JSON (RFC 8259) in memory.
 *
 * A pull reader: uk_json_next returns one event after another. It allocates nothing, has no globals
 * and no callbacks, so the caller may stop at any point, also by a Lua error. It changes the bytes:
 * escapes are decoded in place, and the slice of a string points into them.
 *
 * It accepts exactly RFC 8259, and refuses invalid UTF-8, control characters in strings, leading
 * zeros, NaN, a byte order mark, and anything after the value. Nesting is limited to
 * UK_JSON_DEPTH_MAX, or UK_JSON_DEEP_MAX with UK_JSON_DEEP; a value that is read with uk_json_raw
 * has UK_JSON_DEEP_MAX levels of its own. It never reads a byte at or after data + length. */
#ifndef UK_JSON_READER_H
#define UK_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

enum {
  UK_JSON_DEPTH_MAX = 64, /* levels that fit one word */
  UK_JSON_DEEP_MAX = 1000
};

enum uk_json_event {
  UK_JSON_ERROR = 0, /* see `error` and `position`; every later call returns it again */
  UK_JSON_END,       /* the value is complete, and only white space followed */
  UK_JSON_OBJECT,
  UK_JSON_OBJECT_END,
  UK_JSON_ARRAY,
  UK_JSON_ARRAY_END,
  UK_JSON_KEY,     /* `string` */
  UK_JSON_STRING,  /* `string` */
  UK_JSON_INTEGER, /* `integer`: no fraction, no exponent, fits 64 bits, is not "-0" */
  UK_JSON_NUMBER,  /* any other number: `string` is its text, `number` the nearest double: an
                      infinity or zero beyond the range of doubles. Independent of the locale. */
  UK_JSON_TRUE,
  UK_JSON_FALSE,
  UK_JSON_NULL
};

enum uk_json_flag {
  UK_JSON_TRAILING_COMMA = 1,   /* `[1,]` and `{"a":1,}` are accepted */
  UK_JSON_STRICT_SURROGATE = 2, /* a lone \uD800..\uDFFF is an error; without it, U+FFFD */
  UK_JSON_AS_SENT = 4,          /* escapes are checked, but not decoded */
  UK_JSON_ANY_BYTES = 8,        /* strings may contain invalid UTF-8, which is kept */
  UK_JSON_DEEP = 16             /* up to UK_JSON_DEEP_MAX levels */
};

/* X(NAME, text): the text follows "malformed JSON at byte N: ". */
#define UK_JSON_ERRORS(X)                                                                          \
  X(NONE, "nothing")                                                                               \
  X(EMPTY, "the text is empty")                                                                    \
  X(CUT_OFF, "the text ends too early")                                                            \
  X(EXPECTED_VALUE, "expected a value")                                                            \
  X(EXPECTED_KEY, "expected a string as key")                                                      \
  X(EXPECTED_COLON, "expected ':' after a key")                                                    \
  X(EXPECTED_COMMA, "expected ',' or the closing bracket")                                         \
  X(TRAILING_COMMA, "a comma before the closing bracket")                                          \
  X(BAD_LITERAL, "expected true, false or null")                                                   \
  X(BAD_NUMBER, "malformed number")                                                                \
  X(BAD_ESCAPE, "unknown escape in a string")                                                      \
  X(BAD_UNICODE, "malformed \\u escape")                                                           \
  X(BAD_SURROGATE, "half of a surrogate pair")                                                     \
  X(BAD_UTF8, "invalid UTF-8")                                                                     \
  X(CONTROL, "unescaped control character in a string")                                            \
  X(DEPTH, "nested too deep")                                                                      \
  X(TRAILING, "something follows the value")

enum uk_json_error {
#define UK_JSON_ERROR_ENUM(name, text) UK_JSON_E_##name,
  UK_JSON_ERRORS(UK_JSON_ERROR_ENUM)
#undef UK_JSON_ERROR_ENUM
};

struct uk_json_reader {
  /* Of the last event. */
  struct uk_slice string;
  int64_t integer;
  double number;
  enum uk_json_error error;
  size_t position; /* of the first byte of the event, or of the error; from 0 */

  /* Private. */
  char *data, *at, *end;
  unsigned flags;
  unsigned depth, depth_max;
  uint64_t objects; /* one bit per level of the innermost word of 64: 1 = an object */
  /* The words of the outer levels; those of a raw value come on top of those of a deep text. */
  uint64_t outer[2 * UK_JSON_DEEP_MAX / UK_JSON_DEPTH_MAX];
  unsigned char expect;
};

/* `data` may be NULL when length is 0. */
void uk_json_reader_init(struct uk_json_reader *reader, char *data, size_t length, unsigned flags);

enum uk_json_event uk_json_next(struct uk_json_reader *reader);

/* Guesses the next key: if the next bytes are exactly `quoted`, which is `"name":` without white
 * space, after a comma if one is needed, skips them; the next event is the value of the key. False
 * otherwise, with nothing changed. */
bool uk_json_take_key(struct uk_json_reader *reader, struct uk_slice quoted);

/* After an OBJECT, ARRAY, KEY or scalar event `event`: skips the rest of that value, or the value
 * of the key. Returns the event that completed it, or UK_JSON_ERROR. */
enum uk_json_event uk_json_skip(struct uk_json_reader *reader, enum uk_json_event event);

/* After an OBJECT, ARRAY, number or literal event `event`: skips the rest of that value and sets
 * `raw` to its text as it was sent, including white space and escapes. The text is plain RFC 8259:
 * a trailing comma is an error whatever the flags. Half of a surrogate pair is not, since it stays
 * an escape. The value may have UK_JSON_DEEP_MAX levels, at whatever level it is. Returns the event
 * that completed the value, or UK_JSON_ERROR. */
enum uk_json_event uk_json_raw(struct uk_json_reader *reader, enum uk_json_event event,
                               struct uk_slice *raw);

const char *uk_json_error_text(enum uk_json_error error);

#endif
