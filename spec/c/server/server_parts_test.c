/* for: server.c
 *
 * Which part of the server gets which option, in which order parts start and stop, and that nothing
 * remains. The test plays the HTTP side and both engines. */
#include "server/server.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "log_rig.h"
#include "server/api/cors.h"
#include "common/memory_limit.h"
#include "server/api/server_state.h"
#include "server/http/http.h"
#include "server/log_engine/log_engine.h"

/* What happened, as text. */
static char events[2000];

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
  va_list arguments;
  size_t length = strlen(events);
  va_start(arguments, format);
  vsnprintf(events + length, sizeof events - length, format, arguments);
  va_end(arguments);
}

/* The part that fails, and what it says. */
static const char *failing, *reason;

static enum uk_error outcome(const char *part, char *message, size_t size)
{
  note("%s\n", part);
  if (failing == NULL || strcmp(failing, part) != 0)
    return UK_OK;
  snprintf(message, size, "%s", reason);
  return UK_E_UNAVAILABLE;
}

/* HTTP. */

static char fake_http;
static struct uk_http_options http;
static bool json, heads;

enum uk_error uk_http_start(struct uk_http **out, const struct uk_http_options *options,
                            char *message, size_t size)
{
  http = *options;
  enum uk_error error = outcome("start http", message, size);
  if (error == UK_OK)
    *out = (struct uk_http *)(void *)&fake_http;
  return error;
}

enum uk_error uk_http_accept(struct uk_http *started, char *message, size_t size)
{
  CHECK((void *)started == &fake_http);
  return outcome("accept", message, size);
}

const char *uk_http_address(const struct uk_http *started)
{
  CHECK((const void *)started == &fake_http);
  return "host:81";
}

void uk_http_refuse(struct uk_http *started)
{
  CHECK((void *)started == &fake_http);
  note("refuse\n");
}

static bool answers = true;
static int64_t patience; /* of the last wait */

bool uk_http_wait(struct uk_http *started, int64_t until)
{
  CHECK((void *)started == &fake_http);
  patience = until - uk_clock_monotonic();
  note("wait\n");
  return answers;
}

void uk_http_stop(struct uk_http *started)
{
  CHECK((void *)started == &fake_http);
  note("stop http\n");
}

bool uk_http_refusals_are_json(void)
{
  return json;
}

bool uk_http_checks_heads(void)
{
  return heads;
}

/* The engines. */

static void drain(struct uk_engine *engine)
{
  (void)engine;
  note("drain\n");
}

static bool finishes = true, well = true;

static bool finish(struct uk_engine *engine)
{
  (void)engine;
  note("finish\n");
  return finishes;
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine;
  snprintf(detail, size, "%s", well ? "" : "the disk sleeps");
  return well ? UK_OK : UK_E_UNAVAILABLE;
}

static void close_engine(struct uk_engine *engine)
{
  (void)engine;
  note("close engine\n");
}

static const struct uk_engine_methods methods = {
  .name = "played", .drain = drain, .finish = finish, .health = health, .close = close_engine};
static struct uk_engine fake_engine = {&methods};

static struct uk_log_engine_options log_options;
static struct uk_kafka_options kafka;

enum uk_error uk_log_engine_open(struct uk_engine **engine,
                                 const struct uk_log_engine_options *options, char *message,
                                 size_t size)
{
  log_options = *options;
  enum uk_error error = outcome("open log", message, size);
  if (error == UK_OK)
    *engine = &fake_engine;
  return error;
}

enum uk_error uk_kafka_engine_open(struct uk_engine **engine,
                                   const struct uk_kafka_options *options, char *message,
                                   size_t size)
{
  kafka = *options;
  enum uk_error error = outcome("open kafka", message, size);
  if (error == UK_OK)
    *engine = &fake_engine;
  return error;
}

/* The system. */

int64_t uk_clock_monotonic(void)
{
  return 5000;
}

int64_t uk_clock_epoch(void)
{
  return 0;
}

static long processors = 1;

long sysconf(int name)
{
  union {
    void *symbol;
    long (*ask)(int);
  } system = {.symbol = dlsym(RTLD_NEXT, "sysconf")};
  return name == _SC_NPROCESSORS_ONLN ? processors : system.ask(name);
}

/* The server. */

static char message[400];
static struct uk_server *server;

/* Every option is different from its default and from every other. */
static struct uk_server_options unusual(void)
{
  return (struct uk_server_options){.listen = "there:7",
                                    .username = "u",
                                    .password = "p",
                                    .data = "data-folder",
                                    .prefetch_bytes = 2000,
                                    .prefetch_budget = 3000,
                                    .map_bytes = 4000000,
                                    .partitions = 5,
                                    .idempotency_window = 11,
                                    .auto_create_topics = true,
                                    .no_sync = true,
                                    .threads = 6,
                                    .max_connections = 7,
                                    .max_connections_per_address = 12,
                                    .tls_timeout = 13,
                                    .head_timeout = 14,
                                    .idle_timeout = 15,
                                    .min_rate = 16,
                                    .rate_period = 17,
                                    .max_header_bytes = 8000,
                                    .max_body_bytes = 9000,
                                    .max_message_bytes = 1000,
                                    .max_request_memory = 12000000};
}

static enum uk_error start(const struct uk_server_options *options)
{
  events[0] = '\0';
  server = NULL;
  enum uk_error error = uk_server_start(&server, options, message, sizeof message);
  CHECK_EQ_INT(server != NULL, error == UK_OK);
  return error;
}

/* The URL is allocated inside the C library, where it is not counted, and freed here. */
enum { URL = 1 };

static void the_log_gets_its_options(void)
{
  static const char *const origin = "https://a";
  struct uk_server_options options = unusual();
  options.cors_origins = &origin;
  options.cors_origin_count = 1;
  long before = fault_live();
  REQUIRE(start(&options) == UK_OK);
  CHECK_EQ_STR(events, "start http\nopen log\naccept\n");
  CHECK_EQ_STR(log_options.directory, "data-folder");
  CHECK_EQ_INT(log_options.map_bytes, 4000000);
  CHECK_EQ_INT(log_options.partitions, 5);
  CHECK_EQ_INT(log_options.idempotency_window, 11000);
  CHECK(log_options.auto_create && log_options.no_sync);
  CHECK_EQ_STR(http.listen, "there:7");
  CHECK(http.server == server);
  CHECK_EQ_INT(http.threads, 6);
  CHECK_EQ_INT(http.max_connections, 7);
  CHECK_EQ_INT(http.limits.per_address, 12);
  CHECK_EQ_INT(http.limits.handshake, 13000);
  CHECK_EQ_INT(http.limits.head, 14000);
  CHECK_EQ_INT(http.limits.idle, 15000);
  CHECK_EQ_INT(http.limits.rate, 16);
  CHECK_EQ_INT(http.limits.period, 17000);
  CHECK_EQ_INT(http.max_header_bytes, 8000);
  CHECK_EQ_INT(http.max_body_bytes, 9000);
  CHECK(http.tls_cert == NULL && http.tls_key == NULL && http.tls_priorities == NULL);
  CHECK_EQ_INT(server->max_message_bytes, 1000);
  CHECK_EQ_INT(server->memory.limit, 12000000);
  CHECK(server->engine == &fake_engine);
  CHECK_EQ_STR(uk_cors_admit(server->cors, uk_slice_text("https://a")), "https://a");
  CHECK(uk_cors_admit(server->cors, uk_slice_text("https://b")) == NULL);
  struct uk_logins logins;
  const struct uk_credential *found;
  uk_logins_init(&logins);
  uk_logins_add(&logins, uk_slice_text("u"), uk_slice_text("p"));
  const struct uk_client_address client = {0};
  const struct uk_access_result result = uk_access_find(server->access, &logins, &client);
  CHECK_EQ_INT(result.outcome, UK_ACCESS_GRANTED);
  found = result.credential;
  CHECK(found != NULL && uk_credential_holds(found, UK_PERMIT_TOPICS) &&
        uk_credential_admits_all(found));
  uk_access_release(found);
  CHECK_EQ_STR(uk_server_url(server), "http://host:81");
  events[0] = '\0';
  uk_server_stop(server);
  CHECK_EQ_STR(events, "refuse\ndrain\nwait\nstop http\nfinish\nclose engine\n");
  CHECK_EQ_INT(fault_live(), before - URL);
  options.auto_create_topics = options.no_sync = false;
  REQUIRE(start(&options) == UK_OK);
  CHECK(!log_options.auto_create && !log_options.no_sync);
  uk_server_stop(server);
}

static void E3_requests_may_take_a_quarter_of_the_memory(void)
{
  struct uk_server_options options = unusual();
  options.max_request_memory = 0;
  REQUIRE(start(&options) == UK_OK);
  CHECK(server->memory.limit == uk_memory_limit("") / 4);
  uk_server_stop(server);
}

static void a_cluster_gets_its_options(void)
{
  static const struct uk_kafka_property properties[2] = {{.name = "a"}, {.name = "b"}};
  struct uk_server_options options = unusual();
  options.brokers = "one:1,two:2";
  options.properties = properties;
  options.property_count = 2;
  options.data = NULL;
  for (int i = 0; i < 2; i++) {
    options.auto_create_topics = i == 1;
    REQUIRE(start(&options) == UK_OK);
    CHECK_EQ_STR(events, "start http\nopen kafka\naccept\n");
    CHECK_EQ_STR(kafka.brokers, "one:1,two:2");
    CHECK(kafka.properties == properties);
    CHECK_EQ_INT(kafka.property_count, 2);
    CHECK_EQ_INT(kafka.prefetch_bytes, 2000);
    CHECK_EQ_INT(kafka.prefetch_budget, 3000);
    CHECK_EQ_INT(kafka.max_message_bytes, 1000);
    CHECK_EQ_INT(kafka.partitions, 5);
    CHECK_EQ_INT(kafka.idempotency_window, 11000);
    CHECK_EQ_INT(kafka.auto_create_topics, i == 1);
    uk_server_stop(server);
  }
}

/* At most 8, and one where the system does not know. */
static void has_a_thread_for_each_processor(void)
{
  static const struct {
    long processors;
    unsigned threads;
  } rows[] = {{-1, 1}, {0, 1}, {1, 1}, {2, 2}, {8, 8}, {9, 8}, {128, 8}};
  struct uk_server_options options = unusual();
  options.threads = 0;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    processors = rows[i].processors;
    REQUIRE(start(&options) == UK_OK);
    CHECK_EQ_INT(http.threads, rows[i].threads);
    uk_server_stop(server);
  }
  processors = 1;
}

static void passes_on_what_tls_needs(void)
{
  struct uk_server_options options = unusual();
  options.tls_cert = "cert.pem";
  options.tls_key = "key.pem";
  options.tls_priorities = "NORMAL";
  long before = fault_live();
  REQUIRE(start(&options) == UK_OK);
  CHECK_EQ_STR(http.tls_cert, "cert.pem");
  CHECK_EQ_STR(http.tls_key, "key.pem");
  CHECK_EQ_STR(http.tls_priorities, "NORMAL");
  CHECK_EQ_STR(uk_server_url(server), "https://host:81");
  uk_server_stop(server);
  CHECK_EQ_INT(fault_live(), before - URL);
}

/* What was started is stopped, and what was not is not. */
static void stops_what_it_started(void)
{
  static const struct {
    const char *failing, *reason, *message, *events;
    int url;
  } rows[] = {
    {"start http", "listen: no", "listen: no", "start http\n", 0},
    {"open log", "no disk", "data: no disk", "start http\nopen log\nrefuse\nwait\nstop http\n",
     URL},
    {"open log", "", "the server cannot serve this now",
     "start http\nopen log\nrefuse\nwait\nstop http\n", URL},
    {"accept", "threads: no", "threads: no",
     "start http\nopen log\naccept\nrefuse\ndrain\nwait\nstop http\nfinish\nclose engine\n", URL},
  };
  struct uk_server_options options = unusual();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    long before = fault_live();
    failing = rows[i].failing;
    reason = rows[i].reason;
    CHECK_EQ_INT(start(&options), UK_E_UNAVAILABLE);
    CHECK_EQ_STR(message, rows[i].message);
    CHECK_EQ_STR(events, rows[i].events);
    CHECK_EQ_INT(fault_live(), before - rows[i].url);
  }
  options.brokers = "b:1";
  failing = "open kafka";
  reason = "brokers: no";
  CHECK_EQ_INT(start(&options), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "brokers: no");
  failing = NULL;
}

static void survives_every_failing_allocation(void)
{
  struct uk_server_options options = unusual();
  options.tls_cert = "the cert";
  options.tls_key = "the key";
  bool hit = true;
  for (long n = 1; hit; n++) {
    long before = fault_live();
    fault_at(n);
    enum uk_error error = start(&options);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error == UK_OK, !hit);
    if (hit)
      CHECK(error != UK_E_NO_MEMORY || strcmp(message, "out of memory") == 0);
    if (hit)
      CHECK(message[0] != '\0');
    else
      uk_server_stop(server);
    long url = strstr(events, "start http\n") != NULL ? URL : 0;
    CHECK_EQ_INT(fault_live(), before - url);
  }
}

static void says_who_writes_refusals(void)
{
  for (int i = 0; i < 2; i++) {
    json = i == 1;
    heads = i == 0;
    CHECK_EQ_INT(uk_server_refusals_are_json(), json);
    CHECK_EQ_INT(uk_server_checks_heads(), heads);
  }
}

/* A16: stopping what does not answer. */

#define LEFT "what was being written may be stored or not, and the data folder stays in use"

static void A16_an_engine_that_does_not_finish_is_left(void)
{
  struct uk_server_options options = unusual();
  long before = fault_live();
  REQUIRE(start(&options) == UK_OK);
  finishes = well = false;
  events[0] = '\0';
  CHECK_EQ_INT(uk_server_try_stop(server, message, sizeof message), UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_STR(message, "the disk sleeps: " LEFT);
  CHECK_EQ_STR(events, "refuse\ndrain\nwait\nstop http\nfinish\n");
  CHECK_EQ_INT(patience, 40000);
  events[0] = '\0';
  well = true;
  CHECK_EQ_INT(uk_server_try_stop(server, message, sizeof message), UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_STR(message, LEFT);
  CHECK_EQ_STR(events, "drain\nfinish\n");
  events[0] = '\0';
  finishes = true;
  CHECK_EQ_INT(uk_server_try_stop(server, message, sizeof message), UK_OK);
  CHECK_EQ_STR(events, "drain\nfinish\nclose engine\n");
  CHECK_EQ_INT(fault_live(), before - URL);
}

static void A16_requests_without_an_answer_are_left(void)
{
  struct uk_server_options options = unusual();
  REQUIRE(start(&options) == UK_OK);
  answers = well = false;
  events[0] = '\0';
  CHECK_EQ_INT(uk_server_try_stop(server, message, sizeof message), UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_STR(message, "the disk sleeps: requests are still without an answer");
  CHECK_EQ_STR(events, "refuse\ndrain\nwait\n");
  events[0] = '\0';
  answers = well = true;
  CHECK_EQ_INT(uk_server_try_stop(server, message, sizeof message), UK_OK);
  CHECK_EQ_STR(events, "refuse\ndrain\nwait\nstop http\nfinish\nclose engine\n");
}

/* Stopping for good says on standard error what it leaves, and leaves it. */
static void A16_what_cannot_be_stopped_is_abandoned(void)
{
  struct uk_server_options options = unusual();
  finishes = well = false;
  for (int i = 0; i < 2; i++) {
    char line[400] = "";
    FILE *file = tmpfile();
    int saved = dup(STDERR_FILENO);
    REQUIRE(start(&options) == UK_OK && file != NULL && saved >= 0);
    events[0] = '\0';
    dup2(fileno(file), STDERR_FILENO);
    uk_server_stop(server);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    line[fread(line, 1, sizeof line - 1, file)] = '\0';
    fclose(file);
    CHECK_EQ_STR(line, "upstash-kafka: the disk sleeps: " LEFT "\n");
    CHECK_EQ_STR(events, "refuse\ndrain\nwait\nstop http\nfinish\n");
    CHECK_EQ_STR(uk_server_url(server), "http://host:81");
  }
  finishes = well = true;
}

int main(void)
{
  CHECK_RUN(the_log_gets_its_options);
  CHECK_RUN(E3_requests_may_take_a_quarter_of_the_memory);
  CHECK_RUN(a_cluster_gets_its_options);
  CHECK_RUN(has_a_thread_for_each_processor);
  CHECK_RUN(passes_on_what_tls_needs);
  CHECK_RUN(stops_what_it_started);
  CHECK_RUN(survives_every_failing_allocation);
  CHECK_RUN(says_who_writes_refusals);
  CHECK_RUN(A16_an_engine_that_does_not_finish_is_left);
  CHECK_RUN(A16_requests_without_an_answer_are_left);
  CHECK_RUN(A16_what_cannot_be_stopped_is_abandoned);
  rig_remove();
  return check_end();
}
