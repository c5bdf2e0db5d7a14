/* json_events: what the JSON reader says about a text, as one line for a test to compare, and the
 * cases of spec/json/cases.txt.
 *
 * { } [ ] t f z (null) and . (the end) stand for themselves; a key is `key:`, a string "content"
 * as it is, an integer its digits, another number ~ and 17 digits, an error !NAME@position. One
 * space between them. */
#ifndef JSON_EVENTS_H
#define JSON_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

/* Reads a copy that ends where memory ends, and checks all along what the header of the reader
 * promises. The line lives until the next call. */
const char *json_events(const void *text, size_t length, unsigned flags);

/* The same without the line: whether the reader takes the text, and error and position if not. */
bool json_accepts(const void *text, size_t length, unsigned flags, int *error, size_t *position);

struct json_case {
  char verdict[12]; /* accept, reject, comma, surrogate */
  char name[120];
  char text[2048];
  size_t length;
};

/* Calls `check` with each case. False when the file is malformed or has less than 250 cases. */
bool json_each_case(void (*check)(const struct json_case *json_case));

#endif
