#include "client/transport_handle.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "client/response.h"
#include "client/transport_socket.h"
#include "common/clock.h"
#include "common/version.h"

enum { RECEIVE_BYTES = 128 << 10 /* receives a batch of a thousand messages in a few reads */ };

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void init_global(void)
{
  global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool uk_transport_global(void)
{
  pthread_once(&global_once, init_global);
  return global_result == CURLE_OK;
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

void uk_transport_handle_forget(struct uk_transport *transport)
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

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
  struct uk_transport *transport = context;
  struct uk_buffer *body = transport->body;
  const size_t bytes = size * count, room = body->limit - body->length;
  const size_t fits = bytes < room ? bytes : room; /* its beginning says which messages it holds */
  uk_buffer_append(body, data, fits);
  return uk_buffer_append(body, data + fits, bytes - fits) == UK_OK ? bytes : 0;
}

/* Ends the transfer at the first line over the limit: curl keeps every line. */
static size_t take_header(char *data, size_t size, size_t count, void *context)
{
  struct uk_transport *transport = context;
  const struct uk_slice line = uk_slice_of(data, size * count);
  struct uk_slice value;
  transport->header_bytes += line.length;
  if (transport->header_bytes > UK_RESPONSE_HEADERS_MAX)
    return 0;
  uk_framing_line(&transport->framing, line);
  uk_response_notes_line(&transport->notes, line);
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
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2); /* and later */
  curl_easy_setopt(curl, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
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

enum uk_error uk_transport_handle_prepare(struct uk_transport *transport)
{
  pid_t process = getpid();
  if (transport->curl != NULL && transport->process == process)
    return UK_OK;
  if (!uk_transport_global())
    return UK_E_TRANSPORT_FAILED;
  uk_transport_handle_forget(transport);
  transport->process = process;
  transport->curl = curl_easy_init();
  transport->parsed = curl_url();
  if (transport->curl == NULL || transport->parsed == NULL || !set_texts(transport)) {
    uk_transport_handle_forget(transport);
    return UK_E_NO_MEMORY;
  }
  set_constants(transport);
  return UK_OK;
}
