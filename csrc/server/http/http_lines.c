#include "server/http/http_lines.h"

#include <microhttpd.h>
#include <stdint.h>
#include <string.h>

#include "common/slice.h"

/* The library writes NULs over the colon and over CR LF. */
enum { COLON = 1, LINE_END = 2, DELETE = 0x7f };

struct lines {
  const char *next; /* where the next line begins */
  bool good;
};

static bool is_text(struct uk_slice text)
{
  for (size_t i = 0; i < text.length; i++) {
    const unsigned char byte = (unsigned char)text.data[i];
    if ((byte < ' ' && byte != '\t') || byte == DELETE)
      return false;
  }
  return true;
}

static bool is_blank(const char *from, const char *to)
{
  while (from < to && (*from == ' ' || *from == '\t'))
    from++;
  return from == to;
}

static enum MHD_Result check_line(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t name_length, const char *value, size_t value_length)
{
  struct lines *lines = context;
  (void)kind;
  lines->good = value != NULL && name_length > 0 && name == lines->next &&
                is_blank(name + name_length + COLON, value) &&
                is_text(uk_slice_of(name, name_length)) &&
                is_text(uk_slice_of(value, value_length));
  if (lines->good)
    lines->next = value + value_length + LINE_END;
  return lines->good ? MHD_YES : MHD_NO;
}

bool uk_http_lines_hold(struct MHD_Connection *connection, const char *method, const char *version)
{
  struct lines lines = {version + strlen(version) + LINE_END, true};
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  const size_t size = info != NULL ? info->header_size : 0;
  MHD_get_connection_values_n(connection, MHD_HEADER_KIND, check_line, &lines);
  return lines.good && lines.next + LINE_END == method + size;
}

static bool ends_line(const char *start, const char *end)
{
  return end - start >= LINE_END && end[-2] == '\r' && end[-1] == '\n';
}

bool uk_http_chunk_holds(const char *start, size_t room, const char *data)
{
  const uintptr_t from = (uintptr_t)start, to = (uintptr_t)data;
  if (to <= from || to - from > room) /* goes on with a chunk; or the library moved its buffer */
    return true;
  if (!ends_line(start, data))
    return false;
  const char *end = data - LINE_END, *line = end;
  while (line > start && line[-1] != '\n')
    line--;
  return is_text(uk_slice_of(line, (size_t)(end - line))) &&
         (line == start || ends_line(start, line));
}
