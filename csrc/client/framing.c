#include "client/framing.h"

#include <strings.h>

static bool has_prefix(struct uk_slice line, const char *prefix)
{
  const size_t length = strlen(prefix);
  return line.length >= length && strncasecmp(line.data, prefix, length) == 0;
}

static bool is_blank(char byte)
{
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

bool uk_framing_header(struct uk_slice line, const char *name, struct uk_slice *value)
{
  size_t from = strlen(name), to = line.length;
  if (!has_prefix(line, name) || from == to || line.data[from] != ':')
    return false;
  for (from++; from < to && is_blank(line.data[from]); from++)
    continue;
  while (to > from && is_blank(line.data[to - 1]))
    to--;
  *value = uk_slice_of(line.data + from, to - from);
  return true;
}

void uk_framing_line(struct uk_framing *framing, struct uk_slice line)
{
  struct uk_slice value;
  if (has_prefix(line, "HTTP/"))
    *framing = (struct uk_framing){.headed = false};
  else if (uk_slice_is(line, "\r\n") || uk_slice_is(line, "\n"))
    framing->headed = true;
  else if (uk_framing_header(line, "Content-Length", &value) ||
           uk_framing_header(line, "Transfer-Encoding", &value))
    framing->bounded = true;
}

static bool is_interim(int status)
{
  return status < 200 && status != 101;
}

static bool has_json(int status)
{
  return status >= 200 && status <= 299 && status != 204;
}

bool uk_framing_whole(const struct uk_framing *framing, int status, struct uk_slice body)
{
  if (!framing->headed || is_interim(status))
    return false;
  return framing->bounded || !has_json(status) || !uk_framing_cut(body);
}

/* The first byte that is not white space. */
static size_t first_byte(struct uk_slice json)
{
  size_t at = 0;
  while (at < json.length && is_blank(json.data[at]))
    at++;
  return at;
}

/* The position after the string that begins at `at`; past the length when it does not end. */
static size_t pass_string(struct uk_slice json, size_t at)
{
  for (at++; at < json.length && json.data[at] != '"'; at++)
    if (json.data[at] == '\\')
      at++;
  return at + 1;
}

bool uk_framing_cut(struct uk_slice json)
{
  size_t at = first_byte(json), depth = 0;
  if (at < json.length && json.data[at] != '[' && json.data[at] != '{')
    return false;
  while (at < json.length) {
    const char byte = json.data[at];
    at = byte == '"' ? pass_string(json, at) : at + 1;
    if (byte == '[' || byte == '{')
      depth++;
    else if ((byte == ']' || byte == '}') && --depth == 0)
      return false;
  }
  return true;
}
