/* json_parts: the parts of the JSON reader, for the reader alone. They call nothing of the
 * reader's. */
#ifndef UK_JSON_PARTS_H
#define UK_JSON_PARTS_H

#include "common/json_reader.h"

/* What may come next, white space aside: uk_json_reader.expect. */
enum {
  UK_JSON_EXPECT_VALUE,
  UK_JSON_EXPECT_FIRST_VALUE, /* or the array's end */
  UK_JSON_EXPECT_FIRST_KEY,   /* or the object's end */
  UK_JSON_EXPECT_COLON,
  UK_JSON_EXPECT_COMMA,  /* or the end of what is open */
  UK_JSON_EXPECT_END,    /* of the text */
  UK_JSON_EXPECT_NOTHING /* after an error */
};

/* Records the error. From then on the reader returns nothing but errors. Returns NULL. */
static inline char *uk_json_fail(struct uk_json_reader *reader, const char *at,
                                 enum uk_json_error error)
{
  reader->error = error;
  reader->position = (size_t)(at - reader->data);
  reader->expect = UK_JSON_EXPECT_NOTHING;
  return NULL;
}

/* Reads the rest of a string: `start` is after its opening quote, `at` at its first byte that is
 * not plain. Returns the byte after the closing quote, or NULL after uk_json_fail. */
char *uk_json_read_string(struct uk_json_reader *reader, char *start, char *at);

/* Reads a number from its first byte, a digit or '-'. Returns the byte after it and sets `event`,
 * or returns NULL after uk_json_fail. */
char *uk_json_read_number(struct uk_json_reader *reader, char *at, enum uk_json_event *event);

#endif
