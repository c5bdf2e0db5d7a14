/* for: server.c: the options, with the defaults and limits of docs/server.md. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "log_rig.h"
#include "server/server.h"

enum { MEBIBYTE = 1 << 20 };

static char message[400];

static const char *path_of(char *path, size_t size, const char *name)
{
  snprintf(path, size, "%s/%s", rig_directory(), name);
  return path;
}

static struct uk_server_options options_for(const char *name)
{
  static char data[512];
  struct uk_server_options options;
  uk_server_options_default(&options);
  options.listen = "127.0.0.1:0";
  options.username = "u";
  options.password = "p";
  options.data = path_of(data, sizeof data, name);
  options.map_bytes = 32 * MEBIBYTE;
  options.no_sync = true;
  return options;
}

static enum uk_error try_to_start(const struct uk_server_options *options)
{
  struct uk_server *server = NULL;
  message[0] = '\0';
  enum uk_error error = uk_server_start(&server, options, message, sizeof message);
  CHECK_EQ_INT(server != NULL, error == UK_OK);
  uk_server_stop(server);
  return error;
}

static void has_the_documented_defaults(void)
{
  struct uk_server_options options;
  uk_server_options_default(&options);
  CHECK_EQ_STR(options.listen, "127.0.0.1:8080");
  CHECK_EQ_STR(options.data, "upstash-kafka-data");
  CHECK_EQ_INT(options.prefetch_bytes, 1048576);
  CHECK_EQ_INT(options.prefetch_budget, 536870912);
  CHECK_EQ_INT(options.map_bytes, 68719476736);
  CHECK_EQ_INT(options.partitions, 1);
  CHECK_EQ_INT(options.idempotency_window, 600);
  CHECK_EQ_INT(options.auto_create_topics, true);
  CHECK_EQ_INT(options.no_sync, false);
  CHECK_EQ_INT(options.threads, 0);
  CHECK_EQ_INT(options.max_connections, 20000);
  CHECK_EQ_INT(options.max_connections_per_address, 256);
  CHECK_EQ_INT(options.tls_timeout, 10);
  CHECK_EQ_INT(options.head_timeout, 15);
  CHECK_EQ_INT(options.idle_timeout, 75);
  CHECK_EQ_INT(options.min_rate, 500);
  CHECK_EQ_INT(options.rate_period, 20);
  CHECK_EQ_INT(options.max_header_bytes, 8192);
  CHECK_EQ_INT(options.max_body_bytes, 16777216);
  CHECK_EQ_INT(options.max_message_bytes, 1048576);
  CHECK_EQ_INT(options.max_request_memory, 0);
  CHECK_EQ_INT(options.cors_origin_count, 0);
  CHECK_EQ_INT(options.proxy_count, 0);
  CHECK_EQ_INT(options.insecure, false);
  CHECK(options.username == NULL && options.password == NULL && options.brokers == NULL);
  CHECK(options.tls_cert == NULL && options.tls_key == NULL && options.tls_priorities == NULL);
}

/* With valid numbers the start fails at the next check. */
static void accepts_only_numbers_within_their_limits(void)
{
  struct uk_server_options options = options_for("numbers");
  static const char *const no_origin = "no origin";
  const struct {
    const char *name;
    int64_t *number, least, most;
  } rows[] = {
    {"map_bytes", &options.map_bytes, 1048576, 70368744177664},
    {"partitions", &options.partitions, 1, 1000},
    {"idempotency_window", &options.idempotency_window, 0, 86400},
    {"threads", &options.threads, 0, 64},
    {"max_connections", &options.max_connections, 1, 1000000},
    {"max_connections_per_address", &options.max_connections_per_address, 1, 1000000},
    {"tls_timeout", &options.tls_timeout, 1, 86400},
    {"head_timeout", &options.head_timeout, 1, 86400},
    {"idle_timeout", &options.idle_timeout, 1, 86400},
    {"min_rate", &options.min_rate, 1, 1048576},
    {"rate_period", &options.rate_period, 1, 86400},
    {"max_header_bytes", &options.max_header_bytes, 2048, 1048576},
    {"max_body_bytes", &options.max_body_bytes, 1, 268435456},
    {"max_message_bytes", &options.max_message_bytes, 1, 268435456},
    {"max_request_memory", &options.max_request_memory, 0, 70368744177664},
    {"prefetch_bytes", &options.prefetch_bytes, 1024, 2147482624},
    {"prefetch_budget", &options.prefetch_budget, 1024, 1099511627776},
  };
  options.cors_origins = &no_origin;
  options.cors_origin_count = 1;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const int64_t bounds[] = {rows[i].least - 1, rows[i].least, rows[i].most, rows[i].most + 1};
    options.prefetch_bytes = 1024;
    options.prefetch_budget = 1099511627776;
    int64_t before = *rows[i].number;
    for (size_t j = 0; j < 4; j++) {
      char expected[200];
      *rows[i].number = bounds[j];
      CHECK_EQ_INT(try_to_start(&options), UK_E_BAD_REQUEST);
      if (j == 0 || j == 3)
        snprintf(expected, sizeof expected, "%s: %lld to %lld expected, got %lld", rows[i].name,
                 (long long)rows[i].least, (long long)rows[i].most, (long long)bounds[j]);
      else
        snprintf(expected, sizeof expected, "cors_origin: ");
      if (!CHECK(strncmp(message, expected, strlen(expected)) == 0))
        fprintf(stderr, "  %s\n", message);
    }
    *rows[i].number = before;
  }
}

static void the_budget_holds_one_instance(void)
{
  struct uk_server_options options = options_for("budget");
  options.prefetch_bytes = 5000;
  options.prefetch_budget = 4999;
  CHECK_EQ_INT(try_to_start(&options), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "prefetch_budget: 5000 to 1099511627776 expected, got 4999");
  options.prefetch_budget = 5000;
  CHECK_EQ_INT(try_to_start(&options), UK_OK);
}

static void names_the_missing_text(void)
{
  static const char *const proxy = "proxy";
  const struct uk_kafka_property property = {.name = "client.id", .value = "x"};
  const struct uk_server_options good = options_for("texts");
  struct {
    struct uk_server_options options;
    const char *message;
  } cases[] = {
    {good, "listen: missing"},
    {good, "username: missing"},
    {good, "password: missing"},
    {good, "data: missing"},
    {good, "properties: valid only together with brokers"},
    {good, "brokers: HOST:PORT,... expected, got nothing"},
    {good, "tls_cert: missing; tls_cert and tls_key must be given together"},
    {good, "tls_key: missing; tls_cert and tls_key must be given together"},
    {good, "tls_priorities: valid only together with tls_cert and tls_key"},
    {good, "behind_proxy: an IPv4 or IPv6 address or \"unix\" expected, got \"proxy\""},
  };
  cases[0].options.listen = "";
  cases[1].options.username = "";
  cases[2].options.password = "";
  cases[3].options.data = "";
  cases[4].options.properties = &property;
  cases[4].options.property_count = 1;
  cases[5].options.brokers = "";
  cases[6].options.tls_key = "x";
  cases[7].options.tls_cert = "x";
  cases[8].options.tls_priorities = "NORMAL";
  cases[9].options.proxies = &proxy;
  cases[9].options.proxy_count = 1;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CHECK_EQ_INT(try_to_start(&cases[i].options), UK_E_BAD_REQUEST);
    CHECK_EQ_STR(message, cases[i].message);
  }
}

static void write_file(const char *path, size_t length)
{
  FILE *file = fopen(path, "w");
  for (size_t i = 0; i < length; i++)
    fputc('x', file);
  fclose(file);
}

static int count_descriptors(void)
{
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder) != NULL)
    count++;
  closedir(folder);
  return count;
}

/* Replaces libc's function, also for libraries. Counts descriptors that are closed twice, which in
 * a threaded process closes what another thread has just opened. */
static atomic_int closed_twice;

int close(int fd)
{
  int failed = (int)syscall(SYS_close, fd);
  if (failed != 0 && errno == EBADF)
    atomic_fetch_add(&closed_twice, 1);
  return failed;
}

/* A failed start releases the descriptors and the folder, each once. */
static void a_failed_start_leaves_nothing_open(void)
{
  char pem[512];
  struct uk_server_options options = options_for("failed");
  int before = count_descriptors();
  options.listen = "127.0.0.1:99999";
  CHECK_EQ_INT(try_to_start(&options), UK_E_BAD_REQUEST);
  options.listen = "127.0.0.1:0";
  write_file(path_of(pem, sizeof pem, "no.pem"), 10);
  options.tls_cert = options.tls_key = pem;
  CHECK_EQ_INT(try_to_start(&options), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(count_descriptors(), before);
  options.tls_cert = options.tls_key = NULL;
  CHECK_EQ_INT(try_to_start(&options), UK_OK);
  CHECK_EQ_INT(count_descriptors(), before);
  CHECK_EQ_INT(atomic_load(&closed_twice), 0);
}

int main(void)
{
  CHECK_RUN(has_the_documented_defaults);
  CHECK_RUN(accepts_only_numbers_within_their_limits);
  CHECK_RUN(the_budget_holds_one_instance);
  CHECK_RUN(names_the_missing_text);
  CHECK_RUN(a_failed_start_leaves_nothing_open);
  rig_remove();
  return check_end();
}
