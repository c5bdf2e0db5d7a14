/* json_parts: what the parts of the JSON reader tell each other. Private to them. */
#ifndef UK_JSON_PARTS_H
#define UK_JSON_PARTS_H

#include "common/json_reader.h"

/* Notes the error; the reader returns nothing but errors from then on. Returns NULL. */
char *uk_json_fail(struct uk_json_reader *reader, const char *at, enum uk_json_error error);

/* The rest of a string: `start` is behind its opening quote, `at` at its first byte that is not
 * plain. Returns the byte behind the closing quote, or NULL having failed. */
char *uk_json_read_string(struct uk_json_reader *reader, char *start, char *at);

/* A number from its first byte, a digit or '-'. Returns the byte behind it and sets `event`, or
 * NULL having failed. */
char *uk_json_read_number(struct uk_json_reader *reader, char *at, enum uk_json_event *event);

#endif
