#include "common/nearest.h"

#include <stdint.h>

enum { LENGTH_MAX = 64 };

static struct uk_slice shorten(struct uk_slice name)
{
  return uk_slice_of(name.data, name.length < LENGTH_MAX ? name.length : LENGTH_MAX);
}

static char lower(char c)
{
  return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static size_t least(size_t a, size_t b)
{
  return a < b ? a : b;
}

/* The number of letters to insert, delete or replace (Levenshtein). `row[j]` is that number for the
 * letters of `a` read so far and the first j letters of `b`. */
static size_t distance(struct uk_slice a, struct uk_slice b)
{
  size_t row[LENGTH_MAX + 1];
  for (size_t j = 0; j <= b.length; j++)
    row[j] = j;
  for (size_t i = 0; i < a.length; i++) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.length; j++) {
      size_t replaced = diagonal + (lower(a.data[i]) != lower(b.data[j]));
      diagonal = row[j + 1];
      row[j + 1] = least(replaced, least(row[j], diagonal) + 1);
    }
  }
  return row[b.length];
}

const char *uk_nearest(struct uk_slice name, const char *const *names, size_t count)
{
  const char *nearest = NULL;
  size_t best = SIZE_MAX;
  name = shorten(name);
  for (size_t i = 0; i < count && names[i] != NULL; i++) {
    size_t changes = distance(name, shorten(uk_slice_text(names[i])));
    if (changes < best) {
      best = changes;
      nearest = names[i];
    }
  }
  return nearest;
}
