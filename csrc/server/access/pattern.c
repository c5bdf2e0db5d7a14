#include "server/access/pattern.h"

bool uk_pattern_read(struct uk_pattern *pattern, struct uk_slice text)
{
  if (text.length == 0)
    return false;
  pattern->prefix = text.data[text.length - 1] == '*';
  pattern->text = uk_slice_of(text.data, text.length - pattern->prefix);
  return pattern->text.length == 0 || memchr(text.data, '*', pattern->text.length) == NULL;
}

bool uk_pattern_matches(const struct uk_pattern *pattern, struct uk_slice name)
{
  const size_t length = pattern->text.length;
  if (!pattern->prefix)
    return uk_slice_equal(pattern->text, name);
  return name.length >= length &&
         (length == 0 || memcmp(name.data, pattern->text.data, length) == 0);
}
