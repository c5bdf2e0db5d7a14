#include "server/http_refusal.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { WORDS_SIZE = 512, DROP_SIZE = 16 << 10, DROPS_MAX = 16 };

static const struct {
  unsigned status;
  const char *text;
} texts[] = {
  {400, "the HTTP request is malformed or was cut off"},
  {413, "the body is over the limit"},
  {414, "the request line is over the limit"},
  {431, "the request headers are over the limit"},
  {500, "the HTTP request could not be read"},
  {505, "this HTTP version is not supported"},
};

static struct uk_slice text_of(unsigned status)
{
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (texts[i].status == status)
      return uk_slice_text(texts[i].text);
  }
  return uk_slice_text(MHD_get_reason_phrase_for(status));
}

uk_queue_response *uk_http_queue_function(void)
{
  uk_queue_response *function;
  void *symbol = dlsym(RTLD_NEXT, "MHD_queue_response");
  _Static_assert(sizeof function == sizeof symbol, "POSIX: a function pointer fits");
  memcpy(&function, &symbol, sizeof function);
  return function;
}

static struct MHD_Response *json_response(unsigned status)
{
  struct uk_buffer json;
  size_t length;
  uk_buffer_init(&json, WORDS_SIZE);
  uk_request_write_error(&json, (int)status, text_of(status));
  if (json.error != UK_OK) {
    uk_buffer_free(&json);
    return NULL;
  }
  char *text = uk_buffer_take(&json, &length);
  struct MHD_Response *response =
    MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
  if (response != NULL)
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
  else
    free(text);
  return response;
}

/* Its address marks the connections of our servers. */
static const char ours;

static bool is_ours(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info != NULL && info->socket_context == &ours;
}

/* Every call that arrives here is one of the library's own. */
__attribute__((visibility("default"))) enum MHD_Result
MHD_queue_response(struct MHD_Connection *connection, unsigned int status,
                   struct MHD_Response *response)
{
  uk_queue_response *queue = uk_http_queue_function();
  struct MHD_Response *json = is_ours(connection) ? json_response(status) : NULL;
  if (queue == NULL)
    return MHD_NO;
  if (json == NULL)
    return queue(connection, status, response);
  enum MHD_Result result = queue(connection, status, json);
  MHD_destroy_response(json);
  return result;
}

bool uk_http_at_end(int socket)
{
  char byte;
  ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void uk_http_last_words(int socket, int status, struct uk_slice json)
{
  struct uk_buffer words;
  char head[WORDS_SIZE];
  uk_buffer_init(&words, WORDS_SIZE + json.length);
  snprintf(head, sizeof head,
           "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
           "Connection: close\r\n\r\n",
           status, MHD_get_reason_phrase_for((unsigned)status), json.length);
  uk_buffer_append_text(&words, head);
  uk_buffer_append(&words, json.data, json.length);
  if (words.error == UK_OK)
    (void)!send(socket, words.data, words.length, MSG_NOSIGNAL | MSG_DONTWAIT);
  uk_buffer_free(&words);
}

/* Whether something was received on the connection and nothing ever sent. */
static bool is_unanswered(int socket)
{
  struct tcp_info info;
  socklen_t length = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
         info.tcpi_bytes_received > 0 && info.tcpi_data_segs_out == 0;
}

/* A socket that is closed with bytes unread resets the connection, and a client that sends may then not see the last
 * reply: what is there is read and dropped. */
static void drop_unread(int socket)
{
  char bytes[DROP_SIZE];
  for (int i = 0; i < DROPS_MAX; i++) {
    if (recv(socket, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
      return;
  }
}

static void say_malformed(int socket)
{
  struct uk_buffer json;
  uk_buffer_init(&json, WORDS_SIZE);
  uk_request_write_error(&json, 400, text_of(400));
  if (json.error == UK_OK)
    uk_http_last_words(socket, 400, uk_buffer_slice(&json));
  uk_buffer_free(&json);
}

void uk_http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code)
{
  const struct uk_http *http = context;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    *socket_context = (void *)(uintptr_t)&ours;
    return;
  }
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  if (http->tls || info == NULL)
    return;
  if (is_unanswered(info->connect_fd))
    say_malformed(info->connect_fd);
  drop_unread(info->connect_fd);
}
