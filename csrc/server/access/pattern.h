/* pattern: which names a credential admits: one name, all names with a prefix, or all. */
#ifndef UK_PATTERN_H
#define UK_PATTERN_H

#include <stdbool.h>

#include "common/slice.h"

struct uk_pattern {
  struct uk_slice text; /* the name, or the prefix without its '*' */
  bool prefix;
};

/* Reads "name", "prefix*" or "*"; the pattern points into the text. False if a '*' stands anywhere
 * but at the end, or if the text is empty. */
bool uk_pattern_read(struct uk_pattern *pattern, struct uk_slice text);

bool uk_pattern_matches(const struct uk_pattern *pattern, struct uk_slice name);

#endif
