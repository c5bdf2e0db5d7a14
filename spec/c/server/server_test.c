/* for: server.c, http_exchange.c, http_refusal.c, http_probe.c */
#include "server/server.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "log_rig.h"
#include "server/api/server_state.h"
#include "server/http/http_private.h"
#include "wire.h"

#define AUTHORIZATION "Host: x\r\nAuthorization: Basic dTpw\r\n" /* u:p */

static struct uk_server *start(const char *name)
{
  static char directory[512];
  struct uk_server_options options;
  struct uk_server *server = NULL;
  char message[400];
  snprintf(directory, sizeof directory, "%s/%s", rig_directory(), name);
  uk_server_options_default(&options);
  options.listen = "127.0.0.1:0";
  options.username = "u";
  options.password = "p";
  options.data = directory;
  options.no_sync = true;
  options.map_bytes = 32 << 20;
  options.max_body_bytes = 100000;
  if (!CHECK_EQ_INT(uk_server_start(&server, &options, message, sizeof message), UK_OK))
    fprintf(stderr, "  %s\n", message);
  return server;
}

/* Sends one request and returns the response's body. */
static const char *ask(const struct uk_server *server, const char *line, const char *body)
{
  char request[1024];
  snprintf(request, sizeof request,
           "%s HTTP/1.1\r\nConnection: close\r\n" AUTHORIZATION "Content-Length: %zu\r\n\r\n%s",
           line, strlen(body), body);
  return wire_ask(uk_server_url(server), request);
}

/* Waits until the engine has this many requests. */
static void wait_for_pending(const struct uk_server *server, int count)
{
  CHECK_EVENTUALLY(atomic_load(&server->http->unanswered) == count);
}

static void runs_several_at_once(void)
{
  struct uk_server *servers[3];
  for (int i = 0; i < 3; i++) {
    char name[8];
    snprintf(name, sizeof name, "n%d", i);
    servers[i] = start(name);
    REQUIRE(servers[i] != NULL);
  }
  CHECK(strcmp(uk_server_url(servers[0]), uk_server_url(servers[1])) != 0);
  CHECK(strstr(ask(servers[0], "GET /produce/t/hello", ""), "\"offset\":0") != NULL);
  CHECK_EQ_STR(ask(servers[0], "GET /topics", ""), "{\"t\":1}");
  CHECK_EQ_STR(ask(servers[1], "GET /topics", ""), "{}");
  for (int i = 0; i < 3; i++)
    uk_server_stop(servers[i]);
}

static void names_the_wrong_option(void)
{
  static const struct {
    struct uk_server_options options;
    const char *message;
  } cases[] = {
    {{.username = "u"}, "password: missing"},
    {{.password = "p"}, "username: missing"},
    {{.username = "u", .password = "p", .listen = "nowhere"},
     "listen: HOST:PORT, [IPv6]:PORT, :PORT or unix:PATH expected, got \"nowhere\""},
    {{.username = "u", .password = "p", .listen = "127.0.0.1:65536"},
     "listen: HOST:PORT, [IPv6]:PORT, :PORT or unix:PATH expected, got \"127.0.0.1:65536\""},
    {{.username = "u:v", .password = "p"},
     "username, password: at most 255 bytes each expected, and no ':' in the user name"},
    {{.username = "u", .password = "p", .partitions = -1},
     "partitions: 1 to 1000 expected, got -1"},
    {{.username = "u", .password = "p", .tls_cert = "x"},
     "tls_key: missing; tls_cert and tls_key must be given together"},
    {{.username = "u", .password = "p", .tls_cert = "/proc/nowhere", .tls_key = "/proc/nowhere"},
     "tls_cert: /proc/nowhere: No such file or directory"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_server_options options;
    struct uk_server *server = NULL;
    char message[400];
    char data[600];
    uk_server_options_default(&options);
    snprintf(data, sizeof data, "%s/wrong", rig_directory());
    options.data = data;
    options.map_bytes = 32 << 20;
    options.username = cases[i].options.username;
    options.password = cases[i].options.password;
    options.listen = cases[i].options.listen != NULL ? cases[i].options.listen : "127.0.0.1:0";
    options.partitions = cases[i].options.partitions != 0 ? cases[i].options.partitions : 1;
    options.tls_cert = cases[i].options.tls_cert;
    options.tls_key = cases[i].options.tls_key;
    CHECK(uk_server_start(&server, &options, message, sizeof message) != UK_OK);
    CHECK(server == NULL);
    CHECK_EQ_STR(message, cases[i].message);
  }
}

static void names_an_address_in_use(void)
{
  struct uk_server *first = start("taken");
  struct uk_server *second = NULL;
  struct uk_server_options options;
  char message[400], expected[200], data[600];
  uk_server_options_default(&options);
  snprintf(data, sizeof data, "%s/second", rig_directory());
  options.listen = strstr(uk_server_url(first), "//") + 2;
  options.username = options.password = "u";
  options.data = data;
  options.map_bytes = 32 << 20;
  CHECK_EQ_INT(uk_server_start(&second, &options, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(expected, sizeof expected, "listen: %s: Address already in use", options.listen);
  CHECK_EQ_STR(message, expected);
  uk_server_stop(first);
}

static void answers_waiting_requests_when_it_stops(void)
{
  enum { WAITING = 50 };
  struct uk_server *server = start("stop");
  int fds[WAITING];
  ask(server, "POST /topics/t", "{\"partitions\":1}");
  for (int i = 0; i < WAITING; i++) {
    fds[i] = wire_connect(uk_server_url(server));
    wire_send(fds[i],
              "POST /fetch HTTP/1.1\r\n" AUTHORIZATION "Content-Length: "
              "56\r\n\r\n{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timeout\":600000} ");
  }
  wait_for_pending(server, WAITING);
  int64_t before = uk_clock_monotonic();
  uk_server_stop(server);
  CHECK(uk_clock_monotonic() - before < CHECK_PATIENCE); /* not the ten minutes they asked for */
  for (int i = 0; i < WAITING; i++) {
    CHECK_EQ_STR(wire_receive_all(fds[i]), "[]");
    close(fds[i]);
  }
}

static bool is_error(const char *said, int status)
{
  char end[32];
  snprintf(end, sizeof end, ",\"status\":%d}", status);
  return *said == '{' && strlen(said) > strlen(end) &&
         strcmp(said + strlen(said) - strlen(end), end) == 0;
}

/* The library's own refusal. Version 0.9.75 sends the head of some of these pages twice. */
static bool is_page_that_closes(const char *said)
{
  static const char end[] = "</html>";
  size_t length = strlen(said);
  return !uk_http_refusals_are_json() && length > strlen(end) &&
         strcmp(said + length - strlen(end), end) == 0 &&
         strstr(wire_answer, "\r\nConnection: close\r\n") != NULL;
}

static void recognises_a_refusal(void)
{
  struct uk_server *server = start("version");
  int fd = wire_connect(uk_server_url(server));
  wire_send(fd, "GET /health HTTP/9.9\r\nHost: x\r\n\r\n");
  const char *said = wire_receive_all(fd);
  CHECK_EQ_INT(is_error(said, 505), uk_http_refusals_are_json());
  CHECK_EQ_INT(is_page_that_closes(said), !uk_http_refusals_are_json());
  close(fd);
  uk_server_stop(server);
}

static void answers_malformed_http(void)
{
  static const struct {
    const char *bytes;
    int status;
    bool half_close;
  } cases[] = {
    {"GARBAGE\r\n\r\n", 400, false},
    {"GET /health HTTP/3.7\r\n\r\n", 505, false},
    {"GET /health HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length: five\r\n\r\n", 400, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length: 99999999999999999999\r\n\r\n",
     413, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length: 999999999999\r\n\r\n", 413,
     false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
     400, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length : 2\r\n\r\n{}", 400, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length\t: 2\r\n\r\n{}", 400, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Transfer-Encoding: zipped\r\n\r\n", 400, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400,
     false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION
     "Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n",
     413, false},
    {"POST /produce/t HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
     401, false},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length: 50\r\n\r\n{\"value\"", 400,
     true},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"v",
     400, true},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION "Content-Length: 50\r\n\r\n", 400, true},
    {"POST /produce/t HTTP/1.1\r\n" AUTHORIZATION
     "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"val\r\n",
     400, true},
    {"POST /topics HTTP/1.1\r\n" AUTHORIZATION "Content-Length: 2\r\n\r\n{}", 405, true},
    {"POST /offsets/5 HTTP/1.1\r\n" AUTHORIZATION
     "Transfer-Encoding: chunked\r\n\r\n2\r\n[5\r\n1\r\n]\r\n0\r\n\r\n",
     400, true},
    {"POST /commit/g/i HTTP/1.1\r\n" AUTHORIZATION
     "Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n1\r\n \r\n0\r\n\r\n",
     400, true},
    {"POST /commit/g/i HTTP/1.1\r\n" AUTHORIZATION "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     404, true},
    {"GET /topics HTTP/1.1\r\n" AUTHORIZATION "\r\n", 200, true},
  };
  struct uk_server *server = start("broken");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char status[32];
    int fd = wire_connect(uk_server_url(server));
    wire_send(fd, cases[i].bytes);
    if (cases[i].half_close)
      shutdown(fd, SHUT_WR);
    const char *said = wire_receive_all(fd);
    snprintf(status, sizeof status, "HTTP/1.1 %d ", cases[i].status);
    bool good =
      strncmp(wire_answer, status, strlen(status)) == 0 &&
      (cases[i].status == 200 || is_error(said, cases[i].status) || is_page_that_closes(said));
    if (!CHECK(good))
      fprintf(stderr, "  to %s\n  came %s\n", cases[i].bytes, wire_answer);
    close(fd);
  }
  CHECK_EQ_STR(ask(server, "GET /topics", ""), "{}");
  uk_server_stop(server);
}

/* A consume whose client has left takes no record; the next consume of the instance gets it. */
static void keeps_records_of_a_client_that_hung_up(void)
{
  struct uk_server *server = start("gone");
  ask(server, "POST /topics/t", "{\"partitions\":1}");
  ask(server, "POST /consume/g/i", "{\"topic\":\"t\",\"timeout\":0}");
  int fd = wire_connect(uk_server_url(server));
  wire_send(fd, "GET /consume/g/i/t?timeout=60000 HTTP/1.1\r\n" AUTHORIZATION "\r\n");
  wait_for_pending(server, 1);
  close(fd);
  ask(server, "GET /produce/t/precious", "");
  CHECK(strstr(ask(server, "GET /consume/g/i/t?timeout=5000", ""), "precious") != NULL);
  uk_server_stop(server);
}

/* A client that disconnects while its response is being written gets the batch again. */
static void redelivers_an_unwritten_response(void)
{
  enum { MESSAGES = 200, VALUE = 90000 };
  struct uk_server *server = start("unwritten");
  const struct linger reset = {.l_onoff = 1, .l_linger = 0};
  const int small = 4096;
  char *body = malloc(VALUE + 32);
  REQUIRE(body != NULL);
  ask(server, "POST /topics/t", "{\"partitions\":1}");
  ask(server, "POST /consume/g/i", "{\"topic\":\"t\",\"timeout\":0}");
  memset(body, 'x', VALUE + 31);
  memcpy(body, "{\"value\":\"", 10);
  memcpy(body + VALUE, "\"}", 3);
  for (int i = 0; i < MESSAGES; i++) {
    int fd = wire_connect(uk_server_url(server));
    char head[256];
    snprintf(head, sizeof head,
             "POST /produce/t HTTP/1.1\r\nConnection: close\r\n" AUTHORIZATION
             "Content-Length: %zu\r\n\r\n",
             strlen(body));
    wire_send(fd, head);
    wire_send(fd, body);
    wire_receive_all(fd);
    close(fd);
  }
  int fd = wire_connect(uk_server_url(server));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  wire_send(fd, "GET /consume/g/i/t?max_bytes=64000000 HTTP/1.1\r\n" AUTHORIZATION "\r\n");
  CHECK(recv(fd, wire_answer, 100, 0) > 0);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd);
  CHECK_EVENTUALLY(atomic_load(&server->http->unsent) == 0);
  /* The batch comes again whole: only its beginning is looked at. */
  char again[1024] = "";
  fd = wire_connect(uk_server_url(server));
  wire_send(fd, "GET /consume/g/i/t?max_messages=1 HTTP/1.1\r\n" AUTHORIZATION "\r\n");
  CHECK_EQ_INT(recv(fd, again, sizeof again - 1, MSG_WAITALL), sizeof again - 1);
  CHECK(strstr(again, "\r\n\r\n[{\"topic\":\"t\",\"partition\":0,\"offset\":0,") != NULL);
  close(fd);
  uk_server_stop(server);
  free(body);
}

int main(void)
{
  CHECK_RUN(runs_several_at_once);
  CHECK_RUN(names_the_wrong_option);
  CHECK_RUN(names_an_address_in_use);
  CHECK_RUN(answers_waiting_requests_when_it_stops);
  CHECK_RUN(recognises_a_refusal);
  CHECK_RUN(answers_malformed_http);
  CHECK_RUN(keeps_records_of_a_client_that_hung_up);
  CHECK_RUN(redelivers_an_unwritten_response);
  rig_remove();
  return check_end();
}
