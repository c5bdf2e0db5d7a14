/* slice: bytes that are owned elsewhere. */
#ifndef UK_SLICE_H
#define UK_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* `data` may be NULL when `length` is 0. Not NUL-terminated unless the owner says so. */
struct uk_slice {
  const char *data;
  size_t length;
};

static inline struct uk_slice uk_slice_of(const char *data, size_t length)
{
  return (struct uk_slice){data, length};
}

static inline struct uk_slice uk_slice_text(const char *text)
{
  return (struct uk_slice){text, strlen(text)};
}

static inline bool uk_slice_equal(struct uk_slice a, struct uk_slice b)
{
  return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool uk_slice_is(struct uk_slice a, const char *text)
{
  return uk_slice_equal(a, uk_slice_text(text));
}

#endif
