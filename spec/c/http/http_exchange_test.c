/* for: http.c, http_exchange.c, http_completion.c, http_headers.c, http_refusal.c, http_reply.c,
 * http_response.c
 *
 * Requests on the wire. The test plays the engine, which knows one operation, topics, and can hold
 * it until the test completes it. */
#include <dirent.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "common/gzip.h"
#include "http_rig.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEADER "Authorization: Basic ZnVsbDpw\r\n" /* full:p */
#define HEAD "Host: x\r\n" HEADER
#define REFUSED_AS(text, status) "{\"error\":\"" text "\",\"status\":" #status "}"
#define STOPPING REFUSED_AS("the server is stopping", 503)

enum { DRAINED = 4 * HTTP_RIG_BODY_MAX }; /* bytes of a refused body that are read */

static struct http_rig rig;

/* The library, as its version 1.0 is: the answer to a question about a connection is valid until
 * the next question. */
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
  return &answer;
}

/* The engine. */

static struct uk_topics *_Atomic kept;
static atomic_bool keeps, saw_client;
static char topic_name[2 * UK_GZIP_LEAST];
static size_t topic_count;

static void end_topics(struct uk_topics *operation)
{
  for (size_t i = 0; i < topic_count; i++)
    operation->topic(&operation->operation, uk_slice_text(topic_name), 1);
  operation->operation.done(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  atomic_store(&saw_client, uk_request_is_client_alive(operation->operation.context));
  if (atomic_load(&keeps))
    atomic_store(&kept, operation);
  else
    end_topics(operation);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine;
  (void)detail;
  (void)size;
  return UK_OK;
}

static const struct uk_engine_methods methods = {
  .name = "played", .topics = topics, .health = health};

static void open_rig(void)
{
  topic_count = 0;
  atomic_store(&keeps, false);
  atomic_store(&kept, NULL);
  CHECK(http_rig_open(&rig, &methods));
}

/* The client. */

static int connect_to_rig(void)
{
  return wire_connect(uk_http_address(rig.server.http));
}

static const char *ask(int fd, const char *request)
{
  wire_send(fd, request);
  return wire_receive(fd, true);
}

static const char *ask_once(const char *request)
{
  int fd = connect_to_rig();
  const char *said = ask(fd, request);
  close(fd);
  return said;
}

#define GET_TOPICS "GET /topics HTTP/1.1\r\n" HEAD "\r\n"
#define GET_HEALTH "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

/* The cases. */

static bool blocks_signals(const char *task)
{
  char path[300], line[300];
  unsigned long long blocked = 0;
  snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return true; /* it has ended */
  while (fgets(line, sizeof line, file) != NULL)
    sscanf(line, "SigBlk: %llx", &blocked);
  fclose(file);
  static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    if ((blocked >> (signals[i] - 1) & 1) == 0)
      return false;
  }
  return true;
}

/* The program's own threads receive its signals; their masks do not change. */
static void its_threads_block_signals(void)
{
  sigset_t before, after;
  char own[32];
  int count = 0;
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  open_rig();
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  for (int i = 1; i < 32; i++)
    CHECK_EQ_INT(sigismember(&after, i), sigismember(&before, i));
  snprintf(own, sizeof own, "%d", (int)getpid());
  ask_once(GET_HEALTH); /* a thread blocks every signal while it starts */
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] == '.' || strcmp(task->d_name, own) == 0)
      continue;
    CHECK(blocks_signals(task->d_name));
    count++;
  }
  closedir(tasks);
  CHECK(count >= 1);
  http_rig_close(&rig);
}

static void accepts_targets_in_every_form(void)
{
  static const struct {
    const char *target;
    int status;
  } cases[] = {
    {"/topics", 200},
    {"/topics?", 200},
    {"/topics?_=http://a/b", 200},
    {"http://x/topics", 200},
    {"http://x:80/topics?_=1", 200},
    {"http://x", 404},
    {"http://x?_=/topics", 404},
    {"/topics/http://x/topics", 404},
    {"topics", 404},
    {"*", 404},
  };
  open_rig();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char request[300];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HEAD "\r\n", cases[i].target);
    ask_once(request);
    if (!CHECK(wire_has_status(cases[i].status)))
      fprintf(stderr, "  to %s\n", cases[i].target);
  }
  http_rig_close(&rig);
}

/* The names of methods have a case. */
static void accepts_methods_as_they_are_written(void)
{
  static const struct {
    const char *method;
    int status;
  } cases[] = {{"GET", 200}, {"get", 405}, {"GETS", 405}, {"POST", 405}, {"PUT", 405}};
  open_rig();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char request[300];
    snprintf(request, sizeof request, "%s /topics HTTP/1.1\r\n" HEAD "\r\n", cases[i].method);
    ask_once(request);
    if (!CHECK(wire_has_status(cases[i].status)))
      fprintf(stderr, "  to %s\n", cases[i].method);
  }
  http_rig_close(&rig);
}

/* Blanks and tabs around a header's value do not belong to it. A header without a name, or with
 * white space in it, is not one. */
static void reads_headers_as_http_defines_them(void)
{
  static const struct {
    const char *headers;
    int status;
  } cases[] = {
    {"Authorization: Basic ZnVsbDpw\r\n", 200},
    {"Authorization:Basic ZnVsbDpw\r\n", 200},
    {"authorization: \t Basic ZnVsbDpw\r\n", 200},
    {"Authorization: Basic ZnVsbDpw \t \r\n", 200},
    {"Authorization: Basic ZnVsbDpw\t\r\n", 200},
    {HEADER "X: \r\n", 200},
    {HEADER "Content-Encoding: \r\n", 200},
    {HEADER "Content-Encoding: Identity \r\n", 200},
    {HEADER "Content-Encoding: br\r\n", 400},
    {HEADER "Content-Encoding: identity\r\nContent-Encoding: Identity\r\n", 200},
    {HEADER "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", 400},
    {HEADER "Content-Encoding: br\r\nContent-Encoding: identity\r\n", 400},
    {HEADER "Content-Encoding: gzip\r\nContent-Encoding: br\r\n", 400},
    {HEADER "X Y: z\r\n", 400},
    {HEADER "X : z\r\n", 400},
    {HEADER "X\t: z\r\n", 400},
    {HEADER "X\tY: z\r\n", 400},
    {": z\r\n" HEADER, 400},
  };
  open_rig();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char request[300];
    snprintf(request, sizeof request, "GET /topics HTTP/1.1\r\n%sHost: x\r\n\r\n",
             cases[i].headers);
    ask_once(request);
    if (!CHECK(wire_has_status(cases[i].status)))
      fprintf(stderr, "  to %s\n", cases[i].headers);
  }
  http_rig_close(&rig);
}

/* uk_http_stop waits for these counts. */
static void counts_pending_requests(void)
{
  struct uk_http *http;
  open_rig();
  http = rig.server.http;
  static const char *const requests[] = {
    GET_TOPICS, GET_HEALTH, "GET /nowhere HTTP/1.1\r\n" HEAD "\r\n",
    "POST /fetch HTTP/1.1\r\n" HEAD "Content-Length: 1\r\n\r\n{"};
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    ask_once(requests[i]);
    CHECK_EVENTUALLY(atomic_load(&http->unsent) == 0 && atomic_load(&http->unanswered) == 0);
  }
  atomic_store(&keeps, true);
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
  CHECK_EQ_INT(atomic_load(&http->unsent), 1);
  CHECK_EQ_INT(atomic_load(&http->unanswered), 1);
  close(fd);
  end_topics(atomic_load(&kept));
  CHECK_EVENTUALLY(atomic_load(&http->unsent) == 0 && atomic_load(&http->unanswered) == 0);
  CHECK_EVENTUALLY(atomic_load(&http->acceptor.open) == 0);
  http_rig_close(&rig);
}

static void answers_503_while_it_stops(void)
{
  open_rig();
  atomic_store(&keeps, true);
  int waiting = connect_to_rig(), other = connect_to_rig();
  CHECK_EQ_STR(ask(other, GET_HEALTH), "{\"status\":\"ok\",\"engine\":\"played\"}");
  wire_send(waiting, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
  uk_http_refuse(rig.server.http);
  CHECK_EQ_STR(ask(other, GET_TOPICS), STOPPING);
  CHECK(wire_has_status(503));
  CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
  CHECK(strstr(wire_answer, "\r\nRetry-After: 1\r\n") != NULL);
  CHECK(wire_is_closed(other));
  CHECK_EQ_INT(atomic_load(&rig.server.http->unanswered), 1);
  end_topics(atomic_load(&kept));
  CHECK_EQ_STR(wire_receive(waiting, true), "{}");
  CHECK(wire_has_status(200));
  close(waiting);
  close(other);
  http_rig_close(&rig);
}

static void *stop(void *unused)
{
  (void)unused;
  uk_http_refuse(rig.server.http);
  uk_http_stop(rig.server.http);
  return NULL;
}

/* For a request that might follow on the connection. */
#define LAST_REFUSAL                                                                               \
  "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 47\r\n"   \
  "Connection: close\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"            \
  "Retry-After: 1\r\n\r\n" STOPPING

/* A response that is under way when the server stops arrives completely. */
static void finishes_writing_a_response_when_it_stops(void)
{
  enum { NAMES = 150000 };
  pthread_t stopper;
  const struct timespec moment = {.tv_nsec = 50000000};
  open_rig();
  memset(topic_name, 'n', 200);
  topic_name[200] = '\0';
  topic_count = NAMES;
  rig.server.http->send_milliseconds = INT32_MAX; /* however slow this machine is */
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS);
  CHECK(recv(fd, wire_answer, WIRE_ANSWER_SIZE - 1, MSG_PEEK) > 0);
  REQUIRE(pthread_create(&stopper, NULL, stop, NULL) == 0);
  nanosleep(&moment, NULL);
  size_t total = 0, expected = 0;
  for (ssize_t got = 1; got > 0; total += got > 0 ? (size_t)got : 0) {
    got = recv(fd, wire_answer, WIRE_ANSWER_SIZE - 1, 0);
    if (total == 0 && got > 0) {
      wire_answer[got] = '\0';
      expected =
        wire_length(wire_answer) + (size_t)(strstr(wire_answer, "\r\n\r\n") + 4 - wire_answer);
    }
  }
  CHECK(expected > (size_t)NAMES * 200);
  CHECK_EQ_INT(total, (long long)(expected + strlen(LAST_REFUSAL)));
  pthread_join(stopper, NULL);
  close(fd);
  rig.server.http = NULL;
  http_rig_close(&rig);
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

/* Whether the server has read everything that was sent. */
static bool has_read(int fd)
{
  int unread = 1, served = served_end(fd);
  return served >= 0 && ioctl(served, FIONREAD, &unread) == 0 && unread == 0;
}

/* What the server answers without a request to its engine. */
#define GET_NOWHERE "GET /produce/a/b?c=d HTTP/1.1\r\n" HEAD "\r\n"

/* A connection above the limit is served if, when its request arrives, others have closed. Those
 * that have authenticated do not give way. */
static void E2_serves_the_maximum_number_of_connections(void)
{
  enum { MOST = 2 };
  int fds[MOST + 2];
  open_rig();
  struct uk_http *http = rig.server.http;
  http->reaper.limits.connections = MOST;
  for (int i = 0; i <= MOST; i++) {
    fds[i] = connect_to_rig();
    CHECK_EVENTUALLY(atomic_load(&http->acceptor.open) == (unsigned)i + 1);
    if (i == MOST)
      break;
    ask(fds[i], GET_NOWHERE);
    CHECK(wire_has_status(400));
  }
  close(fds[0]);
  CHECK_EVENTUALLY(atomic_load(&http->acceptor.open) == MOST);
  ask(fds[MOST], GET_NOWHERE);
  CHECK(wire_has_status(400));
  fds[0] = connect_to_rig();
  CHECK_EQ_STR(ask(fds[0], GET_HEALTH),
               REFUSED_AS("the limit of 2 open connections is reached", 429));
  CHECK(wire_has_status(429));
  CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
  CHECK(strstr(wire_answer, "\r\nRetry-After: 1\r\n") != NULL);
  CHECK(wire_is_closed(fds[0]));
  CHECK_EVENTUALLY(atomic_load(&http->acceptor.open) == MOST);
  ask_once("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"); /* the limit is the reason that it gets */
  CHECK(wire_has_status(429));
  for (int i = 0; i <= MOST; i++)
    close(fds[i]);
  http_rig_close(&rig);
}

/* Of those that have not, the oldest one gives way, and learns why if it has sent something. */
static void E2_the_oldest_stranger_gives_way(void)
{
  int fds[4];
  open_rig();
  struct uk_http *http = rig.server.http;
  http->reaper.limits.connections = 3;
  for (int i = 0; i < 3; i++) {
    fds[i] = connect_to_rig();
    CHECK_EVENTUALLY(atomic_load(&http->acceptor.open) == (unsigned)i + 1);
    wire_send(fds[i], i == 0 ? GET_NOWHERE : "GET /hea");
    if (i == 0)
      wire_receive(fds[0], true);
    CHECK_EVENTUALLY(has_read(fds[i]));
  }
  fds[3] = connect_to_rig();
  CHECK_EQ_STR(wire_receive_all(fds[1]),
               REFUSED_AS("the limit of 3 open connections is reached", 429));
  CHECK(strstr(wire_answer, "\r\nRetry-After: 1\r\n") != NULL);
  ask(fds[3], GET_HEALTH);
  CHECK(wire_has_status(200));
  ask(fds[2], "lth HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(wire_has_status(200));
  ask(fds[0], GET_NOWHERE);
  CHECK(wire_has_status(400));
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  http_rig_close(&rig);
}

/* A client that sent nothing gets nothing; one that was answered gets nothing more. */
static void answers_at_close_only_clients_without_an_answer(void)
{
  open_rig();
  int fd = connect_to_rig();
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 1);
  shutdown(fd, SHUT_WR);
  CHECK(wire_is_closed(fd));
  close(fd);
  fd = connect_to_rig();
  ask(fd, GET_HEALTH);
  CHECK(wire_has_status(200));
  shutdown(fd, SHUT_WR);
  CHECK(wire_is_closed(fd));
  close(fd);
  static const char *const cut[] = {"G", "GET /hea", "GET /health HTTP/1.1\r\nHo"};
  for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
    fd = connect_to_rig();
    wire_send(fd, cut[i]);
    CHECK_EVENTUALLY(has_read(fd));
    shutdown(fd, SHUT_WR);
    const char *said = wire_receive(fd, true);
    CHECK(wire_has_status(400));
    CHECK(strstr(said, "cut off") != NULL && strstr(said, ",\"status\":400}") != NULL);
    CHECK(strstr(wire_answer, "\r\nConnection: close\r\n") != NULL);
    CHECK(wire_is_closed(fd));
    close(fd);
  }
  http_rig_close(&rig);
}

/* Where the library speaks TLS, an answer past it would be plain text. */
static void writes_nothing_past_the_library_in_tls(void)
{
  static const char *const cut[] = {
    "GET /hea",
    "POST /produce/t HTTP/1.1\r\n" HEAD "Content-Length: 50\r\n\r\n{",
    "POST /produce/t HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{",
  };
  open_rig();
  rig.server.http->tls = true; /* as far as the server knows */
  for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
    int fd = connect_to_rig();
    wire_send(fd, cut[i]);
    CHECK_EVENTUALLY(has_read(fd));
    shutdown(fd, SHUT_WR);
    CHECK(wire_is_closed(fd));
    close(fd);
  }
  http_rig_close(&rig);
}

/* Sends this many bytes of a body; false if the server accepts no more. */
static bool send_bytes(int fd, size_t length)
{
  static char bytes[64 << 10];
  while (length > 0) {
    size_t part = length < sizeof bytes ? length : sizeof bytes;
    ssize_t sent = send(fd, bytes, part, MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    length -= (size_t)sent;
  }
  return true;
}

/* A refused body is read and discarded up to four times the limit: the client sees the refusal, and
 * the connection stays open, unless the body came in chunks. Beyond that it closes. */
static void discards_a_refused_body(void)
{
  static const struct {
    size_t length;
    bool chunked, whole; /* read to its end */
  } cases[] = {
    {HTTP_RIG_BODY_MAX + 1, false, true}, {DRAINED, false, true},     {DRAINED + 1, false, false},
    {HTTP_RIG_BODY_MAX + 1, true, true},  {DRAINED - 10, true, true}, {DRAINED + 1, true, false},
  };
  open_rig();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char head[400], size[64];
    int fd = connect_to_rig();
    snprintf(size, sizeof size,
             cases[i].chunked ? "Transfer-Encoding: chunked\r\n\r\n%zx\r\n"
                              : "Content-Length: %zu\r\n\r\n",
             cases[i].length);
    snprintf(head, sizeof head, "POST /produce/t HTTP/1.1\r\n" HEAD "%s", size);
    wire_send(fd, head);
    if (cases[i].whole || cases[i].chunked)
      CHECK_EQ_INT(send_bytes(fd, cases[i].length), true);
    if (cases[i].whole && cases[i].chunked)
      wire_send(fd, "\r\n0\r\n\r\n");
    wire_receive(fd, true);
    if (!CHECK(wire_has_status(413)))
      fprintf(stderr, "  to case %zu\n", i);
    if (cases[i].whole && !cases[i].chunked) {
      ask(fd, GET_HEALTH);
      CHECK(wire_has_status(200));
    } else {
      char byte;
      const ssize_t got = recv(fd, &byte, 1, 0);
      CHECK(cases[i].whole ? got == 0 : got <= 0);
    }
    close(fd);
  }
  http_rig_close(&rig);
}

/* A response to HEAD has no body, even one that we write because the library would only close. */
static void answers_head_without_a_body(void)
{
  static char request[12000];
  open_rig();
  snprintf(request, sizeof request, "HEAD /topics HTTP/1.1\r\n" HEAD "X: %09000d\r\n\r\n", 0);
  int fd = connect_to_rig();
  wire_send(fd, request);
  CHECK_EQ_STR(wire_receive(fd, false), "");
  CHECK(wire_has_status(431));
  CHECK(wire_length(wire_answer) > 0);
  CHECK(wire_is_closed(fd));
  close(fd);
  http_rig_close(&rig);
}

/* The server reads what follows a refused request before it closes the connection. Unread bytes
 * would reset it, and the client might not see the refusal. */
static void refuses_without_resetting_the_connection(void)
{
  static char request[40000];
  char byte;
  open_rig();
  snprintf(request, sizeof request,
           "POST /webhook?topic=t HTTP/1.1\r\n" HEAD
           "Content-Length: 20000\r\nX: %09000d\r\n\r\n%020000d",
           0, 0);
  int fd = connect_to_rig();
  wire_send(fd, request);
  wire_receive(fd, true);
  CHECK(wire_has_status(431));
  CHECK_EQ_INT(recv(fd, &byte, 1, 0), 0);
  close(fd);
  http_rig_close(&rig);
}

/* Shorter responses are not compressed. */
static void compresses_from_the_minimum_length(void)
{
  open_rig();
  for (size_t length = UK_GZIP_LEAST - 1; length <= UK_GZIP_LEAST; length++) {
    topic_count = 1;
    memset(topic_name, 'n', sizeof topic_name);
    topic_name[length - strlen("{\"\":1}")] = '\0';
    ask_once("GET /topics HTTP/1.1\r\nAccept-Encoding: gzip\r\n" HEAD "\r\n");
    bool zipped = strstr(wire_answer, "\r\nContent-Encoding: gzip\r\n") != NULL;
    CHECK_EQ_INT(zipped, length == UK_GZIP_LEAST);
    CHECK(zipped || wire_length(wire_answer) == length);
  }
  http_rig_close(&rig);
}

static void sees_whether_its_client_is_alive(void)
{
  open_rig();
  ask_once(GET_TOPICS);
  CHECK(wire_has_status(200));
  CHECK(atomic_load(&saw_client));
  http_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(its_threads_block_signals);
  CHECK_RUN(accepts_targets_in_every_form);
  CHECK_RUN(accepts_methods_as_they_are_written);
  CHECK_RUN(reads_headers_as_http_defines_them);
  CHECK_RUN(sees_whether_its_client_is_alive);
  CHECK_RUN(counts_pending_requests);
  CHECK_RUN(answers_503_while_it_stops);
  CHECK_RUN(finishes_writing_a_response_when_it_stops);
  CHECK_RUN(E2_serves_the_maximum_number_of_connections);
  CHECK_RUN(E2_the_oldest_stranger_gives_way);
  CHECK_RUN(answers_at_close_only_clients_without_an_answer);
  CHECK_RUN(writes_nothing_past_the_library_in_tls);
  CHECK_RUN(discards_a_refused_body);
  CHECK_RUN(answers_head_without_a_body);
  CHECK_RUN(refuses_without_resetting_the_connection);
  CHECK_RUN(compresses_from_the_minimum_length);
  return check_end();
}
