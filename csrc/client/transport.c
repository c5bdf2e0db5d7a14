#include "client/transport_private.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/framing.h"
#include "client/proxy.h"
#include "client/response.h"
#include "client/signals.h"
#include "client/transport_socket.h"
#include "common/clock.h"
#include "common/version.h"

enum {
  URL_LIMIT = UK_REQUEST_PATH_MAX + 16384,
  RECEIVE_BYTES = 128 << 10, /* receives a batch of a thousand messages in a few reads */
  WAIT_MAX = 1000            /* milliseconds */
};

struct uk_transport {
  const struct uk_settings *settings;
  CURL *curl;               /* NULL until the first transfer */
  CURLM *multi;             /* runs `curl` and keeps its connection; NULL until it does */
  pid_t process;            /* the one that created them */
  curl_socket_t socket;     /* of the connection that is kept; CURL_SOCKET_BAD = none */
  unsigned signals;         /* that end a transfer */
  struct curl_slist *lines; /* the headers for curl, made from the next three fields */
  struct uk_buffer headers; /* the headers of the request */
  bool anonymous, bodyless;
  CURLU *parsed;         /* the URL: curl need not parse it for each transfer */
  struct uk_buffer url;  /* what `parsed` holds */
  enum uk_method method; /* that curl is set to; 0 = none */
  int64_t timeout;       /* that curl is set to; -1 = none */
  /* Of the transfer under way. */
  struct uk_buffer *body;
  struct uk_framing framing;
  int64_t retry_after; /* seconds, -1 = none */
  unsigned sends;
  bool resend;
  char message[CURL_ERROR_SIZE];
};

/* The errors for the codes of curl; any other code is TRANSPORT_FAILED. */
static const struct {
  CURLcode code;
  enum uk_error error;
} curl_errors[] = {
  {CURLE_OUT_OF_MEMORY, UK_E_NO_MEMORY},
  {CURLE_COULDNT_RESOLVE_HOST, UK_E_RESOLVE_FAILED},
  {CURLE_COULDNT_RESOLVE_PROXY, UK_E_RESOLVE_FAILED},
  {CURLE_COULDNT_CONNECT, UK_E_CONNECT_FAILED},
  {CURLE_OPERATION_TIMEDOUT, UK_E_TIMEOUT},
  {CURLE_SSL_CONNECT_ERROR, UK_E_TLS_FAILED},
  {CURLE_PEER_FAILED_VERIFICATION, UK_E_TLS_FAILED},
  {CURLE_SSL_CACERT_BADFILE, UK_E_TLS_FAILED},
  {CURLE_SSL_CERTPROBLEM, UK_E_TLS_FAILED},
  {CURLE_SSL_CIPHER, UK_E_TLS_FAILED},
  {CURLE_SSL_ISSUER_ERROR, UK_E_TLS_FAILED},
  {CURLE_SSL_INVALIDCERTSTATUS, UK_E_TLS_FAILED},
  {CURLE_GOT_NOTHING, UK_E_CONNECTION_LOST},
  {CURLE_PARTIAL_FILE, UK_E_CONNECTION_LOST},
  {CURLE_SEND_ERROR, UK_E_CONNECTION_LOST},
  {CURLE_RECV_ERROR, UK_E_CONNECTION_LOST},
  {CURLE_ABORTED_BY_CALLBACK, UK_E_CONNECTION_LOST},
  {CURLE_BAD_CONTENT_ENCODING, UK_E_BAD_RESPONSE},
  {CURLE_WEIRD_SERVER_REPLY, UK_E_BAD_RESPONSE},
  {CURLE_UNSUPPORTED_PROTOCOL, UK_E_BAD_RESPONSE},
  {CURLE_HTTP2, UK_E_BAD_RESPONSE},
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void init_global(void)
{
  global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct uk_transport *uk_transport_open(const struct uk_settings *settings)
{
  struct uk_transport *transport = calloc(1, sizeof *transport);
  if (transport == NULL)
    return NULL;
  transport->settings = settings;
  transport->socket = CURL_SOCKET_BAD;
  uk_buffer_init(&transport->headers, UK_REQUEST_HEADERS_MAX);
  uk_buffer_init(&transport->url, URL_LIMIT);
  return transport;
}

/* After a fork the connection is shared with the parent. Cleaning up may send something (the end of
 * a TLS session) that must not reach the server, so the socket is replaced first. False when no
 * descriptor is left to do that. */
static bool detach_socket(const struct uk_transport *transport)
{
  if (transport->socket == CURL_SOCKET_BAD)
    return true;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0)
    return false;
  dup2(null, transport->socket);
  close(null);
  return true;
}

/* Frees the handles of curl. Those that are shared with a parent process are leaked when their
 * socket cannot be replaced. */
static void clean_up(struct uk_transport *transport)
{
  const bool inherited = transport->curl != NULL && transport->process != getpid();
  if (inherited && !detach_socket(transport))
    return;
  curl_easy_cleanup(transport->curl);
  curl_multi_cleanup(transport->multi);
}

/* Resets the transport to the state before its first transfer. */
static void forget_curl(struct uk_transport *transport)
{
  clean_up(transport);
  curl_slist_free_all(transport->lines);
  curl_url_cleanup(transport->parsed);
  transport->lines = NULL;
  transport->parsed = NULL;
  transport->curl = NULL;
  transport->multi = NULL;
  transport->socket = CURL_SOCKET_BAD;
  transport->method = (enum uk_method)0;
  transport->timeout = -1;
  uk_buffer_clear(&transport->headers);
  uk_buffer_clear(&transport->url);
}

void uk_transport_close(struct uk_transport *transport)
{
  if (transport == NULL)
    return;
  forget_curl(transport);
  uk_buffer_free(&transport->headers);
  uk_buffer_free(&transport->url);
  free(transport);
}

void uk_transport_set_signals(struct uk_transport *transport, unsigned signals)
{
  transport->signals = signals;
}

const char *uk_transport_message(const struct uk_transport *transport)
{
  return transport->message;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
  struct uk_transport *transport = context;
  struct uk_buffer *body = transport->body;
  const size_t bytes = size * count, room = body->limit - body->length;
  const size_t fits = bytes < room ? bytes : room; /* its beginning says which messages it holds */
  uk_buffer_append(body, data, fits);
  return uk_buffer_append(body, data + fits, bytes - fits) == UK_OK ? bytes : 0;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
  struct uk_transport *transport = context;
  const struct uk_slice line = uk_slice_of(data, size * count);
  struct uk_slice value;
  uk_framing_line(&transport->framing, line);
  if (uk_framing_header(line, "Retry-After", &value))
    transport->retry_after = uk_parse_retry_after(value, uk_clock_epoch() / 1000);
  return size * count;
}

#if LIBCURL_VERSION_NUM >= 0x075000
/* Called before each sending of the request on a connection. Curl sends a request again when a
 * kept-alive connection dies; the server may have executed the first one. */
static int before_send(void *context, char *ip, char *local_ip, int port, int local_port)
{
  struct uk_transport *transport = context;
  (void)ip, (void)local_ip, (void)port, (void)local_port;
  bool again = transport->sends++ > 0;
  return again && !transport->resend ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#endif

/* Curl copies the text, and would go on without it if there is no memory: to another address, for
 * example. False then. NULL sets nothing. */
static bool set_text(CURL *curl, CURLoption option, const char *text)
{
  return text == NULL || curl_easy_setopt(curl, option, text) == CURLE_OK;
}

static bool set_texts(struct uk_transport *transport)
{
  const struct uk_settings_options *options = &transport->settings->options;
  CURL *curl = transport->curl;
  return set_text(curl, CURLOPT_USERAGENT, "upstash-kafka/" UK_VERSION) &&
         set_text(curl, CURLOPT_CAINFO, options->ca_file) &&
         set_text(curl, CURLOPT_UNIX_SOCKET_PATH, transport->settings->socket) &&
         set_text(curl, CURLOPT_PROXY, transport->settings->proxy) &&
         set_text(curl, CURLOPT_NOPROXY, transport->settings->proxy != NULL ? "" : NULL) &&
         set_text(curl, CURLOPT_ACCEPT_ENCODING, options->compress ? "gzip" : NULL);
}

static void set_constants(struct uk_transport *transport)
{
  const struct uk_settings_options *options = &transport->settings->options;
  CURL *curl = transport->curl;
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, uk_transport_socket);
  curl_easy_setopt(curl, CURLOPT_CURLU, transport->parsed);
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* closing does not wait for name resolution */
#endif
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, options->verify ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, options->verify ? 2L : 0L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transport->message);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, transport);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, transport);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075000
  curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_send);
  curl_easy_setopt(curl, CURLOPT_PREREQDATA, transport);
#endif
}

bool uk_transport_global(void)
{
  pthread_once(&global_once, init_global);
  return global_result == CURLE_OK;
}

/* Creates the handle of curl, unless this process has one: one from before a fork is not used. */
static enum uk_error prepare_curl(struct uk_transport *transport)
{
  pid_t process = getpid();
  if (transport->curl != NULL && transport->process == process)
    return UK_OK;
  if (!uk_transport_global())
    return UK_E_TRANSPORT_FAILED;
  forget_curl(transport);
  transport->process = process;
  transport->curl = curl_easy_init();
  transport->parsed = curl_url();
  if (transport->curl == NULL || transport->parsed == NULL || !set_texts(transport)) {
    forget_curl(transport);
    return UK_E_NO_MEMORY;
  }
  set_constants(transport);
  return UK_OK;
}

static bool add_line(struct curl_slist **lines, const char *line)
{
  struct curl_slist *longer = curl_slist_append(*lines, line);
  if (longer != NULL)
    *lines = longer;
  return longer != NULL;
}

/* Builds the line "Authorization: ..." on the stack and wipes it. */
static bool add_authorization(struct curl_slist **lines, const char *authorization)
{
  char line[16384];
  snprintf(line, sizeof line, "Authorization: %s", authorization);
  bool added = add_line(lines, line);
  explicit_bzero(line, sizeof line);
  return added;
}

static bool add_lines(struct uk_transport *transport, const struct uk_client_request *request,
                      struct curl_slist **lines)
{
  const struct uk_buffer *headers = &request->headers;
  bool added = add_line(lines, "Expect:"); /* no 100-continue */
  if (added && !transport->anonymous)
    added = add_authorization(lines, transport->settings->authorization);
  if (added && transport->bodyless)
    added = add_line(lines, "Content-Type:"); /* without this curl declares an empty body a form */
  for (size_t at = 0; added && at < headers->length; at += strlen(headers->data + at) + 1)
    added = add_line(lines, headers->data + at);
  return added;
}

/* Rebuilds the headers for curl unless they are those of the last transfer. */
static enum uk_error set_headers(struct uk_transport *transport,
                                 const struct uk_client_request *request)
{
  bool anonymous =
    request->endpoint == UK_ENDPOINT_HEALTH || transport->settings->authorization == NULL;
  bool bodyless = request->body.length == 0;
  if (transport->lines != NULL && transport->anonymous == anonymous &&
      transport->bodyless == bodyless &&
      uk_slice_equal(uk_buffer_slice(&transport->headers), uk_buffer_slice(&request->headers)))
    return UK_OK;
  curl_easy_setopt(transport->curl, CURLOPT_HTTPHEADER, NULL);
  curl_slist_free_all(transport->lines);
  transport->lines = NULL;
  transport->anonymous = anonymous;
  transport->bodyless = bodyless;
  uk_buffer_clear(&transport->headers);
  uk_buffer_append(&transport->headers, request->headers.data, request->headers.length);
  struct curl_slist *lines = NULL;
  if (transport->headers.error != UK_OK || !add_lines(transport, request, &lines)) {
    curl_slist_free_all(lines);
    return UK_E_NO_MEMORY;
  }
  transport->lines = lines;
  curl_easy_setopt(transport->curl, CURLOPT_HTTPHEADER, lines);
  return UK_OK;
}

static bool url_is(const struct uk_buffer *url, struct uk_slice base, struct uk_slice path)
{
  return url->length == base.length + path.length && url->length > 0 &&
         memcmp(url->data, base.data, base.length) == 0 &&
         memcmp(url->data + base.length, path.data, path.length) == 0;
}

static enum uk_error set_url(struct uk_transport *transport,
                             const struct uk_client_request *request)
{
  struct uk_slice base = transport->settings->url, path = uk_buffer_slice(&request->path);
  struct uk_buffer *url = &transport->url;
  if (url_is(url, base, path))
    return UK_OK;
  uk_buffer_clear(url);
  uk_buffer_append(url, base.data, base.length);
  uk_buffer_append(url, path.data, path.length);
  const char *text = uk_buffer_text(url);
  CURLUcode code = CURLUE_OUT_OF_MEMORY;
  if (text != NULL)
    code = curl_url_set(transport->parsed, CURLUPART_URL, text, CURLU_PATH_AS_IS);
  if (code == CURLUE_OK)
    return UK_OK;
  uk_buffer_clear(url);
  if (code == CURLUE_OUT_OF_MEMORY)
    return UK_E_NO_MEMORY;
  snprintf(transport->message, sizeof transport->message, "%s",
           curl_easy_strerror(CURLE_URL_MALFORMAT));
  return UK_E_TRANSPORT_FAILED;
}

static enum uk_error set_method(struct uk_transport *transport,
                                const struct uk_client_request *request)
{
  CURL *curl = transport->curl;
  if (transport->method != request->method) {
    const char *custom = request->method == UK_DELETE ? "DELETE" : NULL;
    transport->method = (enum uk_method)0;
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, custom) != CURLE_OK)
      return UK_E_NO_MEMORY;
    if (request->method == UK_POST)
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
    transport->method = request->method;
  }
  if (request->method != UK_POST)
    return UK_OK;
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.length > 0 ? request->body.data : "");
  return UK_OK;
}

static enum uk_error set_transfer(struct uk_transport *transport,
                                  const struct uk_client_request *request, int64_t timeout,
                                  bool resend)
{
  enum uk_error error = prepare_curl(transport);
  if (error == UK_OK)
    error = set_url(transport, request);
  if (error == UK_OK)
    error = set_headers(transport, request);
  if (error == UK_OK)
    error = set_method(transport, request);
  if (error != UK_OK)
    return error;
  if (transport->timeout != timeout)
    curl_easy_setopt(transport->curl, CURLOPT_TIMEOUT_MS, (long)timeout);
  transport->timeout = timeout;
  transport->sends = 0;
  transport->resend = resend;
#if LIBCURL_VERSION_NUM < 0x075000
  curl_easy_setopt(transport->curl, CURLOPT_FRESH_CONNECT, resend ? 0L : 1L);
#endif
  return UK_OK;
}

static enum uk_error listed_error(CURLcode code)
{
  for (size_t i = 0; i < sizeof curl_errors / sizeof *curl_errors; i++)
    if (curl_errors[i].code == code)
      return curl_errors[i].error;
  return UK_E_TRANSPORT_FAILED;
}

static bool is_unsent(enum uk_error error)
{
  return error == UK_E_CONNECT_FAILED || error == UK_E_RESOLVE_FAILED || error == UK_E_TLS_FAILED;
}

static enum uk_error error_of(struct uk_transport *transport, CURLcode code)
{
  enum uk_error error = listed_error(code);
  if (code == CURLE_WRITE_ERROR && transport->body->error != UK_OK) {
    transport->message[0] = '\0';
    return transport->body->error == UK_E_TOO_LARGE ? UK_E_RESPONSE_TOO_LARGE : UK_E_NO_MEMORY;
  }
  if (code == CURLE_ABORTED_BY_CALLBACK)
    transport->message[0] = '\0';
#if LIBCURL_VERSION_NUM >= 0x075000
  if (code == CURLE_OPERATION_TIMEDOUT &&
      transport->sends == 0) /* the request was not sent: it can be retried */
    return UK_E_CONNECT_FAILED;
#endif
  if (is_unsent(error) && transport->sends > 0) {
    /* A kept-alive connection died with the request on it, and curl could not connect again. */
    transport->message[0] = '\0';
    return UK_E_CONNECTION_LOST;
  }
  if (error == UK_E_TRANSPORT_FAILED && transport->message[0] == '\0')
    snprintf(transport->message, sizeof transport->message, "%s", curl_easy_strerror(code));
  return error;
}

/* Adds the proxy to the message of an error: the server may be well. */
static void name_proxy(struct uk_transport *transport, enum uk_error error)
{
  char text[CURL_ERROR_SIZE];
  const char *name = transport->settings->proxy_name;
  if (name[0] == '\0' || error == UK_E_RESPONSE_TOO_LARGE || error == UK_E_NO_MEMORY)
    return;
  snprintf(text, sizeof text, "%s",
           transport->message[0] != '\0' ? transport->message : uk_error_text(error));
  uk_proxy_append(transport->message, sizeof transport->message, text, name);
}

enum uk_error uk_transport_begin(struct uk_transport *transport,
                                 const struct uk_client_request *request, int64_t timeout,
                                 bool resend, struct uk_response *response)
{
  uk_buffer_clear(response->body);
  response->status = 0;
  response->retry_after = -1;
  transport->message[0] = '\0';
  transport->body = response->body;
  transport->framing = (struct uk_framing){.headed = false};
  transport->retry_after = -1;
  return set_transfer(transport, request, timeout, resend);
}

enum uk_error uk_transport_end(struct uk_transport *transport, CURLcode code,
                               struct uk_response *response)
{
  if (code != CURLE_OK) {
    const enum uk_error error = error_of(transport, code);
    name_proxy(transport, error);
    return error;
  }
  long status = 0;
  curl_easy_getinfo(transport->curl, CURLINFO_RESPONSE_CODE, &status);
  if (!uk_framing_whole(&transport->framing, (int)status, uk_buffer_slice(response->body)))
    return UK_E_CONNECTION_LOST;
  response->status = (int)status;
  if (status >= 300)
    response->retry_after = transport->retry_after;
  return UK_OK;
}

CURL *uk_transport_curl(struct uk_transport *transport)
{
  return transport->curl;
}

/* Sleeps until there is something to do, a signal arrives, or a second has passed. */
static CURLMcode wait_for_input(const struct uk_transport *transport)
{
  int descriptors[UK_SIGNAL_COUNT];
  struct curl_waitfd waits[UK_SIGNAL_COUNT];
  const unsigned count = uk_signals_descriptors(transport->signals, descriptors);
  for (unsigned i = 0; i < count; i++)
    waits[i] = (struct curl_waitfd){.fd = descriptors[i], .events = CURL_WAIT_POLLIN};
  return curl_multi_poll(transport->multi, waits, count, WAIT_MAX, NULL);
}

/* Runs the transfer to its end. Sets `*stopped` when a signal ends it before. */
static CURLcode run(struct uk_transport *transport, bool *stopped)
{
  int running = 1, left;
  CURLMcode code = CURLM_OK;
  while (code == CURLM_OK && running > 0 && !*stopped) {
    code = curl_multi_perform(transport->multi, &running);
    *stopped = running > 0 && uk_signals_arrived(transport->signals) != 0;
    if (code == CURLM_OK && running > 0 && !*stopped)
      code = wait_for_input(transport);
  }
  const CURLMsg *message = curl_multi_info_read(transport->multi, &left);
  if (code != CURLM_OK || message == NULL)
    return code == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_BAD_FUNCTION_ARGUMENT;
  return message->data.result;
}

/* Runs the transfer and remembers the socket of the connection that stays. */
static enum uk_error run_transfer(struct uk_transport *transport, struct uk_response *response)
{
  bool stopped = false;
  if (transport->multi == NULL)
    transport->multi = uk_transport_multi();
  if (transport->multi == NULL)
    return UK_E_NO_MEMORY;
  curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, 1L);
  if (curl_multi_add_handle(transport->multi, transport->curl) != CURLM_OK)
    return UK_E_NO_MEMORY;
  const CURLcode code = run(transport, &stopped);
  transport->socket = CURL_SOCKET_BAD;
  curl_easy_getinfo(transport->curl, CURLINFO_ACTIVESOCKET, &transport->socket);
  curl_multi_remove_handle(transport->multi, transport->curl);
  if (stopped)
    snprintf(transport->message, sizeof transport->message, "a signal ended the wait");
  return stopped ? UK_E_CANCELLED : uk_transport_end(transport, code, response);
}

enum uk_error uk_transport_perform(struct uk_transport *transport,
                                   const struct uk_client_request *request, int64_t timeout,
                                   bool resend, struct uk_response *response)
{
  enum uk_error error = uk_transport_begin(transport, request, timeout, resend, response);
  return error != UK_OK ? error : run_transfer(transport, response);
}
