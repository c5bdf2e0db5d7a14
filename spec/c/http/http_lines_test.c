/* for: http_lines.c, http_probe.c, http_headers.c, http_exchange.c, http_reply.c
 *
 * Heads of requests whose lines a proxy may read differently. What follows them must not run. */
#include <dlfcn.h>
#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "http_rig.h"
#include "server/http/http_lines.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEADER "Authorization: Basic ZnVsbDpw\r\n" /* full:p */
#define HEAD "Host: x\r\n" HEADER
#define GET_TOPICS "GET /topics HTTP/1.1\r\n" HEAD "\r\n"
#define PRODUCE "POST /produce/t HTTP/1.1\r\n" HEAD
#define MALFORMED                                                                                  \
  "{\"error\":\"headers: each line must be NAME: VALUE, without control characters, and end in "   \
  "CR LF\",\"status\":400}"
#define BAD_CHUNK                                                                                  \
  "{\"error\":\"body: the line before each chunk must hold no control characters, and end in CR "  \
  "LF\",\"status\":400}"
#define CHUNKED PRODUCE "Transfer-Encoding: chunked\r\n\r\n"

static struct http_rig rig;
static atomic_int calls; /* of the engine */
static size_t shift;     /* how much more the library says that it has read */

/* The library, or one that says that a head is longer. */
const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
                                                        enum MHD_ConnectionInfoType type, ...)
{
  static _Thread_local union MHD_ConnectionInfo answer;
  union {
    void *symbol;
    const union MHD_ConnectionInfo *(*function)(struct MHD_Connection *,
                                                enum MHD_ConnectionInfoType, ...);
  } library = {.symbol = dlsym(RTLD_NEXT, "MHD_get_connection_info")};
  const void *info = library.function(connection, type);
  if (info == NULL)
    return NULL;
  memcpy(&answer, info, sizeof answer);
  if (type == MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
    answer.header_size += shift;
  return &answer;
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  atomic_fetch_add(&calls, 1);
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods methods = {.name = "played", .topics = topics};

static void open_rig(void)
{
  atomic_store(&calls, 0);
  CHECK(http_rig_open(&rig, &methods));
}

static int connect_to_rig(void)
{
  return wire_connect(uk_http_address(rig.server.http));
}

static void send_bytes(int fd, const char *bytes, size_t length)
{
  CHECK_EQ_INT(write(fd, bytes, length), (long long)length);
}

#define BYTES(text) text, sizeof(text) - 1

/* Each is followed by a request that is well-formed. */
static void e4_refuses_heads_that_others_read_differently(void)
{
  static const struct {
    const char *head;
    size_t length;
  } cases[] = {
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD ":\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD ": x\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD ":x: y\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n:x: y\r\n" HEAD "\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\r\n z\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\r\n\tz\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\n" HEAD "\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\nZ: z\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\r\n\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\0z\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\rz\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: y\r\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: \x1f\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: \x7f\r\n\r\n")},
    {BYTES("GET /topics HTTP/1.1\r\n" HEAD "X\x01: y\r\n\r\n")},
  };
  open_rig();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char request[400];
    int fd = connect_to_rig();
    memcpy(request, cases[i].head, cases[i].length);
    memcpy(request + cases[i].length, BYTES(GET_TOPICS));
    send_bytes(fd, request, cases[i].length + sizeof GET_TOPICS - 1);
    bool refused = CHECK_EQ_STR(wire_receive_all(fd), MALFORMED);
    if (!refused || !CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL))
      fprintf(stderr, "  to case %zu\n", i);
    close(fd);
  }
  CHECK_EQ_INT(atomic_load(&calls), 0);
  http_rig_close(&rig);
}

/* A head of HTTP/1.0 or 1.1 is refused with `text`, NULL: accepted. */
static void is_refused(const char *head, const char *text)
{
  char request[400], expected[200];
  int fd = connect_to_rig();
  snprintf(request, sizeof request, "%s" HEADER "\r\n%s", head, text != NULL ? GET_TOPICS : "");
  wire_send(fd, request);
  shutdown(fd, SHUT_WR);
  snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"status\":400}",
           text != NULL ? text : "");
  CHECK_EQ_STR(wire_receive_all(fd), text != NULL ? expected : "{}");
  if (!CHECK(wire_has_status(text != NULL ? 400 : 200)) ||
      (text != NULL && !CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL)))
    fprintf(stderr, "  to %s\n", head);
  close(fd);
}

/* A proxy may follow another Host than the server. */
static void e4_refuses_another_number_of_hosts(void)
{
  open_rig();
  is_refused("GET /topics HTTP/1.1\r\n", "Host: missing");
  is_refused("GET /topics HTTP/1.1\r\nHost: x\r\nhost: x\r\n", "Host: given twice");
  is_refused("GET /topics HTTP/1.0\r\nHost: x\r\nHOST: y\r\n", "Host: given twice");
  CHECK_EQ_INT(atomic_load(&calls), 0);
  is_refused("GET /topics HTTP/1.1\r\nHost:\r\n", NULL);
  is_refused("GET /topics HTTP/1.0\r\n", NULL);
  is_refused("GET /topics HTTP/1.0\r\nHost: x\r\n", NULL);
  is_refused("GET http://y/topics HTTP/1.1\r\nHost: x\r\n", NULL);
  CHECK_EQ_INT(atomic_load(&calls), 4);
  http_rig_close(&rig);
}

/* A proxy of HTTP/1.0 takes what follows the head for the next request. */
static void e4_refuses_chunks_in_http_1_0(void)
{
  open_rig();
  int fd = connect_to_rig();
  wire_send(fd, "POST /produce/t HTTP/1.0\r\nConnection: keep-alive\r\n" HEAD
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET_TOPICS);
  CHECK_EQ_STR(wire_receive_all(fd),
               "{\"error\":\"Transfer-Encoding: HTTP/1.0 has none\",\"status\":400}");
  CHECK(wire_has_status(400));
  CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
  CHECK_EQ_INT(atomic_load(&calls), 0);
  close(fd);
  http_rig_close(&rig);
}

/* Libraries that keep heads elsewhere refuse it themselves, in their own words. */
static void refuses_blanks_in_names_and_closes(void)
{
  const char *text = uk_http_lines_are_kept() ? "where the body ends" : "";
  open_rig();
  int fd = connect_to_rig();
  wire_send(fd, "GET /topics HTTP/1.1\r\n" HEAD "X : y\r\n\r\n" GET_TOPICS);
  CHECK(strstr(wire_receive_all(fd), text) != NULL);
  CHECK(wire_has_status(400));
  CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
  CHECK_EQ_INT(atomic_load(&calls), 0);
  close(fd);
  http_rig_close(&rig);
}

/* All on one connection, so the library's memory is used again. */
static void takes_every_wellformed_head(void)
{
  static char long_head[6000];
  static const char *const heads[] = {
    GET_TOPICS,
    "GET /topics HTTP/1.1\r\n" HEAD "X:\r\n\r\n",
    "GET /topics HTTP/1.1\r\nX: \t \r\n" HEAD "Y:\t \r\n\r\n",
    "GET /topics HTTP/1.1\r\n" HEAD "X:y \t \r\n\r\n",
    "GET /topics HTTP/1.1\r\n" HEAD "X: a\tb: \xe9 c\r\n\r\n",
    "GET /topics HTTP/1.1\r\n" HEAD "Cookie: a=b; c=d\r\n\r\n",
    "GET /topics?_=1&_b=2 HTTP/1.1\r\nHost: x\r\nX: 1\r\nX: 1\r\n" HEADER "\r\n",
    long_head,
    "GET /topics HTTP/1.0\r\nConnection: keep-alive\r\n" HEADER "\r\n",
    /* Refused by libraries that keep heads elsewhere. */
    "\r\n\r\n" GET_TOPICS,
    "GET  /topics HTTP/1.1\r\n" HEAD "\r\n",
  };
  const int count = sizeof heads / sizeof *heads - (uk_http_lines_are_kept() ? 0 : 2);
  memset(long_head, 'v', sizeof long_head - 1);
  memcpy(long_head, BYTES("GET /topics HTTP/1.1\r\n" HEAD "X: "));
  memcpy(long_head + sizeof long_head - 5, BYTES("\r\n\r\n"));
  open_rig();
  int fd = connect_to_rig();
  for (int i = 0; i < count; i++) {
    wire_send(fd, heads[i]);
    wire_receive(fd, true);
    if (!CHECK(wire_has_status(200)))
      fprintf(stderr, "  to case %d\n", i);
  }
  for (const char *byte = heads[2]; *byte != '\0'; byte++)
    send_bytes(fd, byte, 1);
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  CHECK_EQ_INT(atomic_load(&calls), count + 1);
  close(fd);
  http_rig_close(&rig);
}

static void takes_a_head_without_headers(void)
{
  open_rig();
  int fd = connect_to_rig();
  wire_send(fd, "GET /topics HTTP/1.0\r\n\r\n");
  wire_receive(fd, true);
  CHECK(wire_has_status(401));
  close(fd);
  http_rig_close(&rig);
}

/* A chunk's line and the chunk come in one piece, as the library reads them. */
static void e4_refuses_lines_of_chunks_that_others_read_differently(void)
{
  static const struct {
    const char *body;
    size_t length;
  } cases[] = {
    {BYTES("1\n{\r\n0\r\n\r\n")},
    {BYTES("1;a\n{\r\n0\r\n\r\n")},
    {BYTES("1;a=\n\r\n\r\n0\r\n\r\n")},
    {BYTES("1;a\rb\r\n{\r\n0\r\n\r\n")},
    {BYTES("1;a\r\r\n{\r\n0\r\n\r\n")},
    {BYTES("1;a=\0\r\n{\r\n0\r\n\r\n")},
    {BYTES("1;\x1f\r\n{\r\n0\r\n\r\n")},
    {BYTES("1;a\x7f=\"b\"\r\n{\r\n0\r\n\r\n")},
    {BYTES("1\r\n{\n1\r\n}\r\n0\r\n\r\n")},
    {BYTES("1\r\n{\r\n1\n}\r\n0\r\n\r\n")},
    {BYTES("1\r\n{\r\n1;\0\r\n}\r\n0\r\n\r\n")},
    {BYTES("2\r\n\n\n\r\n1;\r;\r\n}\r\n0\r\n\r\n")},
  };
  open_rig();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char request[400];
    const size_t head = strlen(CHUNKED), body = cases[i].length;
    int fd = connect_to_rig();
    memcpy(request, CHUNKED, head);
    memcpy(request + head, cases[i].body, body);
    memcpy(request + head + body, BYTES(GET_TOPICS));
    send_bytes(fd, request, head + body + sizeof GET_TOPICS - 1);
    bool refused = CHECK_EQ_STR(wire_receive_all(fd), BAD_CHUNK);
    if (!refused || !CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL))
      fprintf(stderr, "  to case %zu\n", i);
    close(fd);
  }
  CHECK_EQ_INT(atomic_load(&calls), 0);
  http_rig_close(&rig);
}

static void takes_every_wellformed_chunk(void)
{
  static const char *const bodies[] = {
    "1\r\n{\r\n0\r\n\r\n",
    "2\r\n{\n\r\n1\r\n\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
    /* Extensions are refused by libraries that keep heads elsewhere. */
    "0001;a\r\n{\r\n000\r\n\r\n",
    "1;a=\"x\ty;\xe9\";b = c\r\n{\r\n0;d\r\n\r\n",
  };
  const size_t count = sizeof bodies / sizeof *bodies - (uk_http_lines_are_kept() ? 0 : 2);
  open_rig();
  for (size_t i = 0; i < 2 * count; i++) {
    const char *body = bodies[i / 2];
    int fd = connect_to_rig();
    wire_send(fd, CHUNKED);
    for (const char *byte = body; i % 2 == 0 && *byte != '\0'; byte++)
      send_bytes(fd, byte, 1);
    if (i % 2 == 1)
      wire_send(fd, body);
    if (!CHECK(strstr(wire_receive_all(fd), "malformed JSON") != NULL))
      fprintf(stderr, "  to case %zu\n", i);
    close(fd);
  }
  http_rig_close(&rig);
}

/* The library alone can write then: the refusal follows the body. */
static void e4_refuses_lines_of_chunks_in_tls(void)
{
  open_rig();
  rig.server.http->tls = true; /* as far as the server knows */
  int fd = connect_to_rig();
  wire_send(fd, CHUNKED "1;\r;\r\n{\r\n1\r\n}\r\n0\r\n\r\n" GET_TOPICS);
  CHECK_EQ_STR(wire_receive_all(fd), BAD_CHUNK);
  CHECK(wire_has_status(400));
  CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
  CHECK_EQ_INT(atomic_load(&calls), 0);
  close(fd);
  http_rig_close(&rig);
}

/* What the library has overwritten when it calls: the line of the last chunk. */
static void runs_nothing_after_chunks(void)
{
  static const char *const bodies[] = {
    "1\r\n{\r\n0\r\n\r\n",   "1\r\n{\r\n0\n\r\n", "1\r\n{\r\n0;a\n\r\n",
    "1\r\n{\r\n0;\rb\r\n\n", "0\r\n\r\n",
  };
  open_rig();
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    char request[400];
    int fd = connect_to_rig();
    snprintf(request, sizeof request, CHUNKED "%s" GET_TOPICS, bodies[i]);
    wire_send(fd, request);
    wire_receive_all(fd);
    if (!CHECK(wire_has_status(400)) ||
        !CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL))
      fprintf(stderr, "  to case %zu\n", i);
    close(fd);
  }
  CHECK_EQ_INT(atomic_load(&calls), 0);
  http_rig_close(&rig);
}

/* The library takes a trailer that begins with a colon for the end of the trailers. */
static void runs_nothing_after_trailers(void)
{
  static const char *const trailers[] = {"X: y\r\n\r\n", "X: y\r\n:\r\n", "X: y\r\n: z\r\n"};
  open_rig();
  for (size_t i = 0; i < sizeof trailers / sizeof *trailers; i++) {
    char request[400];
    int fd = connect_to_rig();
    snprintf(request, sizeof request, CHUNKED "1\r\n{\r\n0\r\n%s" GET_TOPICS, trailers[i]);
    wire_send(fd, request);
    bool is_ours = i == 0 || uk_http_lines_are_kept(); /* else another library may refuse it */
    CHECK(strstr(wire_receive_all(fd), is_ours ? "malformed JSON" : "") != NULL);
    CHECK(wire_has_status(400));
    CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
    close(fd);
  }
  CHECK_EQ_INT(atomic_load(&calls), 0);
  http_rig_close(&rig);
}

/* What a line looks like that is not where the library puts what it reads. */
static void looks_only_at_what_was_read(void)
{
  static const char bytes[] = "\n1;\r\r\n{}";
  const char *data = strchr(bytes, '{');
  CHECK(uk_http_chunk_holds(data, 100, data));
  CHECK(uk_http_chunk_holds(data + 1, 100, data));
  CHECK(!uk_http_chunk_holds(bytes + 1, 100, data));
  CHECK(!uk_http_chunk_holds(bytes + 1, 5, data));
  CHECK(uk_http_chunk_holds(bytes + 1, 4, data));
  CHECK(uk_http_chunk_holds(data - 2, 100, data));
  CHECK(!uk_http_chunk_holds(data - 1, 100, data));
}

/* With a library that keeps heads elsewhere, its own strict mode checks them. Version 0.9.75 then
 * answers a missing Host in its own words. */
static void e4_sets_the_strict_mode_of_other_libraries(void)
{
  shift = 1;
  CHECK(!uk_http_lines_are_kept());
  open_rig();
  CHECK(!rig.server.http->lines_are_kept);
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS);
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  wire_send(fd, "GET /topics HTTP/1.1\r\n" HEADER "\r\n");
  wire_receive_all(fd);
  CHECK(wire_has_status(400));
  CHECK(strstr(wire_answer, "Host: missing") == NULL);
  close(fd);
  http_rig_close(&rig);
  shift = 0;
}

int main(void)
{
  const char *reason =
    uk_http_lines_are_kept() ? NULL : "this libmicrohttpd does not keep heads where they were";
  CHECK_RUN_UNLESS(reason, e4_refuses_heads_that_others_read_differently);
  CHECK_RUN_UNLESS(reason, e4_refuses_lines_of_chunks_that_others_read_differently);
  CHECK_RUN_UNLESS(reason, e4_refuses_lines_of_chunks_in_tls);
  CHECK_RUN(takes_every_wellformed_chunk);
  CHECK_RUN(runs_nothing_after_chunks);
  CHECK_RUN(looks_only_at_what_was_read);
  CHECK_RUN(refuses_blanks_in_names_and_closes);
  CHECK_RUN(takes_every_wellformed_head);
  CHECK_RUN(takes_a_head_without_headers);
  CHECK_RUN(runs_nothing_after_trailers);
  CHECK_RUN_UNLESS(reason, e4_refuses_another_number_of_hosts);
  CHECK_RUN_UNLESS(reason, e4_refuses_chunks_in_http_1_0);
  CHECK_RUN(e4_sets_the_strict_mode_of_other_libraries);
  return check_end();
}
