/* for: server.c, http.c
 *
 * hammer: many threads call every endpoint of a running server at once, to find races. Under
 * ThreadSanitizer it checks the server's locks: the clients share nothing with the server but
 * sockets. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "server/api/server_state.h"
#include "server/http/http_private.h"
#include "server/server.h"

enum { WORKERS = 4, ROUNDS = 60, BODY_SIZE = 1 << 20 };

static struct uk_server *server;
static char directory[] = "/tmp/hammer-XXXXXX";
static const char authorization[] = "dXNlcjpwYXNzd29yZA=="; /* user:password */
static uint16_t port;
static atomic_int produced;
static atomic_bool stopping;

struct connection {
  int fd;
  char *body; /* of the last response, NUL-terminated */
};

static bool connect_to_server(struct connection *connection)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct timeval patience = {.tv_sec = 120};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  connection->body = malloc(BODY_SIZE);
  return connection->body != NULL &&
         connect(connection->fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static void disconnect(struct connection *connection)
{
  close(connection->fd);
  free(connection->body);
}

/* Reads up to `end` bytes, or to the blank line when `end` is 0. Returns the count, or 0 when the
 * connection breaks. */
static size_t receive(int fd, char *data, size_t size, size_t length, size_t end)
{
  for (;;) {
    data[length] = '\0';
    char *blank = end == 0 ? strstr(data, "\r\n\r\n") : NULL;
    if (blank != NULL || (end != 0 && length >= end))
      return length;
    ssize_t got = length + 1 < size ? recv(fd, data + length, size - length - 1, 0) : 0;
    if (got <= 0)
      return 0;
    length += (size_t)got;
  }
}

/* The status of the response, with its body in connection->body; 0 when the connection broke. */
static int receive_answer(struct connection *connection)
{
  char *data = connection->body;
  size_t length = receive(connection->fd, data, BODY_SIZE, 0, 0);
  int status = 0;
  if (length == 0 || sscanf(data, "HTTP/1.1 %d", &status) != 1)
    return 0;
  size_t head = (size_t)(strstr(data, "\r\n\r\n") + 4 - data);
  const char *field = strcasestr(data, "\r\nContent-Length:");
  size_t body = field == NULL ? 0 : strtoul(field + 17, NULL, 10);
  if (body > 0 && receive(connection->fd, data, BODY_SIZE, length, head + body) == 0)
    return 0;
  memmove(data, data + head, body);
  data[body] = '\0';
  return status;
}

static int ask(struct connection *connection, const char *body, const char *method,
               const char *format, ...) __attribute__((format(printf, 4, 5)));
static int ask(struct connection *connection, const char *body, const char *method,
               const char *format, ...)
{
  char path[256], request[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(path, sizeof path, format, arguments);
  va_end(arguments);
  int length = snprintf(request, sizeof request,
                        "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n"
                        "Kafka-Auto-Offset-Reset: earliest\r\nContent-Length: %zu\r\n\r\n%s",
                        method, path, authorization, strlen(body), body);
  if (send(connection->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
    return 0;
  return receive_answer(connection);
}

static void produce(struct connection *connection, int worker, int round)
{
  if (CHECK_EQ_INT(ask(connection, "[{\"value\":\"a\"},{\"value\":\"b\",\"key\":\"k\"}]", "POST",
                       "/produce/hammer"),
                   200))
    atomic_fetch_add(&produced, 2);
  if (CHECK_EQ_INT(ask(connection, "", "GET", "/produce/hammer/%d-%d", worker, round), 200))
    atomic_fetch_add(&produced, 1);
}

/* 429 is valid, too: a group may be rebalancing, or have as many instances as partitions. */
static void consume(struct connection *connection, int worker, int round)
{
  int status = ask(connection, "", "GET",
                   "/consume/group/instance-%d/hammer?timeout=20&max_messages=5", worker);
  CHECK(status == 200 || status == 429);
  status = ask(connection, "", "POST", "/commit/group/instance-%d", worker);
  CHECK(status == 200 || status == 404);
  if (round % 10 == 9) {
    status = ask(connection, "", "DELETE", "/delete-consumer/group/instance-%d", worker);
    CHECK(status == 200 || status == 404);
  }
}

static void look(struct connection *connection, int worker, int round)
{
  CHECK_EQ_INT(ask(connection, "", "GET", "/topics"), 200);
  CHECK_EQ_INT(ask(connection, "", "GET", "/consumers"), 200);
  CHECK_EQ_INT(ask(connection, "", "GET", "/health"), 200);
  CHECK_EQ_INT(ask(connection, "{\"topic\":\"hammer\",\"partition\":0}", "POST", "/offsets/latest"),
               200);
  CHECK_EQ_INT(
    ask(connection, "{\"topic\":\"hammer\",\"partition\":0}", "POST", "/committed/group/x"), 200);
  CHECK_EQ_INT(ask(connection,
                   "{\"topic\":\"hammer\",\"partition\":1,\"offset\":0,\"max_messages\":3}", "POST",
                   "/fetch"),
               200);
  CHECK_EQ_INT(ask(connection, "{", "POST", "/fetch"), 400);
  CHECK_EQ_INT(ask(connection, "", "GET", "/nothing"), 404);
  int status = ask(connection, "{\"partitions\":2}", "POST", "/topics/mine-%d-%d", worker, round);
  CHECK_EQ_INT(status, 201);
  CHECK_EQ_INT(ask(connection, "", "DELETE", "/topics/mine-%d-%d", worker, round), 200);
}

static void (*const works[])(struct connection *, int, int) = {produce, consume, look};
enum { WORKS = sizeof works / sizeof works[0] };

static void *work(void *argument)
{
  int worker = *(int *)argument;
  struct connection connection;
  if (CHECK(connect_to_server(&connection)))
    for (int round = 0; round < ROUNDS; round++)
      works[worker % WORKS](&connection, worker, round);
  disconnect(&connection);
  return NULL;
}

/* The request waits until the server stops; any response is valid, or none. */
static void *wait_for_messages(void *argument)
{
  int worker = *(int *)argument;
  struct connection connection;
  if (CHECK(connect_to_server(&connection)))
    ask(&connection, "", "GET", "/consume/waiting-%d/one/hammer-empty?timeout=60000", worker);
  CHECK(atomic_load(&stopping));
  disconnect(&connection);
  return NULL;
}

static void run_threads(void *(*run)(void *), pthread_t *threads, int *numbers, int count)
{
  for (int i = 0; i < count; i++) {
    numbers[i] = i;
    CHECK_EQ_INT(pthread_create(&threads[i], NULL, run, &numbers[i]), 0);
  }
}

static void join_threads(pthread_t *threads, int count)
{
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
}

static void starts(void)
{
  struct uk_server_options options;
  char message[256];
  uk_server_options_default(&options);
  options.listen = "127.0.0.1:0";
  options.username = "user";
  options.password = "password";
  options.data = directory;
  options.partitions = 4;
  options.no_sync = true;
  options.map_bytes = 256 << 20; /* as much as valgrind has room for */
  options.threads = 4;
  message[0] = '\0';
  REQUIRE(mkdtemp(directory) != NULL);
  CHECK_EQ_INT(uk_server_start(&server, &options, message, sizeof message), UK_OK);
  CHECK_EQ_STR(message, "");
  REQUIRE(server != NULL);
  port = (uint16_t)strtoul(strrchr(uk_server_url(server), ':') + 1, NULL, 10);
}

static void answers_many_at_once(void)
{
  pthread_t threads[WORKERS * WORKS];
  int numbers[WORKERS * WORKS];
  struct connection connection;
  REQUIRE(connect_to_server(&connection));
  CHECK_EQ_INT(ask(&connection, "{\"partitions\":4}", "POST", "/topics/hammer"), 201);
  CHECK_EQ_INT(ask(&connection, "{\"partitions\":1}", "POST", "/topics/hammer-empty"), 201);
  run_threads(work, threads, numbers, WORKERS * WORKS);
  join_threads(threads, WORKERS * WORKS);
  disconnect(&connection);
}

static void keeps_acknowledged_records(void)
{
  struct connection connection;
  long long total = 0;
  REQUIRE(connect_to_server(&connection));
  for (int partition = 0; partition < 4; partition++) {
    char body[64];
    snprintf(body, sizeof body, "{\"topic\":\"hammer\",\"partition\":%d}", partition);
    REQUIRE(ask(&connection, body, "POST", "/offsets/latest") == 200);
    const char *offset = strstr(connection.body, "\"offset\":");
    REQUIRE(offset != NULL);
    total += strtoll(offset + 9, NULL, 10);
  }
  CHECK_EQ_INT(total, atomic_load(&produced));
  CHECK_EQ_INT(total, WORKERS * ROUNDS * 3);
  disconnect(&connection);
}

static void stops_while_consumers_wait(void)
{
  pthread_t threads[8];
  int numbers[8];
  run_threads(wait_for_messages, threads, numbers, 8);
  CHECK_EVENTUALLY(atomic_load(&server->http->unanswered) == 8);
  int64_t start = uk_clock_monotonic();
  atomic_store(&stopping, true);
  uk_server_stop(server);
  CHECK(uk_clock_monotonic() - start < CHECK_PATIENCE);
  join_threads(threads, 8);
}

static void remove_directory(void)
{
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", directory);
  CHECK_EQ_INT(system(command), 0);
}

int main(void)
{
  CHECK_RUN(starts);
  if (server != NULL) {
    CHECK_RUN(answers_many_at_once);
    CHECK_RUN(keeps_acknowledged_records);
    CHECK_RUN(stops_while_consumers_wait);
  }
  CHECK_RUN(remove_directory);
  return check_end();
}
