#include "server/http/http_response.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* A reply's head. */
struct head {
  size_t length;
  char text[4 * UK_REPLY_HEAD_BYTES];
};

/* Every reply except 204 has a body; if it is missing, memory ran out. */
static struct MHD_Response *with_body(const struct uk_request *request,
                                      enum MHD_ResponseMemoryMode mode)
{
  if (request->status == MHD_HTTP_NO_CONTENT)
    return MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
  if (request->reply.data == NULL)
    return NULL;
  return MHD_create_response_from_buffer(request->reply.length, request->reply.data, mode);
}

/* In every reply: no browser guesses another type, and nothing on the way keeps a message. */
#define NO_SNIFF "X-Content-Type-Options"
#define NO_SNIFF_VALUE "nosniff"
#define NO_STORE_VALUE "no-store"

static bool add_common_headers(struct MHD_Response *response, bool has_type)
{
  return (!has_type || MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                               "application/json") == MHD_YES) &&
         MHD_add_response_header(response, NO_SNIFF, NO_SNIFF_VALUE) == MHD_YES &&
         MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, NO_STORE_VALUE) ==
           MHD_YES;
}

struct MHD_Response *uk_http_make_response(const struct uk_request *request,
                                           enum MHD_ResponseMemoryMode mode)
{
  struct MHD_Response *response = with_body(request, mode);
  if (response == NULL)
    return NULL;
  bool added = add_common_headers(response, request->status != MHD_HTTP_NO_CONTENT);
  for (unsigned i = 0; i < request->reply_header_count && added; i++)
    added = MHD_add_response_header(response, request->reply_headers[i].name,
                                    request->reply_headers[i].value) == MHD_YES;
  if (added)
    return response;
  MHD_destroy_response(response);
  return NULL;
}

static const char empty_line[] = "\r\n";

/* Leaves out a line that does not fit before the empty one. */
__attribute__((format(printf, 2, 3))) static void add_line(struct head *head, const char *format,
                                                           ...)
{
  const size_t room = sizeof head->text - head->length - strlen(empty_line);
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(head->text + head->length, room, format, arguments);
  va_end(arguments);
  if (written > 0 && (size_t)written < room)
    head->length += (size_t)written;
}

void uk_http_write_response(int socket, const struct uk_request *request)
{
  struct head head;
  head.length = 0;
  const struct uk_buffer *body = &request->reply;
  add_line(&head,
           "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
           "close\r\n" NO_SNIFF ": " NO_SNIFF_VALUE "\r\n" MHD_HTTP_HEADER_CACHE_CONTROL
           ": " NO_STORE_VALUE "\r\n",
           request->status, MHD_get_reason_phrase_for((unsigned)request->status), body->length);
  for (unsigned i = 0; i < request->reply_header_count; i++)
    add_line(&head, "%s: %s\r\n", request->reply_headers[i].name, request->reply_headers[i].value);
  memcpy(head.text + head.length, empty_line, strlen(empty_line));
  head.length += strlen(empty_line);
  struct iovec parts[] = {{head.text, head.length}, {body->data, body->length}};
  const struct msghdr message = {.msg_iov = parts,
                                 .msg_iovlen = request->method != UK_HEAD ? 2 : 1};
  (void)!sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}
