#include "server/http/http_response.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { LINE_SIZE = 512 }; /* of one header */

/* Every reply except 204 has a body; if it is missing, memory ran out. */
static struct MHD_Response *take_body(struct uk_request *request)
{
  size_t length = 0;
  if (request->status == MHD_HTTP_NO_CONTENT)
    return MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
  char *text = uk_buffer_take(&request->reply, &length);
  struct MHD_Response *response =
    text != NULL ? MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE) : NULL;
  if (response == NULL)
    free(text);
  return response;
}

struct MHD_Response *uk_http_make_response(struct uk_request *request)
{
  struct MHD_Response *response = take_body(request);
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

bool uk_http_write_response(int socket, const struct uk_request *request)
{
  struct uk_buffer text;
  char head[LINE_SIZE];
  uk_buffer_init(&text, (size_t)(UK_REPLY_HEADERS + 1) * LINE_SIZE + request->reply.length);
  snprintf(head, sizeof head,
           "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
           "close\r\n",
           request->status, MHD_get_reason_phrase_for((unsigned)request->status),
           request->reply.length);
  uk_buffer_append_text(&text, head);
  for (unsigned i = 0; i < request->reply_header_count; i++) {
    snprintf(head, sizeof head, "%s: %s\r\n", request->reply_headers[i].name,
             request->reply_headers[i].value);
    uk_buffer_append_text(&text, head);
  }
  uk_buffer_append_text(&text, "\r\n");
  if (request->method != UK_HEAD)
    uk_buffer_append(&text, request->reply.data, request->reply.length);
  bool whole = text.error == UK_OK;
  if (whole)
    (void)!send(socket, text.data, text.length, MSG_NOSIGNAL | MSG_DONTWAIT);
  uk_buffer_free(&text);
  return whole;
}
