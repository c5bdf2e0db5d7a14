/* for: http.c, http_exchange.c, http_headers.c, http_refusal.c
 *
 * Bodies, queries and connections at their limits, and what clients are told. */
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/gzip.h"
#include "http_rig.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define LAST HEAD "Connection: close\r\n"
#define GET_TOPICS "GET /topics HTTP/1.1\r\n" LAST "\r\n"

static struct http_rig rig;

/* The engine: keeps a request for its topics, or holds the server's only thread in it. */

static struct uk_topics *_Atomic kept;
static atomic_bool keeps, holds, held;
static char topic_name[200];
static size_t topic_count;
static atomic_size_t value_length, header_length;

static void end_topics(struct uk_topics *operation)
{
  for (size_t i = 0; i < topic_count; i++)
    operation->topic(&operation->operation, uk_slice_text(topic_name), 1);
  operation->operation.done(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  const struct timespec moment = {.tv_nsec = 1000000};
  (void)engine;
  for (atomic_store(&held, true); atomic_load(&holds);)
    nanosleep(&moment, NULL);
  if (atomic_load(&keeps))
    atomic_store(&kept, operation);
  else
    end_topics(operation);
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  const struct uk_record *record = &operation->records[0];
  atomic_store(&value_length, record->value.length);
  atomic_store(&header_length, record->header_count > 0 ? record->headers[0].value.length : 0);
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods methods = {
  .name = "played", .topics = topics, .produce = produce};

static void open_rig(void)
{
  atomic_store(&keeps, false);
  atomic_store(&holds, false);
  atomic_store(&held, false);
  atomic_store(&kept, NULL);
  topic_count = 0;
  REQUIRE(http_rig_open(&rig, &methods));
}

static int connect_to_rig(void)
{
  return wire_connect(uk_http_address(rig.server.http));
}

static const char *ask(const char *request)
{
  return wire_ask(uk_http_address(rig.server.http), request);
}

/* The server's socket of a connection; it is in the same process. */
static int served_end(int fd)
{
  struct sockaddr_in own, peer;
  socklen_t length = sizeof own;
  getsockname(fd, (struct sockaddr *)&own, &length);
  for (int other = 0; other < 1024; other++) {
    length = sizeof peer;
    if (getpeername(other, (struct sockaddr *)&peer, &length) == 0 && peer.sin_port == own.sin_port)
      return other;
  }
  return -1;
}

/* The cases. */

enum form { BY_LENGTH, CHUNKED, ZIPPED };

/* A webhook with a body of this many bytes. */
static char *webhook(enum form form, size_t length, size_t *size)
{
  static const char path[] = "POST /webhook?topic=t HTTP/1.1\r\n" LAST;
  struct uk_buffer packed;
  char *text = calloc(1, length + 1000), *bytes = calloc(1, length);
  uk_buffer_init(&packed, length + 1000);
  if (text == NULL || bytes == NULL || uk_gzip(&packed, uk_slice_of(bytes, length)) != UK_OK)
    abort();
  const char *body = form == ZIPPED ? packed.data : bytes;
  size_t sent = form == ZIPPED ? packed.length : length;
  int head = snprintf(
    text, 1000,
    form == CHUNKED ? "%sTransfer-Encoding: chunked\r\n\r\n%zx\r\n"
    : form == ZIPPED
      ? "%sContent-Encoding: X-GZip\r\nContent-Encoding: identity\r\nContent-Length: %zu\r\n\r\n"
      : "%sContent-Length: %zu\r\n\r\n",
    path, sent);
  memcpy(text + head, body, sent);
  *size = (size_t)head + sent;
  if (form == CHUNKED) {
    memcpy(text + *size, "\r\n0\r\n\r\n", 7);
    *size += 7;
  }
  uk_buffer_free(&packed);
  free(bytes);
  return text;
}

static void limits_a_body_to_the_byte(void)
{
  static const char *const refusals[] = {
    "{\"error\":\"body: at most 1048576 bytes expected, got 1048577\",\"status\":413}",
    "{\"error\":\"body: at most 1048576 bytes expected\",\"status\":413}",
    "{\"error\":\"body: at most 1048576 bytes expected after decompression\",\"status\":413}"};
  open_rig();
  for (int i = 0; i < 6; i++) {
    size_t size, length = HTTP_RIG_BODY_MAX + (size_t)(i / 3);
    char *request = webhook((enum form)(i % 3), length, &size);
    int fd = connect_to_rig();
    for (size_t sent = 0; sent < size;)
      sent += (size_t)send(fd, request + sent, size - sent, MSG_NOSIGNAL);
    const char *said = wire_receive_all(fd);
    if (i < 3) {
      CHECK(wire_has_status(200));
      CHECK_EQ_INT(atomic_load(&value_length), HTTP_RIG_BODY_MAX);
    } else {
      CHECK_EQ_STR(said, refusals[i % 3]);
      CHECK(wire_has_status(413));
    }
    close(fd);
    free(request);
  }
  http_rig_close(&rig);
}

/* However many parameters it has, a query within the line's limit occupies no more than its bytes.
 */
static void accepts_a_query_of_many_parameters(void)
{
  static char request[UK_HEADER_BYTES + 1];
  open_rig();
  size_t length = (size_t)sprintf(request, "GET /topics?");
  while (length < UK_HEADER_BYTES - 500)
    length += (size_t)sprintf(request + length, "_&");
  sprintf(request + length, "_ HTTP/1.1\r\n" LAST "\r\n");
  CHECK_EQ_STR(ask(request), "{}");
  CHECK(wire_has_status(200));
  http_rig_close(&rig);
}

/* Refusals of the HTTP library itself, where they are ours. */
static void says_why_the_library_refuses(void)
{
  static const struct {
    const char *request;
    int status;
    const char *error;
  } rows[] = {
    {"GARBAGE\r\n\r\n", 400, "the HTTP request is malformed or was cut off"},
    {"POST /webhook HTTP/1.1\r\n" HEAD "Content-Length: -1\r\n\r\n", 400,
     "the HTTP request is malformed or was cut off"},
    {"POST /webhook HTTP/1.1\r\n" HEAD "Content-Length: 99999999999999999999\r\n\r\n", 413,
     "the body is over the limit"},
    {"GET / HTTP/9.9\r\n\r\n", 505, "this HTTP version is not supported"},
  };
  if (!uk_http_refusals_are_json())
    CHECK_SKIP("needs a HTTP library that calls itself through its symbols");
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char expected[200];
    snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"status\":%d}", rows[i].error,
             rows[i].status);
    CHECK_EQ_STR(ask(rows[i].request), expected);
    CHECK(wire_has_status(rows[i].status));
    CHECK(strstr(wire_answer, "\r\nContent-Type: application/json\r\n") != NULL);
    CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
  }
  http_rig_close(&rig);
}

static enum MHD_Result answer_mine(void *context, struct MHD_Connection *connection,
                                   const char *url, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **own)
{
  static char text[] = "mine";
  struct MHD_Response *response = MHD_create_response_from_buffer(4, text, MHD_RESPMEM_PERSISTENT);
  (void)context, (void)url, (void)method, (void)version, (void)upload, (void)upload_size;
  (void)own;
  enum MHD_Result result = MHD_queue_response(connection, 404, response);
  MHD_destroy_response(response);
  return result;
}

/* The program may use the library for a server of its own. */
static void leaves_other_servers_of_the_process_alone(void)
{
  open_rig();
  struct MHD_Daemon *other = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
                                              answer_mine, NULL, MHD_OPTION_END);
  REQUIRE(other != NULL);
  char address[32];
  snprintf(address, sizeof address, ":%d",
           (int)MHD_get_daemon_info(other, MHD_DAEMON_INFO_BIND_PORT)->port);
  CHECK_EQ_STR(wire_ask(address, "GET / HTTP/1.1\r\n" LAST "\r\n"), "mine");
  CHECK(wire_has_status(404));
  MHD_stop_daemon(other);
  http_rig_close(&rig);
}

/* Whether something has arrived on the server's socket; reads nothing. */
static bool has_event(int served, short event)
{
  struct pollfd file = {.fd = served, .events = event};
  return poll(&file, 1, 0) == 1 && (file.revents & event) != 0;
}

/* A client that crashed or was killed resets its connection. */
static void sees_that_its_client_reset_the_connection(void)
{
  const struct linger reset = {.l_onoff = 1, .l_linger = 0};
  open_rig();
  atomic_store(&keeps, true);
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
  struct uk_topics *operation = atomic_load(&kept);
  int served = served_end(fd);
  CHECK(uk_request_is_client_alive(operation->operation.context));
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close(fd);
  CHECK_EVENTUALLY(has_event(served, POLLHUP));
  CHECK(!uk_request_is_client_alive(operation->operation.context));
  end_topics(operation);
  http_rig_close(&rig);
}

/* The end of a client's bytes may arrive together with the bytes. The client gets its answer all
 * the same, long before an idle connection is closed. */
static void answers_what_is_cut_off_in_one_piece(void)
{
  static const char *const bodies[] = {
    "Content-Length: 50\r\n\r\n",
    "Content-Length: 50\r\n\r\n{\"value\"",
    "Transfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"val\r\n",
  };
  enum { BODIES = sizeof bodies / sizeof *bodies };
  int fds[BODIES], holder;
  open_rig();
  atomic_store(&holds, true);
  holder = connect_to_rig();
  for (int i = 0; i < BODIES; i++)
    fds[i] = connect_to_rig();
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 1 + BODIES);
  wire_send(holder, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&held));
  for (int i = 0; i < BODIES; i++) {
    char request[300];
    snprintf(request, sizeof request, "POST /produce/t HTTP/1.1\r\n" HEAD "%s", bodies[i]);
    wire_send(fds[i], request);
    shutdown(fds[i], SHUT_WR);
    CHECK_EVENTUALLY(has_event(served_end(fds[i]), POLLRDHUP));
  }
  atomic_store(&holds, false);
  for (int i = 0; i < BODIES; i++) {
    const char *said = wire_receive_all(fds[i]);
    CHECK(wire_has_status(400));
    CHECK(strncmp(said, "{\"error\":\"the request was cut off after ", 40) == 0);
    close(fds[i]);
  }
  close(holder);
  http_rig_close(&rig);
}

/* Whether the server has read everything that was sent. */
static bool has_read(int fd)
{
  int unread = 1, served = served_end(fd);
  return served >= 0 && ioctl(served, FIONREAD, &unread) == 0 && unread == 0;
}

/* What there is of a body that is refused is freed at once, although the client sends on. */
static void E3_a_refused_body_is_freed(void)
{
  enum { SENT = HTTP_RIG_BODY_MAX + (128 << 10) };
  char *bytes = calloc(1, SENT);
  REQUIRE(bytes != NULL);
  open_rig();
  int fd = connect_to_rig();
  wire_send(fd, "POST /webhook?topic=t HTTP/1.1\r\n" LAST
                "Transfer-Encoding: chunked\r\n\r\n200000\r\n");
  for (size_t sent = 0; sent < SENT;)
    sent += (size_t)send(fd, bytes + sent, SENT - sent, MSG_NOSIGNAL);
  CHECK_EVENTUALLY(has_read(fd) && atomic_load(&rig.server.memory.taken) <= 8 << 10);
  close(fd);
  free(bytes);
  http_rig_close(&rig);
}

/* A body that arrives together with the end of the client's bytes is whole, or cut off, as its
 * length says. */
static void reads_a_body_that_comes_with_the_end(void)
{
  static const struct {
    const char *length, *body;
    int status;
    const char *said;
  } rows[] = {
    {"Content-Length: 13", "{\"value\":\"v\"}", 200, "["},
    {"Content-Length: 50", "{\"value\":\"v\"}", 400,
     "{\"error\":\"the request was cut off after 13 bytes of its body\",\"status\":400}"},
    {"Content-Length: 13\r\nX: y", "{\"value\":\"v\"", 400,
     "{\"error\":\"the request was cut off after 12 bytes of its body\",\"status\":400}"},
    {"Transfer-Encoding: chunked\r\nX: y", "5\r\n{\"val\r\n", 400,
     "{\"error\":\"the request was cut off after 5 bytes of its body\",\"status\":400}"},
    {"Transfer-Encoding: chunked", "5\r\n{\"val\r\n4\r\nue\":\r\n4\r\n\"v\"}\r\n0\r\n\r\n", 200,
     "["},
  };
  enum { ROWS = sizeof rows / sizeof *rows };
  int fds[ROWS], holder;
  open_rig();
  for (int i = 0; i < ROWS; i++) {
    char head[300];
    fds[i] = connect_to_rig();
    snprintf(head, sizeof head, "POST /produce/t HTTP/1.1\r\n" HEAD "%s\r\n\r\n", rows[i].length);
    wire_send(fds[i], head);
    CHECK_EVENTUALLY(has_read(fds[i]));
  }
  atomic_store(&holds, true);
  holder = connect_to_rig();
  wire_send(holder, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&held));
  for (int i = 0; i < ROWS; i++) {
    wire_send(fds[i], rows[i].body);
    shutdown(fds[i], SHUT_WR);
    CHECK_EVENTUALLY(has_event(served_end(fds[i]), POLLRDHUP));
  }
  atomic_store(&holds, false);
  for (int i = 0; i < ROWS; i++) {
    const char *said = wire_receive(fds[i], true);
    CHECK(wire_has_status(rows[i].status));
    CHECK(strncmp(said, rows[i].said, strlen(rows[i].said)) == 0);
    close(fds[i]);
  }
  close(holder);
  http_rig_close(&rig);
}

/* White space around a header's value is not part of it. */
static void a_webhook_stores_values_without_white_space(void)
{
  open_rig();
  ask("POST /webhook?topic=t HTTP/1.1\r\n" LAST "X-One: \t a b \t \r\n\r\n");
  CHECK(wire_has_status(200));
  CHECK_EQ_INT(atomic_load(&header_length), 3);
  http_rig_close(&rig);
}

/* What a handler refuses after it began an operation is answered with the refusal alone. */
static void answers_with_a_refusal_alone(void)
{
  open_rig();
  CHECK_EQ_STR(ask("GET /produce/t/%ff HTTP/1.1\r\n" LAST "\r\n"),
               "{\"error\":\"message: UTF-8 expected\",\"status\":400}");
  CHECK_EQ_STR(ask("POST /produce/t HTTP/1.1\r\n" LAST "Content-Encoding: gzip\r\n\r\n"),
               "{\"error\":\"body: a message or an array of messages expected, got nothing\","
               "\"status\":400}");
  http_rig_close(&rig);
}

/* A client that reads nothing does not keep the server from stopping. */
static void stops_although_a_client_does_not_read(void)
{
  enum { NAMES = 150000 };
  open_rig();
  memset(topic_name, 'n', sizeof topic_name - 1);
  topic_count = NAMES;
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS);
  CHECK(recv(fd, wire_answer, 1, MSG_PEEK) > 0);
  CHECK_EQ_INT(rig.server.http->send_milliseconds, 5000);
  rig.server.http->send_milliseconds = 10;
  http_rig_close(&rig);
  close(fd);
}

int main(void)
{
  CHECK_RUN(limits_a_body_to_the_byte);
  CHECK_RUN(accepts_a_query_of_many_parameters);
  CHECK_RUN(says_why_the_library_refuses);
  CHECK_RUN(leaves_other_servers_of_the_process_alone);
  CHECK_RUN(sees_that_its_client_reset_the_connection);
  CHECK_RUN(answers_what_is_cut_off_in_one_piece);
  CHECK_RUN(E3_a_refused_body_is_freed);
  CHECK_RUN(reads_a_body_that_comes_with_the_end);
  CHECK_RUN(a_webhook_stores_values_without_white_space);
  CHECK_RUN(answers_with_a_refusal_alone);
  CHECK_RUN(stops_although_a_client_does_not_read);
  return check_end();
}
