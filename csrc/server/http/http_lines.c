#include "server/http/http_lines.h"

#include <microhttpd.h>
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
