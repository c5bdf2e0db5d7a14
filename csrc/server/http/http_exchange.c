#include "server/http/http_exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/api/dispatch.h"
#include "server/api/server_state.h"
#include "server/http/http_lines.h"
#include "server/http/http_refusal.h"
#include "server/http/http_response.h"

enum {
  DRAIN_FACTOR = 4, /* a refused body is read and discarded up to this many times max_body_bytes,
                       because a client that is cut off while it sends does not see the reply */
  REFUSAL_SIZE = 512,
  BODY_STEP = 64 << 10 /* bytes; room for a body's beginning */
};
static const size_t ARENA_BYTES = (size_t)256 << 20; /* per request */

void uk_exchange_drop_request(struct uk_exchange *exchange)
{
  uk_arena_free(&exchange->request.scratch);
  uk_arena_free(&exchange->request.arena);
  uk_buffer_free(&exchange->body);
}

static void drop_body(struct uk_request *request)
{
  uk_buffer_free(&uk_exchange_of(request)->body);
}

void uk_exchange_release(struct uk_exchange *exchange)
{
  if (atomic_fetch_sub(&exchange->owners, 1) > 1)
    return;
  uk_dispatch_end(&exchange->request);
  uk_exchange_drop_request(exchange);
  uk_buffer_free(&exchange->request.reply);
  free(exchange);
}

/* The path and query of an absolute URI; any other target unchanged. */
static const char *origin_form(const char *uri)
{
  const char *host = strstr(uri, "://");
  if (uri[0] == '/' || host == NULL)
    return uri;
  return host + 3 + strcspn(host + 3, "/?");
}

/* Removes the query from the library's copy of the URI. The library would parse it into the
 * connection's memory, where nothing uses it, and version 0.9.75 mishandles the request if that
 * memory runs out. */
static void hide_query(const char *uri)
{
  char *query = strchr(uri, '?');
  if (query != NULL)
    query[1] = '\0';
}

static bool has_long_line(const struct uk_exchange *exchange)
{
  return exchange->line_bytes > exchange->http->max_header_bytes;
}

/* Whether the peer has closed or reset the connection and everything it sent has been read. */
static bool is_at_end(int socket)
{
  char byte;
  ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static bool is_client_alive(const struct uk_request *request)
{
  return !is_at_end(uk_exchange_of(request)->socket);
}

static void ask(const struct uk_request *request, struct uk_slice recipient)
{
  uk_receipts_ask(&uk_exchange_of(request)->http->receipts, recipient);
}

static bool follow(struct uk_request *request, struct uk_receipt *receipt)
{
  struct uk_exchange *exchange = uk_exchange_of(request);
  return uk_receipts_follow(&exchange->http->receipts, receipt, exchange->socket);
}

static void trust(const struct uk_request *request)
{
  const struct uk_exchange *exchange = uk_exchange_of(request);
  uk_reaper_trust(&exchange->http->reaper, exchange->socket);
}

static const struct uk_request_methods methods = {
  .header = uk_exchange_header,
  .each_header = uk_exchange_each_header,
  .is_client_alive = is_client_alive,
  .drop_body = drop_body,
  .reply = uk_exchange_reply,
  .reply_early = uk_exchange_reply_early,
  .ask = ask,
  .follow = follow,
  .trust = trust,
};

/* Splits the target into path and query. `exchange->uri` has room for it and two NULs. */
static void take_target(struct uk_exchange *exchange, const char *target)
{
  size_t length = strlen(target);
  memcpy(exchange->uri, target, length);
  size_t path_length = strcspn(exchange->uri, "?");
  exchange->uri[path_length] = '\0';
  exchange->request.path = exchange->uri;
  exchange->request.query = exchange->uri + path_length + (path_length < length ? 1 : 0);
}

static void init_memory(struct uk_exchange *exchange)
{
  struct uk_request *request = &exchange->request;
  struct uk_account *account = &request->account;
  uk_account_init(account, &request->server->memory);
  uk_arena_init(&request->arena, ARENA_BYTES);
  uk_arena_init(&request->scratch, ARENA_BYTES);
  uk_buffer_init(&request->reply, uk_exchange_reply_bytes);
  uk_buffer_init(&exchange->body, exchange->http->max_body_bytes);
  request->arena.account = request->scratch.account = account;
  request->reply.account = exchange->body.account = account;
}

static struct uk_exchange *new_exchange(struct uk_http *http, struct MHD_Connection *connection,
                                        const char *target)
{
  struct uk_exchange *exchange = calloc(1, sizeof *exchange + strlen(target) + 2);
  if (exchange == NULL)
    return NULL;
  exchange->http = http;
  exchange->connection = connection;
  exchange->socket = uk_http_socket(connection);
  atomic_init(&exchange->state, UK_RUNNING);
  atomic_init(&exchange->owners, 1);
  exchange->request.methods = &methods;
  exchange->request.server = http->server;
  exchange->request.status = 200;
  init_memory(exchange);
  take_target(exchange, target);
  return exchange;
}

void *uk_http_on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
  const char *target = origin_form(uri != NULL ? uri : "");
  struct uk_exchange *exchange = new_exchange(context, connection, target);
  if (exchange == NULL)
    return NULL;
  exchange->line_bytes = (uri != NULL ? strlen(uri) : 0) + strlen("  HTTP/1.1\r\n");
  atomic_fetch_add(&exchange->http->begun, 1);
  uk_reaper_enter(&exchange->http->reaper, exchange->socket, UK_PHASE_HEAD);
  uk_http_mark_line(exchange->http, exchange->socket, has_long_line(exchange));
  uk_receipts_next(&exchange->http->receipts, exchange->socket);
  hide_query(target);
  return exchange;
}

static enum uk_method method_of(const char *name)
{
  static const struct {
    const char *name;
    enum uk_method method;
  } names[] = {{"GET", UK_GET},
               {"POST", UK_POST},
               {"DELETE", UK_DELETE},
               {"HEAD", UK_HEAD},
               {"OPTIONS", UK_OPTIONS}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i].name) == 0)
      return names[i].method;
  }
  return UK_OTHER_METHOD;
}

static uint64_t drain_limit(const struct uk_exchange *exchange)
{
  return (uint64_t)exchange->http->max_body_bytes * DRAIN_FACTOR;
}

static bool refuse(struct uk_exchange *exchange, enum uk_error error, const char *text)
{
  uk_request_error(&exchange->request, error, "%s", text);
  return false;
}

/* Why others may read the head differently, or find another end of the body; NULL: they do not. A
 * proxy may take the first Host and the server the last one, and HTTP/1.0 has no chunks. */
static const char *head_fault(const struct uk_exchange *exchange)
{
  if (exchange->bad_lines)
    return "headers: each line must be NAME: VALUE, without control characters, and end in CR LF";
  if (exchange->bad_framing || (exchange->chunked && exchange->has_length))
    return "headers: Content-Length and Transfer-Encoding do not say where the body ends";
  if (exchange->is_http_1_0 && exchange->chunked)
    return "Transfer-Encoding: HTTP/1.0 has none";
  if (exchange->hosts > 1)
    return "Host: given twice";
  return exchange->hosts == 0 && !exchange->is_http_1_0 ? "Host: missing" : NULL;
}

/* What follows a head that others may read differently is no request. */
static bool refuse_head(struct uk_exchange *exchange, const char *text)
{
  refuse(exchange, UK_E_BAD_REQUEST, text);
  uk_request_add_header(&exchange->request, "Connection", "close");
  return false;
}

bool uk_exchange_is_served(struct uk_exchange *exchange, enum uk_phase phase)
{
  struct uk_http *http = exchange->http;
  uk_reaper_enter(&http->reaper, exchange->socket, phase);
  if (!uk_http_explain(http, exchange->socket, &exchange->request))
    return true;
  uk_request_add_header(&exchange->request, "Connection", "close");
  return false;
}

/* Whether the headers are within the limit. If they are, the connection's memory has room for the
 * reply's head (see http.h). Without that room the library would close the connection, and the
 * client would not learn what was carried out. */
static bool has_room(const struct uk_exchange *exchange)
{
  size_t limit = exchange->http->max_header_bytes;
  return exchange->header_bytes + exchange->entry_bytes <= limit &&
         exchange->entry_bytes <= limit / UK_HTTP_ENTRY_SHARE;
}

static bool refuse_size(struct uk_exchange *exchange)
{
  enum uk_error error = has_long_line(exchange) ? UK_E_URI_TOO_LONG : UK_E_HEADERS_TOO_LARGE;
  return refuse(exchange, error, uk_error_text(error));
}

/* Whether to accept the body, judging by the headers. */
static bool admit(struct uk_exchange *exchange)
{
  const char *fault = head_fault(exchange);
  if (fault != NULL)
    return refuse_head(exchange, fault);
  if (!has_room(exchange))
    return refuse_size(exchange);
  if (!uk_exchange_is_served(exchange, UK_PHASE_BODY))
    return false;
  if (!uk_dispatch_accept(&exchange->request))
    return false;
  if (exchange->bad_encoding)
    return refuse(exchange, UK_E_BAD_REQUEST, "Content-Encoding: gzip or identity expected");
  if (exchange->content_length > exchange->http->max_body_bytes) {
    uk_request_error(&exchange->request, UK_E_TOO_LARGE,
                     "body: at most %zu bytes expected, got %llu", exchange->http->max_body_bytes,
                     (unsigned long long)exchange->content_length);
    return false;
  }
  return true;
}

/* Checks whether the client has stopped sending before the body is complete; the library overlooks
 * that when the end arrives together with other bytes. False: the rest is certainly missing. If the
 * library may still hold it, shortens the connection's timeout to one second. */
static bool may_continue(struct uk_exchange *exchange)
{
  bool seen_all = !exchange->chunked && exchange->received > 0;
  if (exchange->http->tls || exchange->at_end || !is_at_end(exchange->socket))
    return true;
  exchange->at_end = true;
  if (!seen_all)
    MHD_set_connection_option(exchange->connection, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
  return !seen_all;
}

void uk_exchange_refuse_cut_off(struct uk_exchange *exchange)
{
  uk_request_error(&exchange->request, UK_E_BAD_REQUEST,
                   "the request was cut off after %llu bytes of its body",
                   (unsigned long long)exchange->received);
}

/* A reply before the body closes the connection. So it is sent early only if the client has not
 * sent the body yet, or if the body is too large to discard or of unknown length. */
static enum MHD_Result begin(struct uk_exchange *exchange, const char *method, const char *version)
{
  exchange->begun = true;
  exchange->line_bytes += strlen(method);
  exchange->request.method = method_of(method);
  uk_exchange_read_headers(exchange, method, version);
  exchange->refused = !admit(exchange);
  bool has_body = exchange->chunked || exchange->content_length > 0;
  if (has_body)
    may_continue(exchange);
  bool at_once = head_fault(exchange) != NULL || (has_body && exchange->expects_continue) ||
                 exchange->content_length > drain_limit(exchange);
  exchange->abandoned = !has_room(exchange) && !exchange->http->tls;
  if (exchange->abandoned)
    return MHD_NO;
  return exchange->refused && at_once ? uk_exchange_queue(exchange) : MHD_YES;
}

static bool has_good_chunk(const struct uk_exchange *exchange, const char *data)
{
  return !exchange->chunked || exchange->body_start == NULL ||
         uk_http_chunk_holds(exchange->body_start,
                             exchange->http->max_header_bytes + UK_HTTP_REPLY_ROOM, data);
}

/* The end of such a body is not certain, so the rest is not read. With TLS the refusal can only
 * follow the body. */
static enum MHD_Result refuse_chunk(struct uk_exchange *exchange)
{
  exchange->refused = true;
  exchange->abandoned = !exchange->http->tls;
  refuse(exchange, UK_E_BAD_REQUEST,
         "body: the line before each chunk must hold no control characters, and end in CR LF");
  return exchange->abandoned ? MHD_NO : MHD_YES;
}

/* Makes room for more of the body, not for all that the client has announced: memory that it has
 * not sent yet would be missing to others. */
static void make_room(struct uk_exchange *exchange, size_t length)
{
  struct uk_buffer *body = &exchange->body;
  const size_t wanted = body->length + length < BODY_STEP ? BODY_STEP : body->length + length;
  if (wanted > exchange->content_length && !exchange->chunked)
    uk_buffer_reserve(body, exchange->content_length - body->length);
  else
    uk_buffer_reserve(body, wanted - body->length);
}

/* Adds a part to the body, unless it must be refused. What there is of it is then freed. */
static void keep(struct uk_exchange *exchange, const char *data, size_t length)
{
  const size_t most = exchange->http->max_body_bytes;
  if (exchange->received > most) {
    uk_request_error(&exchange->request, UK_E_TOO_LARGE, "body: at most %zu bytes expected", most);
    exchange->refused = true;
  } else {
    make_room(exchange, length);
    exchange->refused = uk_buffer_append(&exchange->body, data, length) != UK_OK;
    if (exchange->refused)
      uk_request_error(&exchange->request, UK_E_NO_MEMORY, NULL);
  }
  if (exchange->refused)
    uk_buffer_free(&exchange->body);
}

static enum MHD_Result collect(struct uk_exchange *exchange, const char *data, size_t length)
{
  if (!has_good_chunk(exchange, data))
    return refuse_chunk(exchange);
  exchange->received += length;
  uk_reaper_received(&exchange->http->reaper, exchange->socket, length);
  if ((exchange->chunked || exchange->received < exchange->content_length) &&
      !may_continue(exchange)) {
    uk_exchange_refuse_cut_off(exchange);
    exchange->abandoned = true;
    return MHD_NO;
  }
  if (!exchange->refused)
    keep(exchange, data, length);
  exchange->abandoned = exchange->refused && exchange->received > drain_limit(exchange);
  return exchange->abandoned ? MHD_NO : MHD_YES;
}

/* There is no memory for an exchange: nothing was carried out. Without TLS the client learns it. */
static enum MHD_Result refuse_without_exchange(const struct uk_http *http,
                                               struct MHD_Connection *connection,
                                               const char *method)
{
  struct uk_request refusal = {.method = method_of(method)};
  int socket = uk_http_socket(connection);
  uk_buffer_init(&refusal.reply, REFUSAL_SIZE);
  uk_request_error(&refusal, UK_E_NO_MEMORY, NULL);
  if (!http->tls && refusal.reply.error == UK_OK)
    uk_http_write_response(socket, &refusal);
  else if (!http->tls)
    shutdown(socket, SHUT_WR);
  uk_buffer_free(&refusal.reply);
  return MHD_NO;
}

enum MHD_Result uk_http_on_request(void *context, struct MHD_Connection *connection,
                                   const char *url, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **exchange_pointer)
{
  struct uk_exchange *exchange = *exchange_pointer;
  (void)url;
  if (exchange == NULL)
    return refuse_without_exchange(context, connection, method);
  if (exchange->queued)
    return MHD_YES;
  if (!exchange->begun)
    return begin(exchange, method, version);
  if (*upload_size == 0)
    return uk_exchange_proceed(exchange);
  enum MHD_Result result = collect(exchange, upload, *upload_size);
  *upload_size = 0;
  return result;
}
