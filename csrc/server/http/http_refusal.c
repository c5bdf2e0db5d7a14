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
#include "server/http/http_handshake.h"
#include "server/http/http_headers.h"
#include "server/http/http_response.h"

enum { REFUSAL_SIZE = 512, DROP_SIZE = 16 << 10, DROPS_MAX = 16 };
#define OVER_LIMIT "the limit of %u open connections is reached"
#define OVER_ADDRESS "the limit of %u open connections from one address is reached"

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
  while (http != NULL && mark != &http->ours)
    http = http->next;
  pthread_mutex_unlock(&lock);
  return http;
}

bool uk_http_is_exempt(const struct uk_http *http, const struct uk_client_address *peer)
{
  return uk_client_address_is_local(peer) || uk_proxies_hold(&http->proxies, peer);
}

bool uk_http_explain_end(struct uk_http *http, int socket, struct uk_request *request)
{
  const struct uk_reaper_limits *limits = &http->reaper.limits;
  const enum uk_verdict verdict = uk_reaper_verdict(&http->reaper, socket);
  if (verdict == UK_VERDICT_LATE)
    uk_request_error(request, UK_E_REQUEST_TIMEOUT, NULL);
  else if (verdict == UK_VERDICT_NO_MEMORY)
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
  else if (verdict == UK_VERDICT_GAVE_WAY)
    uk_request_error(request, UK_E_TOO_MANY, OVER_LIMIT, limits->connections);
  else if (verdict == UK_VERDICT_CROWD)
    uk_request_error(request, UK_E_TOO_MANY, OVER_ADDRESS, limits->per_address);
  return verdict != UK_VERDICT_NONE;
}

bool uk_http_explain(struct uk_http *http, int socket, struct uk_request *request)
{
  const struct uk_reaper_limits *limits = &http->reaper.limits;
  if (uk_http_explain_end(http, socket, request))
    return true;
  const enum uk_place place = uk_reaper_place(&http->reaper, socket);
  if (place == UK_PLACE_FULL)
    uk_request_error(request, UK_E_TOO_MANY, OVER_LIMIT, limits->connections);
  else if (place == UK_PLACE_CROWD)
    uk_request_error(request, UK_E_TOO_MANY, OVER_ADDRESS, limits->per_address);
  return place != UK_PLACE_TAKEN;
}

void uk_http_mark_line(struct uk_http *http, int socket, bool is_long)
{
  uk_reaper_mark_line(&http->reaper, socket, is_long);
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
  if (http != NULL && status == 431 &&
      uk_reaper_has_long_line(&http->reaper, uk_http_socket(connection)))
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
  uk_reaper_enter(&http->reaper, uk_http_socket(connection), UK_PHASE_REPLY);
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

/* Writes why the reaper shut the connection down; false: it did not. */
static bool write_verdict(struct uk_http *http, int socket)
{
  struct uk_request refusal = {.method = UK_GET};
  uk_buffer_init(&refusal.reply, REFUSAL_SIZE);
  const bool ended = uk_http_explain_end(http, socket, &refusal);
  if (ended && refusal.reply.error == UK_OK)
    uk_http_write_response(socket, &refusal);
  uk_buffer_free(&refusal.reply);
  return ended;
}

/* The connection of this TLS session has finished its handshake. */
static void shake_hands(int socket, const void *session)
{
  pthread_mutex_lock(&lock);
  struct uk_http *http = registered;
  while (http != NULL && !uk_reaper_shook_hands(&http->reaper, socket, session))
    http = http->next;
  pthread_mutex_unlock(&lock);
}

/* A connection that is turned away at once costs no more than this. */
static void find_place(struct uk_http *http, struct MHD_Connection *connection, int socket)
{
  const struct uk_client_address peer = uk_http_peer(connection);
  const enum uk_place place =
    uk_reaper_open(&http->reaper, socket, &peer, !uk_http_is_exempt(http, &peer),
                   uk_http_follow_handshake(connection, shake_hands));
  if (place == UK_PLACE_NONE && !http->tls)
    write_verdict(http, socket);
}

static void enter(struct uk_http *http, struct MHD_Connection *connection)
{
  const int socket = uk_http_socket(connection);
  if (http->certificate != NULL)
    give_certificate(http, connection);
  if (!http->tls)
    uk_sockets_opened(&http->sockets, socket);
  if (atomic_load(&http->refuses_open))
    uk_http_refuse_open(http); /* also this one, which was not open before */
  uk_acceptor_opened(&http->acceptor);
  find_place(http, connection, socket);
}

static void leave(struct uk_http *http, int socket)
{
  if (!http->tls)
    uk_sockets_closed(&http->sockets, socket);
  if (uk_receipts_closing(&http->receipts, socket) || http->tls)
    return;
  if (is_unanswered(socket) && !write_verdict(http, socket))
    write_refusal(socket, http, NULL, 400);
  drop_unread(socket);
}

void uk_http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code)
{
  struct uk_http *http = context;
  const int socket = uk_http_socket(connection);
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    *socket_context = &http->ours;
    enter(http, connection);
    return;
  }
  uk_acceptor_closed(&http->acceptor);
  if (socket < 0)
    return;
  leave(http, socket);
  uk_reaper_closed(&http->reaper, socket);
}
