/* json_reader: RFC 8259 as a function of bytes.
 *
 * A pull reader: uk_json_next returns one event after another. It allocates nothing, keeps no
 * globals and calls nobody, so the caller may leave at any point (a Lua error included). The bytes
 * are its to change: escapes are undone in place, and a string's slice points into them.
 *
 * It takes everything that RFC 8259 takes and refuses the rest: invalid UTF-8, control characters
 * in strings, leading zeros, NaN, a byte order mark, anything behind the value. Nesting is bounded
 * by UK_JSON_DEPTH_MAX, or UK_JSON_DEEP_MAX with UK_JSON_DEEP; a value that is taken as it was sent
 * (uk_json_raw) has UK_JSON_DEEP_MAX levels of its own. It never reads a byte at or past data +
 * length. */
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
  UK_JSON_ERROR = 0, /* `error` and `position` say what and where; every later call repeats it */
  UK_JSON_END,       /* the one value is complete and only white space followed */
  UK_JSON_OBJECT,
  UK_JSON_OBJECT_END,
  UK_JSON_ARRAY,
  UK_JSON_ARRAY_END,
  UK_JSON_KEY,     /* `string` */
  UK_JSON_STRING,  /* `string` */
  UK_JSON_INTEGER, /* `integer`: no fraction, no exponent, fits 64 bits, is not "-0" */
  UK_JSON_NUMBER, /* any other number: `string` is its text, `number` the nearest double, which past
                      the range of doubles is an infinity or a zero; the locale changes nothing */
  UK_JSON_TRUE,
  UK_JSON_FALSE,
  UK_JSON_NULL
};

enum uk_json_flag {
  UK_JSON_TRAILING_COMMA = 1,   /* `[1,]` and `{"a":1,}` pass */
  UK_JSON_STRICT_SURROGATE = 2, /* a lone \uD800..\uDFFF is an error; without it, U+FFFD */
  UK_JSON_AS_SENT = 4,          /* escapes are checked and left as they are */
  UK_JSON_ANY_BYTES = 8,        /* strings may hold invalid UTF-8, which is kept as it is */
  UK_JSON_DEEP = 16             /* up to UK_JSON_DEEP_MAX levels */
};

/* X(NAME, text): what can be wrong, as a phrase that follows "malformed JSON at byte N: " */
#define UK_JSON_ERRORS(X)                                                                          \
  X(NONE, "nothing")                                                                               \
  X(EMPTY, "the text is empty")                                                                    \
  X(CUT_OFF, "the text ends too early")                                                            \
  X(EXPECTED_VALUE, "expected a value")                                                            \
  X(EXPECTED_KEY, "expected a string as key")                                                      \
  X(EXPECTED_COLON, "expected ':' behind a key")                                                   \
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
  /* What the last event carries. */
  struct uk_slice string;
  int64_t integer;
  double number;
  enum uk_json_error error;
  size_t position; /* of the last event's first byte, or of the error; counted from 0 */

  /* The reader's own. */
  char *data, *at, *end;
  unsigned flags;
  unsigned depth, depth_max;
  uint64_t objects; /* bit d: the level d of the 64 innermost that share a word is an object */
  /* The words of the levels around them; a raw value's are on top of a deep text's. */
  uint64_t outer[2 * UK_JSON_DEEP_MAX / UK_JSON_DEPTH_MAX];
  unsigned char expect;
};

/* `data` may be NULL when length is 0. */
void uk_json_reader_init(struct uk_json_reader *reader, char *data, size_t length, unsigned flags);

enum uk_json_event uk_json_next(struct uk_json_reader *reader);

/* A guess at the next key: when the next bytes are exactly `quoted`, `"name":` without white
 * space, behind the comma if there has to be one, passes over them, and the next event is that
 * key's value. False otherwise, with nothing changed. */
bool uk_json_take_key(struct uk_json_reader *reader, struct uk_slice quoted);

/* After an OBJECT, ARRAY, KEY or scalar event `event`: passes over the rest of that value (for a
 * KEY: over its value). Returns the event that closed it, or UK_JSON_ERROR. */
enum uk_json_event uk_json_skip(struct uk_json_reader *reader, enum uk_json_event event);

/* After an OBJECT, ARRAY, number or literal event `event`: passes over the rest of that value and
 * sets `raw` to its text as it was sent, white space and escapes included. The text is plain
 * RFC 8259: a trailing comma in it is an error, whatever the flags; half of a surrogate pair is
 * not, since it stays an escape. The value may have UK_JSON_DEEP_MAX levels, wherever it stands.
 * Returns the event that closed the value, or UK_JSON_ERROR. */
enum uk_json_event uk_json_raw(struct uk_json_reader *reader, enum uk_json_event event,
                               struct uk_slice *raw);

const char *uk_json_error_text(enum uk_json_error error);

#endif
