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

struct MHD_Response *uk_http_make_response(const struct uk_request *request,
                                           enum MHD_ResponseMemoryMode mode)
{
  struct MHD_Response *response = with_body(request, mode);
  if (response == NULL)
    return NULL;
  enum MHD_Result added = MHD_YES;
  if (request->status != MHD_HTTP_NO_CONTENT)
    added = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
  for (unsigned i = 0; i < request->reply_header_count && added == MHD_YES; i++)
    added = MHD_add_response_header(response, request->reply_headers[i].name,
                                    request->reply_headers[i].value);
  if (added == MHD_YES)
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
           "close\r\n",
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
