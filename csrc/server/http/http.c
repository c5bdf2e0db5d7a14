#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/thread.h"
#include "common/clock.h"
#include "server/http/http_certificate.h"
#include "server/http/http_lines.h"
#include "server/http/http_private.h"
#include "server/http/http_refusal.h"

enum {
  SURPLUS_CONNECTIONS = 64, /* accepted above the limit, to answer 429; more are not accepted yet */
  SEND_MILLISECONDS = 5000, /* see uk_http.send_milliseconds */
  START_MILLISECONDS = 5000, /* see uk_http.start_milliseconds */
  REST_MILLISECONDS = 1000,  /* in which a request must be complete that is arriving at a stop */
  IDLE_MILLISECONDS = 20     /* in which a connection is opened and read that begins then */
};

const char *uk_http_address(const struct uk_http *http)
{
  return http->listeners.address;
}

/* Keeps the library's first message while it starts. Later messages are only about clients. */
__attribute__((format(printf, 2, 0))) static void on_log(void *context, const char *format,
                                                         va_list arguments)
{
  struct uk_http *http = context;
  if (pthread_equal(pthread_self(), http->starter) && http->log != NULL && http->log[0] == '\0')
    vsnprintf(http->log, http->log_size, format, arguments);
}

/* Leaves paths and queries as they are; the router decodes them. */
static size_t unescape_nothing(void *context, struct MHD_Connection *connection, char *text)
{
  (void)context;
  (void)connection;
  return strlen(text);
}

/* How strict the library is itself. Where it leaves heads as they were received, http_exchange
 * refuses whatever two parsers may read differently, with reasons; the library accepts, for
 * instance, a space in the request line, which nobody misreads. Elsewhere only the library can see
 * the lines. */
static int strictness(const struct uk_http *http)
{
  return http->lines_are_kept ? 0 : 1;
}

static const char *priorities_of(const struct uk_http_options *options)
{
  return options->tls_priorities != NULL ? options->tls_priorities : UK_TLS_PRIORITIES;
}

static struct MHD_Daemon *start_daemon(struct uk_http *http, const struct uk_http_options *options)
{
  const unsigned pool = options->threads > 1 ? options->threads : 0;
  /* The acceptor limits them. The library would divide them by the threads, and close what is more
   * without an answer. */
  const unsigned connections = http->acceptor.limit * (pool > 0 ? pool : 1);
  const size_t memory = options->max_header_bytes + UK_HTTP_REPLY_ROOM;
  const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET |
                         MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG |
                         (http->tls ? MHD_USE_TLS : 0);
  return MHD_start_daemon(flags, 0, NULL, NULL, uk_http_on_request, http,                    //
                          MHD_OPTION_EXTERNAL_LOGGER, on_log, (void *)http,                  //
                          MHD_OPTION_THREAD_POOL_SIZE, pool,                                 //
                          MHD_OPTION_CONNECTION_LIMIT, connections,                          //
                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,                        //
                          MHD_OPTION_CONNECTION_TIMEOUT, 0u, /* see http_reaper.h */         //
                          MHD_OPTION_STRICT_FOR_CLIENT, strictness(http),                    //
                          MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,                              //
                          MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL,              //
                          MHD_OPTION_URI_LOG_CALLBACK, uk_http_on_uri, (void *)http,         //
                          MHD_OPTION_NOTIFY_CONNECTION, uk_http_on_connection, (void *)http, //
                          MHD_OPTION_NOTIFY_COMPLETED, uk_http_on_completed, (void *)http,   //
                          http->tls ? MHD_OPTION_HTTPS_CERT_CALLBACK2 : MHD_OPTION_END,      //
                          uk_certificate_retrieve,                                           //
                          MHD_OPTION_HTTPS_PRIORITIES, priorities_of(options), MHD_OPTION_END);
}

/* Blocks signals in the library's threads: the program's own threads handle them. */
static bool run(struct uk_http *http, const struct uk_http_options *options, char *message,
                size_t size)
{
  char complaint[256] = "";
  sigset_t every, previous;
  http->starter = pthread_self();
  http->log = complaint;
  http->log_size = sizeof complaint;
  uk_thread_signals(&every);
  pthread_sigmask(SIG_SETMASK, &every, &previous);
  http->daemon = start_daemon(http, options);
  pthread_sigmask(SIG_SETMASK, &previous, NULL);
  http->log = NULL;
  complaint[strcspn(complaint, "\n")] = '\0';
  if (http->daemon != NULL)
    return true;
  snprintf(message, size, "threads: %s",
           complaint[0] != '\0' ? complaint : "the HTTP server could not be started");
  return false;
}

static enum uk_error open_certificate(struct uk_http *http, const struct uk_http_options *options,
                                      char *message, size_t size)
{
  if (!http->tls)
    return UK_OK;
  enum uk_error error = uk_tls_check_priorities(priorities_of(options), message, size);
  return error == UK_OK ? uk_certificate_open(&http->certificate, options->tls_cert,
                                              options->tls_key, message, size)
                        : error;
}

/* Without TLS, anyone on the network path can read the password of every request. */
static enum uk_error check_plain(const struct uk_http *http, const struct uk_http_options *options,
                                 char *message, size_t size)
{
  if (http->tls || options->insecure || options->proxies.count > 0 ||
      uk_listen_is_local(&http->listeners))
    return UK_OK;
  snprintf(message, size,
           "listen: %s: others can reach this address, and plain HTTP shows them passwords: serve "
           "TLS (--tls-cert, --tls-key), name the proxy that does (--behind-proxy ADDRESS), or "
           "accept it (--insecure)",
           options->listen);
  return UK_E_BAD_REQUEST;
}

static enum uk_error listen_and_run(struct uk_http *http, const struct uk_http_options *options,
                                    char *message, size_t size)
{
  if (http->queue_response == NULL || !uk_acceptor_init(&http->acceptor))
    return UK_E_UNAVAILABLE;
  http->acceptor.listeners = &http->listeners;
  http->acceptor.reaper = &http->reaper;
  http->acceptor.limit = options->max_connections + SURPLUS_CONNECTIONS;
  if (!uk_hangups_start(&http->hangups, uk_http_on_hangup) ||
      !uk_receipts_start(&http->receipts, uk_clock_monotonic) ||
      !uk_pool_start(&http->pool, options->threads))
    return UK_E_UNAVAILABLE;
  enum uk_error error = open_certificate(http, options, message, size);
  if (error == UK_OK)
    error = uk_listen(&http->listeners, options->listen, message, size);
  if (error == UK_OK)
    error = check_plain(http, options, message, size);
  if (error == UK_OK && !run(http, options, message, size))
    error = UK_E_UNAVAILABLE;
  http->acceptor.daemon = http->daemon;
  return error;
}

static void free_http(struct uk_http *http)
{
  uk_listen_close(&http->listeners);
  uk_pool_stop(&http->pool);
  uk_hangups_stop(&http->hangups);
  uk_receipts_free(&http->receipts);
  uk_acceptor_free(&http->acceptor);
  uk_reaper_free(&http->reaper);
  uk_sockets_free(&http->sockets);
  uk_certificate_free(http->certificate);
  uk_http_unregister(http);
  free(http);
}

enum uk_error uk_http_start(struct uk_http **out, const struct uk_http_options *options,
                            char *message, size_t size)
{
  struct uk_http *http = calloc(1, sizeof *http);
  if (http == NULL) {
    snprintf(message, size, "%s", uk_error_text(UK_E_NO_MEMORY));
    return UK_E_NO_MEMORY;
  }
  http->server = options->server;
  http->max_body_bytes = options->max_body_bytes;
  http->max_header_bytes = options->max_header_bytes;
  http->proxies = options->proxies;
  http->send_milliseconds = SEND_MILLISECONDS;
  http->start_milliseconds = START_MILLISECONDS;
  http->tls = options->tls_cert != NULL;
  http->lines_are_kept = uk_http_lines_are_kept();
  http->acceptor.wake = -1;
  struct uk_reaper_limits limits = options->limits;
  limits.connections = options->max_connections;
  const bool has_sockets = uk_sockets_init(&http->sockets) &&
                           uk_reaper_init(&http->reaper, &limits, http->tls, uk_clock_monotonic);
  http->queue_response = uk_http_queue_function();
  uk_http_register(http);
  enum uk_error error = has_sockets ? listen_and_run(http, options, message, size) : UK_E_NO_MEMORY;
  if (error == UK_OK)
    *out = http;
  else
    free_http(http);
  return error;
}

enum uk_error uk_http_accept(struct uk_http *http, char *message, size_t size)
{
  if (uk_acceptor_start(&http->acceptor))
    return UK_OK;
  snprintf(message, size, "threads: the system has no resources for another thread");
  return UK_E_UNAVAILABLE;
}

bool uk_http_has_certificate(const struct uk_http *http)
{
  return http->certificate != NULL;
}

enum uk_error uk_http_reload_certificate(struct uk_http *http, char *message, size_t size)
{
  return uk_certificate_reload(http->certificate, message, size);
}

void uk_http_refuse(struct uk_http *http)
{
  atomic_store(&http->refusing, true);
}

static bool wait_for_zero(const atomic_int *counter, int64_t until)
{
  const struct timespec pause = {.tv_nsec = 1000000};
  while (atomic_load(counter) > 0 && uk_clock_monotonic() < until)
    nanosleep(&pause, NULL);
  return atomic_load(counter) == 0;
}

bool uk_http_wait(struct uk_http *http, int64_t until)
{
  return wait_for_zero(&http->unanswered, until);
}

/* Until when a stop that began to refuse the rest at `began` waits for open connections. The
 * library would close those that it has not started without an answer, so they have as long as a
 * busy machine may need. */
static int64_t end_of_waiting(struct uk_http *http, int64_t began)
{
  if (uk_acceptor_is_starting(&http->acceptor))
    return began + http->start_milliseconds;
  return began + (atomic_load(&http->begun) > 0 ? REST_MILLISECONDS : IDLE_MILLISECONDS);
}

/* Waits until the refusals that the library had when the others were refused are written. A reply
 * that a client does not read counts in `unsent`, too, and was waited for. */
static void wait_for_refusals(struct uk_http *http)
{
  const struct timespec pause = {.tv_nsec = 1000000};
  const int64_t until = uk_clock_monotonic() + http->start_milliseconds;
  while (atomic_load(&http->in_hand) > atomic_load(&http->unsent) && uk_clock_monotonic() < until)
    nanosleep(&pause, NULL);
}

/* Answers 503 to what was sent and is not in hand: also on connections that wait to be accepted, or
 * are being opened. The library would close them without an answer. */
static void refuse_rest(struct uk_http *http)
{
  const struct timespec pause = {.tv_nsec = 1000000};
  const int64_t began = uk_clock_monotonic();
  uk_listen_refuse(&http->listeners);
  while (uk_acceptor_drain(&http->acceptor) && uk_clock_monotonic() < end_of_waiting(http, began))
    nanosleep(&pause, NULL);
  uk_http_refuse_open(http);
  wait_for_refusals(http);
}

/* MHD_stop_daemon aborts the process if a connection is still suspended, so there is no deadline
 * for requests that the engine has yet to finish; it guarantees that it will. */
void uk_http_stop(struct uk_http *http)
{
  uk_http_refuse(http);
  uk_http_wait(http, INT64_MAX);
  wait_for_zero(&http->resuming, INT64_MAX);
  wait_for_zero(&http->unsent, uk_clock_monotonic() + http->send_milliseconds);
  uk_acceptor_stop(&http->acceptor);
  uk_receipts_close(&http->receipts);
  refuse_rest(http);
  MHD_stop_daemon(http->daemon);
  free_http(http);
}
