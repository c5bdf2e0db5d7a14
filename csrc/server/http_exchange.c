/* One request and its reply, between the HTTP library and a handler.
 *
 * The library calls: on_uri, on_request once after the headers, once for each piece of the body, once after the body and once more
 * after each resume, on_completed. A handler that does not answer at once leaves the connection suspended, and
 * whoever calls uk_request_reply resumes it. Who is first is told by `state`: RUNNING -> SUSPENDED by the HTTP thread,
 * anything -> REPLIED by uk_request_reply. */
#include <stdlib.h>
#include <strings.h>

#include "server/dispatch.h"
#include "server/gzip.h"
#include "server/http_private.h"
#include "server/http_refusal.h"

enum state { RUNNING, SUSPENDED, REPLIED };

enum {
  DRAIN_FACTOR = 4, /* a refused body is read and dropped up to so many times max_body_bytes: a client that is cut off
                       while it writes does not see the reply */
  NAME_SHOWN = 64
};
static const size_t ARENA_BYTES = (size_t)256 << 20; /* of one request */
static const size_t REPLY_BYTES = (size_t)1 << 30;   /* the largest batch and one record escaped at worst fit */

struct exchange {
  struct uk_request request; /* first: the two are one */
  struct uk_http *http;
  struct MHD_Connection *connection;
  int socket;
  atomic_int state;

  /* Out of the headers. */
  uint64_t content_length; /* 0 when there is none */
  bool has_length, chunked, bad_framing, expects_continue, accepts_gzip, is_gzip, bad_encoding;

  /* How far it is. */
  bool begun;     /* the headers are read */
  bool refused;   /* the reply is an error, and no handler runs */
  bool running;   /* a handler has run */
  bool queued;    /* the reply is with the library */
  bool abandoned; /* the connection is closed without the library's help */
  uint64_t received; /* bytes of the body so far */
  struct uk_buffer body;

  char uri[]; /* path NUL query NUL */
};

static struct exchange *exchange_of(const struct uk_request *request)
{
  return (struct exchange *)(uintptr_t)request;
}

static void exchange_free(struct exchange *exchange)
{
  uk_arena_free(&exchange->request.arena);
  uk_buffer_free(&exchange->request.reply);
  uk_buffer_free(&exchange->body);
  free(exchange);
}

/* The path of an absolute URI; the text itself when it is none. */
static const char *origin_form(const char *uri)
{
  const char *host = strstr(uri, "://");
  if (uri[0] == '/' || host == NULL)
    return uri;
  return host + 3 + strcspn(host + 3, "/?");
}

/* Cuts the query off the library's copy of the URI. It would parse it into its own memory of the connection, for nobody, and
 * version 0.9.75 loses track of the request where that memory does not suffice. */
static void hide_query(const char *uri)
{
  char *query = strchr(uri, '?');
  if (query != NULL)
    query[1] = '\0';
}

void *uk_http_on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
  struct uk_http *http = context;
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  const char *target = origin_form(uri != NULL ? uri : "");
  size_t length = strlen(target);
  struct exchange *exchange = calloc(1, sizeof *exchange + length + 2);
  if (exchange == NULL)
    return NULL;
  exchange->http = http;
  exchange->connection = connection;
  exchange->socket = info != NULL ? info->connect_fd : -1;
  atomic_init(&exchange->state, RUNNING);
  memcpy(exchange->uri, target, length);
  hide_query(target);
  size_t path_length = strcspn(exchange->uri, "?");
  exchange->uri[path_length] = '\0';
  struct uk_request *request = &exchange->request;
  request->server = http->server;
  request->path = exchange->uri;
  request->query = exchange->uri + path_length + (path_length < length ? 1 : 0);
  request->status = 200;
  uk_arena_init(&request->arena, ARENA_BYTES);
  uk_buffer_init(&request->reply, REPLY_BYTES);
  uk_buffer_init(&exchange->body, http->max_body_bytes);
  return exchange;
}

struct uk_slice uk_request_header(const struct uk_request *request, const char *name)
{
  const char *value = NULL;
  size_t length = 0;
  if (MHD_lookup_connection_value_n(exchange_of(request)->connection, MHD_HEADER_KIND, name,
                                    strlen(name), &value, &length) == MHD_NO ||
      value == NULL)
    return (struct uk_slice){0};
  return uk_slice_of(value, length);
}

struct header_visit {
  void (*each)(void *argument, struct uk_slice name, struct uk_slice value);
  void *argument;
};

static enum MHD_Result visit_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    size_t name_length, const char *value, size_t value_length)
{
  const struct header_visit *visit = context;
  (void)kind;
  visit->each(visit->argument, uk_slice_of(name, name_length),
              uk_slice_of(value, value != NULL ? value_length : 0));
  return MHD_YES;
}

void uk_request_each_header(const struct uk_request *request,
                            void (*each)(void *argument, struct uk_slice name, struct uk_slice value),
                            void *argument)
{
  struct header_visit visit = {each, argument};
  MHD_get_connection_values_n(exchange_of(request)->connection, MHD_HEADER_KIND, visit_header, &visit);
}

bool uk_request_alive(const struct uk_request *request)
{
  return !uk_http_at_end(exchange_of(request)->socket);
}

/* The headers that http itself reads. */

static bool is(struct uk_slice text, const char *word)
{
  return text.length == strlen(word) && strncasecmp(text.data, word, text.length) == 0;
}

static void read_length(struct exchange *exchange, struct uk_slice value)
{
  int64_t length = -1;
  bool good = uk_parse_int64(value, &length) && length >= 0;
  if (!good || (exchange->has_length && exchange->content_length != (uint64_t)length))
    exchange->bad_framing = true;
  exchange->has_length = true;
  exchange->content_length = good ? (uint64_t)length : 0;
}

static void read_transfer_encoding(struct exchange *exchange, struct uk_slice value)
{
  exchange->bad_framing = exchange->bad_framing || exchange->chunked || !is(value, "chunked");
  exchange->chunked = true;
}

static void read_expect(struct exchange *exchange, struct uk_slice value)
{
  exchange->expects_continue = is(value, "100-continue");
}

static void read_accept_encoding(struct exchange *exchange, struct uk_slice value)
{
  exchange->accepts_gzip = uk_gzip_accepted(value);
}

static void read_content_encoding(struct exchange *exchange, struct uk_slice value)
{
  exchange->is_gzip = is(value, "gzip") || is(value, "x-gzip");
  exchange->bad_encoding = !exchange->is_gzip && value.length > 0 && !is(value, "identity");
}

static void read_header(void *argument, struct uk_slice name, struct uk_slice value)
{
  static const struct {
    const char *name;
    void (*read)(struct exchange *exchange, struct uk_slice value);
  } readers[] = {
    {"Content-Length", read_length},
    {"Transfer-Encoding", read_transfer_encoding},
    {"Expect", read_expect},
    {"Accept-Encoding", read_accept_encoding},
    {"Content-Encoding", read_content_encoding},
  };
  for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
    if (is(name, readers[i].name))
      readers[i].read(argument, value);
  }
}

static enum uk_method method_of(const char *name)
{
  static const struct {
    const char *name;
    enum uk_method method;
  } methods[] = {{"GET", UK_GET}, {"POST", UK_POST}, {"DELETE", UK_DELETE}, {"HEAD", UK_HEAD}};
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    if (strcmp(name, methods[i].name) == 0)
      return methods[i].method;
  }
  return UK_OTHER_METHOD;
}

/* The reply. */

static void pack(struct uk_request *request)
{
  struct uk_buffer packed;
  uk_buffer_init(&packed, REPLY_BYTES);
  if (uk_gzip(&packed, uk_buffer_slice(&request->reply)) == UK_OK) {
    uk_buffer_free(&request->reply);
    request->reply = packed;
    uk_request_add_header(request, "Content-Encoding", "gzip");
  } else {
    uk_buffer_free(&packed);
  }
}

/* Makes the reply as it will go out. */
static void settle(struct exchange *exchange)
{
  struct uk_request *request = &exchange->request;
  if (request->finish != NULL && !exchange->refused)
    request->finish(request);
  if (request->reply.error != UK_OK) {
    enum uk_error error = request->reply.error == UK_E_NO_MEMORY ? UK_E_NO_MEMORY : UK_E_INTERNAL;
    uk_buffer_free(&request->reply);
    uk_request_error(request, error, NULL);
  }
  if (exchange->accepts_gzip && request->reply.length >= UK_GZIP_LEAST)
    pack(request);
}

static struct MHD_Response *make_response(struct uk_request *request)
{
  size_t length = 0;
  char *text = uk_buffer_take(&request->reply, &length);
  struct MHD_Response *response =
    text != NULL ? MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE) : NULL;
  if (response == NULL) {
    free(text);
    return NULL;
  }
  enum MHD_Result added =
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
  for (unsigned i = 0; i < request->reply_header_count && added == MHD_YES; i++)
    added = MHD_add_response_header(response, request->reply_headers[i].name, request->reply_headers[i].value);
  if (added == MHD_YES)
    return response;
  MHD_destroy_response(response);
  return NULL;
}

/* Hands the reply to the library. Without memory for it the connection is closed. */
static enum MHD_Result queue(struct exchange *exchange)
{
  settle(exchange);
  struct MHD_Response *response = make_response(&exchange->request);
  if (response == NULL)
    return MHD_NO;
  enum MHD_Result result = exchange->http->queue_response(
    exchange->connection, (unsigned)exchange->request.status, response);
  MHD_destroy_response(response);
  exchange->queued = result == MHD_YES;
  return result;
}

void uk_request_reply(struct uk_request *request)
{
  struct exchange *exchange = exchange_of(request);
  struct uk_http *http = exchange->http;
  struct MHD_Connection *connection = exchange->connection;
  atomic_fetch_add(&http->resuming, 1);
  if (atomic_exchange(&exchange->state, REPLIED) == SUSPENDED)
    MHD_resume_connection(connection);
  atomic_fetch_sub(&http->unanswered, 1);
  atomic_fetch_sub(&http->resuming, 1);
}

/* The request, step by step. */

static uint64_t drain_limit(const struct exchange *exchange)
{
  return (uint64_t)exchange->http->max_body_bytes * DRAIN_FACTOR;
}

static bool refuse(struct exchange *exchange, enum uk_error error, const char *text)
{
  uk_request_error(&exchange->request, error, "%s", text);
  return false;
}

/* Whether the headers let the body come. */
static bool admit(struct exchange *exchange)
{
  if (exchange->bad_framing || (exchange->chunked && exchange->has_length))
    return refuse(exchange, UK_E_BAD_REQUEST, "Content-Length, Transfer-Encoding: contradictory or unsupported");
  if (!uk_dispatch_accept(&exchange->request))
    return false;
  if (exchange->bad_encoding)
    return refuse(exchange, UK_E_BAD_REQUEST, "Content-Encoding: gzip or identity expected");
  if (exchange->content_length > exchange->http->max_body_bytes) {
    uk_request_error(&exchange->request, UK_E_TOO_LARGE, "body: at most %zu bytes expected, got %llu",
                     exchange->http->max_body_bytes, (unsigned long long)exchange->content_length);
    return false;
  }
  return true;
}

/* Whether the client ended before its body did; then the reply is an error. Asked after each piece: where the end came together
 * with a piece, the library does not notice it. */
static bool is_cut_off(struct exchange *exchange)
{
  if (exchange->http->tls || !uk_http_at_end(exchange->socket))
    return false;
  uk_request_error(&exchange->request, UK_E_BAD_REQUEST, "the request was cut off after %llu bytes of its body",
                   (unsigned long long)exchange->received);
  return true;
}

/* An answer before the body closes the connection; so it is given only where the body is not sent yet, too large to be
 * dropped, or of unknown extent. */
static enum MHD_Result begin(struct exchange *exchange, const char *method)
{
  exchange->begun = true;
  exchange->request.method = method_of(method);
  uk_request_each_header(&exchange->request, read_header, exchange);
  exchange->refused = !admit(exchange);
  bool has_body = exchange->chunked || exchange->content_length > 0;
  bool cut_off = has_body && is_cut_off(exchange);
  exchange->refused = exchange->refused || cut_off;
  bool at_once = cut_off || exchange->bad_framing || (exchange->chunked && exchange->has_length) ||
                 (has_body && exchange->expects_continue) ||
                 exchange->content_length > drain_limit(exchange);
  return exchange->refused && at_once ? queue(exchange) : MHD_YES;
}

static enum MHD_Result collect(struct exchange *exchange, const char *data, size_t length)
{
  exchange->received += length;
  if ((exchange->chunked || exchange->received < exchange->content_length) && is_cut_off(exchange)) {
    exchange->abandoned = true;
    return MHD_NO;
  }
  if (!exchange->refused && exchange->received > exchange->http->max_body_bytes) {
    uk_request_error(&exchange->request, UK_E_TOO_LARGE, "body: at most %zu bytes expected",
                     exchange->http->max_body_bytes);
    exchange->refused = true;
    uk_buffer_free(&exchange->body);
  }
  if (exchange->refused) {
    exchange->abandoned = exchange->received > drain_limit(exchange);
    return exchange->abandoned ? MHD_NO : MHD_YES;
  }
  if (exchange->body.capacity == 0 && exchange->content_length > 0)
    uk_buffer_reserve(&exchange->body, exchange->content_length);
  if (uk_buffer_append(&exchange->body, data, length) != UK_OK) {
    uk_request_error(&exchange->request, UK_E_NO_MEMORY, NULL);
    exchange->refused = true;
  }
  return MHD_YES;
}

static bool unpack(struct exchange *exchange)
{
  struct uk_buffer unpacked;
  uk_buffer_init(&unpacked, exchange->http->max_body_bytes);
  enum uk_error error = uk_gunzip(&unpacked, uk_buffer_slice(&exchange->body));
  uk_buffer_free(&exchange->body);
  exchange->body = unpacked;
  if (error == UK_E_TOO_LARGE)
    uk_request_error(&exchange->request, error, "body: at most %zu bytes expected, gzip holds more",
                     exchange->http->max_body_bytes);
  else if (error != UK_OK)
    uk_request_error(&exchange->request, error, "body: %s",
                     error == UK_E_BAD_REQUEST ? "malformed gzip" : uk_error_text(error));
  return error == UK_OK;
}

/* The counters go up before `refusing` is read, as uk_http_stop sets it before it reads them. */
static bool enter(struct exchange *exchange)
{
  atomic_fetch_add(&exchange->http->unanswered, 1);
  atomic_fetch_add(&exchange->http->unsent, 1);
  if (!atomic_load(&exchange->http->refusing))
    return true;
  atomic_fetch_sub(&exchange->http->unanswered, 1);
  atomic_fetch_sub(&exchange->http->unsent, 1);
  uk_request_error(&exchange->request, UK_E_UNAVAILABLE, "the server is stopping");
  uk_request_add_header(&exchange->request, "Connection", "close");
  return false;
}

/* Runs the handler. True: the reply comes later, or came meanwhile, through uk_request_reply. */
static bool run(struct exchange *exchange)
{
  if (exchange->is_gzip && exchange->body.length > 0 && !unpack(exchange))
    return false;
  exchange->request.body = exchange->body.data;
  exchange->request.body_length = exchange->body.length;
  if (!enter(exchange))
    return false;
  exchange->running = true;
  if (uk_dispatch_run(&exchange->request))
    return true;
  exchange->request.finish = NULL;
  atomic_fetch_sub(&exchange->http->unanswered, 1);
  return false;
}

static enum MHD_Result proceed(struct exchange *exchange)
{
  if (exchange->refused || atomic_load(&exchange->state) == REPLIED)
    return queue(exchange);
  if (exchange->running)
    return MHD_YES;
  if (!run(exchange) || atomic_load(&exchange->state) == REPLIED)
    return queue(exchange);
  int expected = RUNNING;
  MHD_suspend_connection(exchange->connection);
  if (!atomic_compare_exchange_strong(&exchange->state, &expected, SUSPENDED))
    MHD_resume_connection(exchange->connection);
  return MHD_YES;
}

enum MHD_Result uk_http_on_request(void *context, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload,
                                   size_t *upload_size, void **exchange_pointer)
{
  struct exchange *exchange = *exchange_pointer;
  (void)context;
  (void)connection;
  (void)url;
  (void)version;
  if (exchange == NULL || exchange->queued)
    return exchange == NULL ? MHD_NO : MHD_YES;
  if (!exchange->begun)
    return begin(exchange, method);
  if (*upload_size == 0)
    return proceed(exchange);
  enum MHD_Result result = collect(exchange, upload, *upload_size);
  *upload_size = 0;
  return result;
}

/* What the library closed without an answer gets one here, if the client may still be listening. */
static void say_last_words(struct exchange *exchange, enum MHD_RequestTerminationCode code)
{
  struct uk_request *request = &exchange->request;
  if (exchange->queued || exchange->http->tls)
    return;
  if (!exchange->abandoned && code == MHD_REQUEST_TERMINATED_CLIENT_ABORT)
    uk_request_error(request, UK_E_BAD_REQUEST, "the request was cut off after %llu bytes of its body",
                     (unsigned long long)exchange->received);
  else if (!exchange->abandoned && code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
    uk_request_error(request, UK_E_REQUEST_TIMEOUT, NULL);
  else if (!exchange->abandoned)
    return;
  if (request->reply.error == UK_OK)
    uk_http_last_words(exchange->socket, request->status, uk_buffer_slice(&request->reply));
}

void uk_http_on_completed(void *context, struct MHD_Connection *connection, void **exchange_pointer,
                          enum MHD_RequestTerminationCode code)
{
  struct exchange *exchange = *exchange_pointer;
  struct uk_http *http = context;
  (void)connection;
  if (exchange == NULL)
    return;
  *exchange_pointer = NULL;
  say_last_words(exchange, code);
  bool was_running = exchange->running;
  if (exchange->request.sent != NULL)
    exchange->request.sent(&exchange->request,
                           exchange->queued && code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
  exchange_free(exchange);
  if (was_running)
    atomic_fetch_sub(&http->unsent, 1);
}
