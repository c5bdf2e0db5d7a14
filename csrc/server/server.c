#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory_limit.h"
#include "common/protocol.h"
#include "server/api/cors.h"
#include "server/api/server_state.h"
#include "server/http/http.h"
#include "server/kafka_engine/kafka_engine.h"
#include "server/log_engine/log_engine.h"
#include "server/server.h"

enum {
  THREADS_MAX = 64,
  THREADS_DEFAULT_MAX = 8,
  CONNECTIONS_MAX = 1000000,
  IDEMPOTENCY_WINDOW_MAX = 24 * 3600,
  SECONDS_MAX = 24 * 3600,
  RATE_MAX = 1 << 20,
  MEMORY_SHARE = 4,         /* requests may take one part in so many of the available memory */
  STOP_MILLISECONDS = 40000 /* in which an engine answers what is pending; a produce has 30 s */
};
static const int64_t MAP_BYTES = INT64_C(64) << 30;
static const int64_t MAP_BYTES_LEAST = INT64_C(1) << 20;
static const int64_t HEADER_BYTES_LEAST = INT64_C(2) << 10;
static const int64_t HEADER_BYTES_MAX = INT64_C(1) << 20;
static const int64_t PREFETCH_BYTES = INT64_C(1) << 20;
static const int64_t PREFETCH_BUDGET = INT64_C(512) << 20;
static const int64_t PREFETCH_BYTES_MAX = (INT64_C(1) << 31) - 1024; /* librdkafka's maximum */
static const int64_t PREFETCH_MAX = INT64_C(1) << 40;
static const int64_t BODY_BYTES_MAX = INT64_C(256) << 20;
static const int64_t REQUEST_MEMORY_MAX = INT64_C(1) << 46;

void uk_server_options_default(struct uk_server_options *options)
{
  *options = (struct uk_server_options){
    .listen = "127.0.0.1:8080",
    .data = "upstash-kafka-data",
    .map_bytes = MAP_BYTES,
    .partitions = 1,
    .idempotency_window = UK_IDEMPOTENCY_WINDOW / 1000,
    .auto_create_topics = true,
    .max_connections = 20000,
    .max_connections_per_address = 256,
    .tls_timeout = 10,
    .head_timeout = 15,
    .idle_timeout = 75,
    .min_rate = 500,
    .rate_period = 20,
    .max_header_bytes = UK_HEADER_BYTES,
    .max_body_bytes = UK_BODY_BYTES,
    .max_message_bytes = UK_MESSAGE_BYTES,
    .prefetch_bytes = PREFETCH_BYTES,
    .prefetch_budget = PREFETCH_BUDGET,
  };
}

/* Checks of options. */

static enum uk_error check_texts(const struct uk_server_options *options, char *message,
                                 size_t size)
{
  const bool needs_login =
    options->credentials == NULL || options->username != NULL || options->password != NULL;
  const struct {
    const char *name, *value;
  } required[] = {{"listen", options->listen},
                  {"username", needs_login ? options->username : "-"},
                  {"password", needs_login ? options->password : "-"},
                  {"credentials", options->credentials != NULL ? options->credentials : "-"},
                  {"data", options->brokers != NULL ? "-" : options->data}};
  for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
    if (required[i].value == NULL || required[i].value[0] == '\0') {
      snprintf(message, size, "%s: missing", required[i].name);
      return UK_E_BAD_REQUEST;
    }
  }
  if (options->brokers == NULL && options->property_count > 0) {
    snprintf(message, size, "properties: valid only together with brokers");
    return UK_E_BAD_REQUEST;
  }
  if (options->brokers != NULL && options->brokers[0] == '\0') {
    snprintf(message, size, "brokers: HOST:PORT,... expected, got nothing");
    return UK_E_BAD_REQUEST;
  }
  if ((options->tls_cert == NULL) != (options->tls_key == NULL)) {
    snprintf(message, size, "%s: missing; tls_cert and tls_key must be given together",
             options->tls_cert == NULL ? "tls_cert" : "tls_key");
    return UK_E_BAD_REQUEST;
  }
  if (options->tls_priorities != NULL && options->tls_cert == NULL) {
    snprintf(message, size, "tls_priorities: valid only together with tls_cert and tls_key");
    return UK_E_BAD_REQUEST;
  }
  return UK_OK;
}

static enum uk_error check_numbers(const struct uk_server_options *options, char *message,
                                   size_t size)
{
  const struct {
    const char *name;
    int64_t value, least, most;
  } ranges[] = {
    {"map_bytes", options->map_bytes, MAP_BYTES_LEAST, INT64_C(1) << 46},
    {"partitions", options->partitions, 1, UK_PARTITIONS_MAX},
    {"idempotency_window", options->idempotency_window, 0, IDEMPOTENCY_WINDOW_MAX},
    {"threads", options->threads, 0, THREADS_MAX},
    {"max_connections", options->max_connections, 1, CONNECTIONS_MAX},
    {"max_connections_per_address", options->max_connections_per_address, 1, CONNECTIONS_MAX},
    {"tls_timeout", options->tls_timeout, 1, SECONDS_MAX},
    {"head_timeout", options->head_timeout, 1, SECONDS_MAX},
    {"idle_timeout", options->idle_timeout, 1, SECONDS_MAX},
    {"min_rate", options->min_rate, 1, RATE_MAX},
    {"rate_period", options->rate_period, 1, SECONDS_MAX},
    {"max_header_bytes", options->max_header_bytes, HEADER_BYTES_LEAST, HEADER_BYTES_MAX},
    {"max_body_bytes", options->max_body_bytes, 1, BODY_BYTES_MAX},
    {"max_message_bytes", options->max_message_bytes, 1, BODY_BYTES_MAX},
    {"max_request_memory", options->max_request_memory, 0, REQUEST_MEMORY_MAX},
    {"prefetch_bytes", options->prefetch_bytes, 1024, PREFETCH_BYTES_MAX},
    {"prefetch_budget", options->prefetch_budget, options->prefetch_bytes, PREFETCH_MAX},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most) {
      snprintf(message, size, "%s: %lld to %lld expected, got %lld", ranges[i].name,
               (long long)ranges[i].least, (long long)ranges[i].most, (long long)ranges[i].value);
      return UK_E_BAD_REQUEST;
    }
  }
  return UK_OK;
}

/* The parts, in the order in which they start: the engine, which writes to the disk, once all else
 * that can fail has succeeded. Each stores what it makes in the server, where uk_server_stop finds
 * it. */

static enum uk_error start_access(struct uk_server *server, const struct uk_server_options *options,
                                  char *message, size_t size)
{
  const struct uk_access_options access = {
    .username = options->username, .password = options->password, .file = options->credentials};
  return uk_access_open(&server->access, &access, message, size);
}

static enum uk_error start_cors(struct uk_server *server, const struct uk_server_options *options,
                                char *message, size_t size)
{
  return uk_cors_new(&server->cors, options->cors_origins, options->cors_origin_count, message,
                     size);
}

static enum uk_error start_kafka(struct uk_server *server, const struct uk_server_options *options,
                                 char *message, size_t size)
{
  const struct uk_kafka_options kafka = {.brokers = options->brokers,
                                         .properties = options->properties,
                                         .property_count = options->property_count,
                                         .prefetch_bytes = options->prefetch_bytes,
                                         .prefetch_budget = options->prefetch_budget,
                                         .max_message_bytes = options->max_message_bytes,
                                         .partitions = (int32_t)options->partitions,
                                         .auto_create_topics = options->auto_create_topics,
                                         .idempotency_window = options->idempotency_window * 1000};
  return uk_kafka_engine_open(&server->engine, &kafka, message, size);
}

static enum uk_error start_engine(struct uk_server *server, const struct uk_server_options *options,
                                  char *message, size_t size)
{
  if (options->brokers != NULL)
    return start_kafka(server, options, message, size);
  const struct uk_log_engine_options log = {.directory = options->data,
                                            .map_bytes = (size_t)options->map_bytes,
                                            .partitions = (int32_t)options->partitions,
                                            .auto_create = options->auto_create_topics,
                                            .no_sync = options->no_sync,
                                            .idempotency_window =
                                              options->idempotency_window * 1000};
  char reason[UK_MESSAGE_SIZE] = "";
  enum uk_error error = uk_log_engine_open(&server->engine, &log, reason, sizeof reason);
  if (error != UK_OK && reason[0] != '\0')
    snprintf(message, size, "data: %s", reason);
  return error;
}

static size_t request_memory(const struct uk_server_options *options)
{
  return options->max_request_memory > 0 ? (size_t)options->max_request_memory
                                         : uk_memory_limit("") / MEMORY_SHARE;
}

static struct uk_reaper_limits limits_of(const struct uk_server_options *options)
{
  return (struct uk_reaper_limits){
    .per_address = (unsigned)options->max_connections_per_address,
    .handshake = options->tls_timeout * 1000,
    .head = options->head_timeout * 1000,
    .idle = options->idle_timeout * 1000,
    .rate = options->min_rate,
    .period = options->rate_period * 1000,
  };
}

static unsigned default_threads(void)
{
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  long threads = processors < 1                     ? 1
                 : processors > THREADS_DEFAULT_MAX ? THREADS_DEFAULT_MAX
                                                    : processors;
  return (unsigned)threads;
}

static enum uk_error start_http(struct uk_server *server, const struct uk_server_options *options,
                                char *message, size_t size)
{
  struct uk_http_options http = {
    .server = server,
    .listen = options->listen,
    .threads = options->threads > 0 ? (unsigned)options->threads : default_threads(),
    .max_connections = (unsigned)options->max_connections,
    .limits = limits_of(options),
    .max_header_bytes = (size_t)options->max_header_bytes,
    .max_body_bytes = (size_t)options->max_body_bytes,
    .tls_cert = options->tls_cert,
    .tls_key = options->tls_key,
    .tls_priorities = options->tls_priorities,
    .insecure = options->insecure,
  };
  enum uk_error error =
    uk_proxies_read(&http.proxies, options->proxies, options->proxy_count, message, size);
  if (error == UK_OK)
    error = uk_http_start(&server->http, &http, message, size);
  if (error == UK_OK &&
      asprintf(&server->url, "%s://%s", options->tls_cert != NULL ? "https" : "http",
               uk_http_address(server->http)) < 0) {
    server->url = NULL;
    error = UK_E_NO_MEMORY;
  }
  return error;
}

static enum uk_error accept_requests(struct uk_server *server,
                                     const struct uk_server_options *options, char *message,
                                     size_t size)
{
  (void)options;
  return uk_http_accept(server->http, message, size);
}

enum uk_error uk_server_start(struct uk_server **out, const struct uk_server_options *options,
                              char *message, size_t size)
{
  static enum uk_error (*const parts[])(struct uk_server *, const struct uk_server_options *,
                                        char *, size_t) = {start_access, start_cors, start_http,
                                                           start_engine, accept_requests};
  message[0] = '\0';
  enum uk_error error = check_texts(options, message, size);
  if (error == UK_OK)
    error = check_numbers(options, message, size);
  struct uk_server *server = error == UK_OK ? calloc(1, sizeof *server) : NULL;
  if (server == NULL && error == UK_OK)
    error = UK_E_NO_MEMORY;
  if (server != NULL) {
    server->max_message_bytes = (size_t)options->max_message_bytes;
    uk_budget_init(&server->memory, request_memory(options));
  }
  for (size_t i = 0; i < sizeof parts / sizeof *parts && error == UK_OK; i++)
    error = parts[i](server, options, message, size);
  if (error == UK_OK) {
    *out = server;
    return UK_OK;
  }
  if (message[0] == '\0')
    snprintf(message, size, "%s", uk_error_text(error));
  uk_server_stop(server);
  return error;
}

const char *uk_server_url(const struct uk_server *server)
{
  return server->url;
}

bool uk_server_refusals_are_json(void)
{
  return uk_http_refusals_are_json();
}

bool uk_server_checks_heads(void)
{
  return uk_http_checks_heads();
}

/* Says what was left, and what the engine says of it. */
static enum uk_error left(const struct uk_server *server, const char *what, char *message,
                          size_t size)
{
  char detail[UK_MESSAGE_SIZE];
  bool well = server->engine->methods->health(server->engine, detail, sizeof detail) == UK_OK;
  snprintf(message, size, "%s%s%s", well ? "" : detail, well ? "" : ": ", what);
  return UK_E_GATEWAY_TIMEOUT;
}

/* An engine that does not stop is asked again by the next call; the rest has gone by then. */
static enum uk_error stop_parts(struct uk_server *server, char *message, size_t size)
{
  struct uk_engine *engine = server->engine;
  if (server->http != NULL)
    uk_http_refuse(server->http);
  if (engine != NULL)
    engine->methods->drain(engine);
  if (server->http != NULL && !uk_http_wait(server->http, uk_clock_monotonic() + STOP_MILLISECONDS))
    return left(server, "requests are still without an answer", message, size);
  if (server->http != NULL)
    uk_http_stop(server->http);
  server->http = NULL;
  if (engine != NULL && engine->methods->finish != NULL && !engine->methods->finish(engine))
    return left(server,
                "what was being written may be stored or not, and the data folder stays in use",
                message, size);
  if (engine != NULL)
    engine->methods->close(engine);
  return UK_OK;
}

enum uk_error uk_server_try_stop(struct uk_server *server, char *message, size_t size)
{
  enum uk_error error = stop_parts(server, message, size);
  if (error != UK_OK)
    return error;
  uk_access_close(server->access);
  uk_cors_free(server->cors);
  free(server->url);
  free(server);
  return UK_OK;
}

/* Servers that could not be stopped. Their threads use them. */
static pthread_mutex_t abandoned_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct uk_server *abandoned;

static void abandon(struct uk_server *server)
{
  pthread_mutex_lock(&abandoned_mutex);
  server->next_abandoned = abandoned;
  abandoned = server;
  pthread_mutex_unlock(&abandoned_mutex);
}

/* Also stops a partly started server. */
void uk_server_stop(struct uk_server *server)
{
  char message[UK_SERVER_LEFT_SIZE];
  if (server == NULL || uk_server_try_stop(server, message, sizeof message) == UK_OK)
    return;
  uk_error_log("%s", message);
  abandon(server);
}
