/* for: http.c, http_exchange.c, http_reply.c, http_refusal.c, http_acceptor.c, http_sockets.c,
 * listen.c
 *
 * A server that stops answers every request that was sent to it: what a handler has with its
 * answer, all else with 503. */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "http_rig.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define GET_TOPICS "GET /topics HTTP/1.1\r\n" HEAD "\r\n"
#define STOPPING "{\"error\":\"the server is stopping\",\"status\":503}"
#define POST_HEAD "POST /fetch HTTP/1.1\r\n" HEAD "Content-Length: 100\r\n\r\n{"

static struct http_rig rig;

/* The engine keeps a request for its topics until the test ends it. */

static struct uk_topics *_Atomic kept;
static atomic_bool keeps;

static void end_topics(struct uk_topics *operation)
{
  operation->operation.done(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  if (atomic_load(&keeps))
    atomic_store(&kept, operation);
  else
    end_topics(operation);
}

static const struct uk_engine_methods methods = {.name = "played", .topics = topics};

/* What happens right before the library stops. */
static void (*_Atomic at_the_end)(void);

void MHD_stop_daemon(struct MHD_Daemon *daemon)
{
  union {
    void *symbol;
    void (*stop)(struct MHD_Daemon *);
  } own = {.symbol = dlsym(RTLD_NEXT, "MHD_stop_daemon")};
  if (atomic_load(&at_the_end) != NULL)
    atomic_load (&at_the_end)();
  own.stop(daemon);
}

static pthread_t stopper;

static void *stop(void *unused)
{
  (void)unused;
  uk_http_refuse(rig.server.http);
  uk_http_stop(rig.server.http);
  return NULL;
}

static void open_rig(void)
{
  atomic_store(&keeps, false);
  atomic_store(&kept, NULL);
  atomic_store(&at_the_end, NULL);
  CHECK(http_rig_open(&rig, &methods));
}

static void begin_stop(void)
{
  CHECK(pthread_create(&stopper, NULL, stop, NULL) == 0);
}

static void end_stop(void)
{
  CHECK(pthread_join(stopper, NULL) == 0);
  rig.server.http = NULL;
  http_rig_close(&rig);
}

static int connect_to_rig(void)
{
  return wire_connect(uk_http_address(rig.server.http));
}

static bool closes(void)
{
  return strstr(wire_answer, "\r\nConnection: close\r\n") != NULL ||
         strstr(wire_answer, "\r\nConnection: Close\r\n") != NULL;
}

static void check_is_refused(int fd)
{
  CHECK_EQ_STR(wire_receive(fd, true), STOPPING);
  CHECK(wire_has_status(503));
  CHECK(closes());
  CHECK(strstr(wire_answer, "\r\nRetry-After: 1\r\n") != NULL);
  CHECK(wire_is_closed(fd));
}

/* The client must not send its next request to a server that stops. */
static void the_last_answer_closes_its_connection(void)
{
  open_rig();
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS);
  CHECK_EQ_STR(wire_receive(fd, true), "{}");
  CHECK(!closes());
  atomic_store(&keeps, true);
  wire_send(fd, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
  begin_stop();
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->refusing));
  end_topics(atomic_load(&kept));
  CHECK_EQ_STR(wire_receive(fd, true), "{}");
  CHECK(wire_has_status(200));
  CHECK(closes());
  CHECK(wire_is_closed(fd));
  close(fd);
  end_stop();
}

/* Its rest may arrive, or not. */
static void a_request_that_is_arriving_is_refused(void)
{
  char rest[100];
  memset(rest, ' ', sizeof rest - 1);
  rest[sizeof rest - 1] = '\0';
  for (int i = 0; i < 3; i++) {
    open_rig();
    int fd = connect_to_rig();
    wire_send(fd, i < 2 ? POST_HEAD : "GET /topics HTTP/1.1\r\nHost");
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->begun) == 1);
    begin_stop();
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->refusing));
    if (i == 0)
      wire_send(fd, rest);
    check_is_refused(fd);
    close(fd);
    end_stop();
  }
}

/* A part of a request line is no request yet. */
static void what_is_no_request_yet_is_refused(void)
{
  open_rig();
  int fd = connect_to_rig();
  wire_send(fd, "GET /to");
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 1);
  begin_stop();
  check_is_refused(fd);
  close(fd);
  end_stop();
}

/* The kernel has accepted them, the server has not. */
static void connections_that_wait_are_refused(void)
{
  enum { COUNT = 90 };
  int fds[COUNT];
  open_rig();
  uk_acceptor_stop(&rig.server.http->acceptor);
  for (int i = 0; i < COUNT; i++) {
    fds[i] = connect_to_rig();
    wire_send(fds[i], i % 2 == 0 ? GET_TOPICS : POST_HEAD);
  }
  begin_stop();
  for (int i = 0; i < COUNT; i++) {
    check_is_refused(fds[i]);
    close(fds[i]);
  }
  end_stop();
}

/* A request that arrives at the last moment, read or not. */
static int last_fd;

static void send_late(void)
{
  (void)!send(last_fd, GET_TOPICS, strlen(GET_TOPICS), MSG_NOSIGNAL);
}

static void the_last_request_is_refused(void)
{
  for (int i = 0; i < 50; i++) {
    open_rig();
    last_fd = connect_to_rig();
    wire_send(last_fd, GET_TOPICS);
    CHECK_EQ_STR(wire_receive(last_fd, true), "{}");
    atomic_store(&at_the_end, send_late);
    begin_stop();
    check_is_refused(last_fd);
    close(last_fd);
    end_stop();
  }
}

/* A request may be on its way there. */
static void idle_connections_are_refused(void)
{
  open_rig();
  int fresh = connect_to_rig(), used = connect_to_rig();
  wire_send(used, GET_TOPICS);
  CHECK_EQ_STR(wire_receive(used, true), "{}");
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 2);
  begin_stop();
  check_is_refused(fresh);
  check_is_refused(used);
  close(fresh);
  close(used);
  end_stop();
}

/* A refusal must not get into a response that its client has not read to the end. */
static void nothing_follows_a_response_that_is_cut(void)
{
  static char name[200 * 1000];
  struct uk_topics *operation;
  open_rig();
  rig.server.http->send_milliseconds = 1;
  atomic_store(&keeps, true);
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS GET_TOPICS);
  CHECK_EVENTUALLY((operation = atomic_load(&kept)) != NULL);
  memset(name, 'n', sizeof name);
  for (int i = 0; i < 100; i++)
    operation->topic(&operation->operation, uk_slice_of(name, sizeof name), 1);
  end_topics(operation);
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->unanswered) == 0);
  begin_stop();
  end_stop();
  char bytes[64 << 10];
  size_t total = 0;
  bool refused = false;
  for (ssize_t got; (got = recv(fd, bytes, sizeof bytes - 1, 0)) > 0; total += (size_t)got) {
    bytes[got] = '\0';
    refused = refused || strstr(bytes, "stopping") != NULL;
  }
  CHECK(total > 0 && total < sizeof name * 100);
  CHECK(!refused);
  close(fd);
}

int main(void)
{
  CHECK_RUN(the_last_answer_closes_its_connection);
  CHECK_RUN(a_request_that_is_arriving_is_refused);
  CHECK_RUN(what_is_no_request_yet_is_refused);
  CHECK_RUN(connections_that_wait_are_refused);
  CHECK_RUN(the_last_request_is_refused);
  CHECK_RUN(idle_connections_are_refused);
  CHECK_RUN(nothing_follows_a_response_that_is_cut);
  return check_end();
}
