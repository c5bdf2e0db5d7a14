#include "binding/place_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_DIGITS_MAX = 9 };

static bool is_name(char byte)
{
  return isalnum((unsigned char)byte) || byte == '_' || byte == '.';
}

/* The length of "[DIGITS]" at the start of the text, which is not empty; 0 when there is none. */
static size_t index_length(struct uk_slice text)
{
  size_t at = 1;
  if (text.data[0] != '[')
    return 0;
  while (at < text.length && isdigit((unsigned char)text.data[at]))
    at++;
  const bool closed = at > 1 && at < text.length && text.data[at] == ']';
  return closed && at - 1 <= INDEX_DIGITS_MAX ? at + 1 : 0;
}

static struct uk_slice after(struct uk_slice text, size_t length)
{
  return uk_slice_of(text.data + length, text.length - length);
}

/* The length of a place such as "[0].headers[1].key" before a colon; 0 when there is none with an
 * index. */
static size_t place_length(struct uk_slice text)
{
  size_t at = 0;
  bool indexed = false;
  while (at < text.length && text.data[at] != ':') {
    const size_t index = index_length(after(text, at));
    if (index == 0 && !is_name(text.data[at]))
      return 0;
    indexed = indexed || index > 0;
    at += index > 0 ? index : 1;
  }
  return indexed && at < text.length ? at : 0;
}

/* The list that "[..." or "topicPartitionOffsets[..." stands for. */
static struct uk_slice take_list(struct uk_slice *place, const char *list)
{
  static const char fetched[] = "topicPartitionOffsets[";
  const size_t length = sizeof fetched - 2;
  if (list == NULL)
    return uk_slice_of("", 0);
  if (place->length > length && memcmp(place->data, fetched, length + 1) == 0)
    *place = after(*place, length);
  return place->data[0] == '[' ? uk_slice_text(list) : uk_slice_of("", 0);
}

struct uk_slice uk_lua_place_text(char out[UK_PLACE_TEXT_SIZE], struct uk_slice text,
                                  const char *list)
{
  const size_t length = place_length(text);
  if (length == 0 || text.length > UK_PLACE_TEXT_SIZE / 2)
    return text;
  struct uk_slice place = uk_slice_of(text.data, length), rest = after(text, length);
  const struct uk_slice name = take_list(&place, list);
  size_t at = (size_t)snprintf(out, UK_PLACE_TEXT_SIZE, "%.*s", (int)name.length, name.data);
  while (place.length > 0) {
    const size_t index = index_length(place);
    if (index > 0)
      at += (size_t)snprintf(out + at, UK_PLACE_TEXT_SIZE - at, "[%ld]",
                             strtol(place.data + 1, NULL, 10) + 1);
    else
      out[at++] = place.data[0];
    place = after(place, index > 0 ? index : 1);
  }
  memcpy(out + at, rest.data, rest.length);
  return uk_slice_of(out, at + rest.length);
}
