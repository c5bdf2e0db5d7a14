#include "server/http/http_refusal.h"

#include <dlfcn.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/api/cors.h"
#include "server/api/server_state.h"
#include "server/http/http_certificate.h"
#include "server/http/http_headers.h"
#include "server/http/http_response.h"

enum {
  REFUSAL_SIZE = 512,
  DROP_SIZE = 16 << 10,
  DROPS_MAX = 16,
  LONG_LINE_SECONDS = 4, /* for the headers after a line that is too long; no other timeout is 4 */
  SURPLUS_SECONDS =
    5 /* for the request on a connection above the limit, since others are waiting */
};

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

/* Adds the CORS headers if the library has already read an Origin. `connection` NULL: it has
 * discarded the headers. */
static void admit_origin(struct uk_request *refusal, const struct uk_cors *cors,
                         struct MHD_Connection *connection)
{
  struct uk_slice origin = {0};
  if (connection != NULL && cors != NULL)
    origin = uk_http_header(connection, MHD_HTTP_HEADER_ORIGIN);
  if (origin.data == NULL)
    return;
  refusal->browser.origin = origin;
  refusal->browser.allowed = uk_cors_admit(cors, refusal->browser.origin);
  uk_cors_add_headers(cors, refusal);
}

/* Makes a reply without a request. Free it with uk_buffer_free(&refusal.reply). */
static struct uk_request make_refusal(const struct uk_http *http, struct MHD_Connection *connection,
                                      unsigned status)
{
  struct uk_request refusal = {.status = (int)status};
  uk_buffer_init(&refusal.reply, REFUSAL_SIZE);
  uk_request_write_error(&refusal.reply, (int)status, text_of(status));
  admit_origin(&refusal, http->server != NULL ? http->server->cors : NULL, connection);
  return refusal;
}

static struct MHD_Response *json_response(const struct uk_http *http,
                                          struct MHD_Connection *connection, unsigned status)
{
  struct uk_request refusal = make_refusal(http, connection, status);
  struct MHD_Response *response =
    refusal.reply.error == UK_OK ? uk_http_make_response(&refusal, MHD_RESPMEM_MUST_COPY) : NULL;
  uk_buffer_free(&refusal.reply);
  return response;
}

static void write_refusal(int socket, const struct uk_http *http, struct MHD_Connection *connection,
                          unsigned status)
{
  struct uk_request refusal = make_refusal(http, connection, status);
  if (refusal.reply.error == UK_OK)
    uk_http_write_response(socket, &refusal);
  uk_buffer_free(&refusal.reply);
}

/* The servers of this process. Other users of the library in the process have connections too, with
 * marks of their own. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct uk_http *registered;

void uk_http_register(struct uk_http *http)
{
  pthread_mutex_lock(&lock);
  http->next = registered;
  registered = http;
  pthread_mutex_unlock(&lock);
}

void uk_http_unregister(struct uk_http *http)
{
  pthread_mutex_lock(&lock);
  struct uk_http **place = &registered;
  while (*place != http)
    place = &(*place)->next;
  *place = http->next;
  pthread_mutex_unlock(&lock);
}

static const void *mark_of(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info != NULL ? info->socket_context : NULL;
}

/* The server that a connection belongs to; NULL if it is not one of ours. */
static struct uk_http *server_of(struct MHD_Connection *connection)
{
  const void *mark = mark_of(connection);
  pthread_mutex_lock(&lock);
  struct uk_http *http = registered;
  while (http != NULL && mark != &http->ours && mark != &http->surplus)
    http = http->next;
  pthread_mutex_unlock(&lock);
  return http;
}

/* Checks again, because other connections may have closed since this one opened. */
bool uk_http_is_surplus(const struct uk_http *http, struct MHD_Connection *connection)
{
  return mark_of(connection) == &http->surplus &&
         atomic_load(&http->acceptor.open) > http->max_connections;
}

/* The mark is the connection's timeout: the only thing of a connection that we may change later. */
static bool is_marked_long(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_TIMEOUT);
  return info != NULL && info->connection_timeout == LONG_LINE_SECONDS;
}

void uk_http_mark_line(struct MHD_Connection *connection, bool is_long)
{
  if (is_long != is_marked_long(connection))
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
                              is_long ? (unsigned)LONG_LINE_SECONDS
                                      : (unsigned)UK_HTTP_IDLE_SECONDS);
}

int uk_http_socket(struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info != NULL ? info->connect_fd : -1;
}

/* After a Content-Length that is not a number, version 0.9.75 queues its page and then continues as
 * if it had not, so part of a second head follows the page. Without TLS the refusal is written to
 * the socket instead, and the connection is closed. */
static bool has_bad_length(struct MHD_Connection *connection)
{
  const char *length =
    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  bool tls = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_PROTOCOL) != NULL;
  int64_t number;
  return !tls && length != NULL && (!uk_parse_int64(uk_slice_text(length), &number) || number < 0);
}

/* Only the library itself calls this function. */
__attribute__((visibility("default"))) enum MHD_Result
MHD_queue_response(struct MHD_Connection *connection, unsigned int status,
                   struct MHD_Response *response)
{
  uk_queue_response *queue = uk_http_queue_function();
  struct uk_http *http = server_of(connection);
  if (http != NULL && status == 431 && is_marked_long(connection))
    status = 414;
  if (http != NULL && has_bad_length(connection)) {
    write_refusal(uk_http_socket(connection), http, connection, status);
    return MHD_NO;
  }
  if (queue == NULL)
    return MHD_NO;
  if (http == NULL)
    return queue(connection, status, response);
  if (!uk_sockets_begin(&http->sockets, uk_http_socket(connection)))
    return MHD_NO;
  struct MHD_Response *json = json_response(http, connection, status);
  if (json == NULL) /* out of memory: the connection closes */
    return MHD_NO;
  enum MHD_Result result = queue(connection, status, json);
  MHD_destroy_response(json);
  return result;
}

/* Whether data was received on the connection and none was ever sent. */
static bool is_unanswered(int socket)
{
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
         info.tcpi_data_segs_in > 0 && info.tcpi_data_segs_out == 0;
}

/* Reads and discards what the client has sent. Closing a socket with unread bytes resets the
 * connection, and the client might then miss the last reply. */
static void drop_unread(int socket)
{
  char bytes[DROP_SIZE];
  for (int i = 0; i < DROPS_MAX; i++) {
    if (recv(socket, bytes, sizeof bytes, MSG_DONTWAIT) <= 0)
      return;
  }
}

/* Also on an idle connection: a request that is on its way there gets the answer. */
static void refuse_open(void *context, int socket)
{
  uk_http_write_response(socket, context);
  drop_unread(socket);
  shutdown(socket, SHUT_WR);
}

void uk_http_refuse_open(struct uk_http *http)
{
  struct uk_request refusal = {.method = UK_GET};
  uk_buffer_init(&refusal.reply, REFUSAL_SIZE);
  uk_request_error(&refusal, UK_E_UNAVAILABLE, UK_HTTP_STOPPING);
  atomic_store(&http->refuses_open, true);
  if (refusal.reply.error == UK_OK)
    uk_sockets_take(&http->sockets, refuse_open, &refusal);
  if (refusal.reply.error == UK_OK && !http->tls)
    uk_acceptor_close_rest(&http->acceptor, refuse_open, &refusal);
  uk_buffer_free(&refusal.reply);
}

/* Before its handshake. */
static void give_certificate(struct uk_http *http, struct MHD_Connection *connection)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  if (info != NULL && info->tls_session != NULL)
    uk_certificate_use(http->certificate, info->tls_session);
}

static const void *enter(struct uk_http *http, struct MHD_Connection *connection)
{
  if (http->certificate != NULL)
    give_certificate(http, connection);
  if (!http->tls)
    uk_sockets_opened(&http->sockets, uk_http_socket(connection));
  if (atomic_load(&http->refuses_open))
    uk_http_refuse_open(http); /* also this one, which was not open before */
  if (uk_acceptor_opened(&http->acceptor) < http->max_connections)
    return &http->ours;
  MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)SURPLUS_SECONDS);
  return &http->surplus;
}

void uk_http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code)
{
  struct uk_http *http = context;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    *socket_context = (void *)(uintptr_t)enter(http, connection);
    return;
  }
  uk_acceptor_closed(&http->acceptor);
  int socket = uk_http_socket(connection);
  if (socket < 0)
    return;
  if (!http->tls)
    uk_sockets_closed(&http->sockets, socket);
  if (uk_receipts_closing(&http->receipts, socket) || http->tls)
    return;
  if (is_unanswered(socket))
    write_refusal(socket, http, NULL, 400);
  drop_unread(socket);
}
