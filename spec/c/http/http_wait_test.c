/* for: http_exchange.c, http_completion.c, http_reply.c, http_hangup.c
 *
 * Requests that wait for the engine: their connections are suspended, and their clients watched.
 * The test plays the engine, and stands between the server and the HTTP library, so that it can
 * reply at any moment, and between the library and the system, so that calls fail. */
#undef _FORTIFY_SOURCE /* with it, recv is an inline function */
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "http_rig.h"
#include "server/http/http_exchange.h"
#include "server/http/http_private.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define GET_TOPICS "GET /topics HTTP/1.1\r\n" HEAD "\r\n"

static struct http_rig rig;

/* The engine: keeps each request for its topics until the test ends it. */

static struct uk_topics *_Atomic kept;
static atomic_bool is_watched; /* the next requests want to know that their clients hang up */
static atomic_bool ends_when_gone;
static atomic_int served, gone; /* the server's socket of the last request; reported hang-ups */
static struct uk_request *_Atomic last, *_Atomic who_has_gone;

static void end_topics(void)
{
  struct uk_topics *operation = atomic_exchange(&kept, NULL);
  operation->topic(&operation->operation, uk_slice_text("t"), 1);
  operation->operation.done(&operation->operation);
}

static void client_gone(struct uk_request *request)
{
  atomic_store(&who_has_gone, request);
  atomic_fetch_add(&gone, 1);
  if (atomic_load(&ends_when_gone))
    end_topics();
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  struct uk_request *request = operation->operation.context;
  (void)engine;
  if (atomic_load(&is_watched))
    request->client_gone = client_gone;
  atomic_store(&served, uk_exchange_of(request)->socket);
  atomic_store(&last, request);
  atomic_store(&kept, operation);
}

static const struct uk_engine_methods methods = {.name = "played", .topics = topics};

/* The library. */

static atomic_int suspended, resumed;
static atomic_bool replies_meanwhile; /* as soon as the connection is suspended */

void MHD_suspend_connection(struct MHD_Connection *connection)
{
  union {
    void *symbol;
    void (*suspend)(struct MHD_Connection *);
  } own = {.symbol = dlsym(RTLD_NEXT, "MHD_suspend_connection")};
  own.suspend(connection);
  if (atomic_load(&replies_meanwhile))
    end_topics();
  atomic_fetch_add(&suspended, 1);
}

void MHD_resume_connection(struct MHD_Connection *connection)
{
  union {
    void *symbol;
    void (*resume)(struct MHD_Connection *);
  } own = {.symbol = dlsym(RTLD_NEXT, "MHD_resume_connection")};
  atomic_fetch_add(&resumed, 1);
  own.resume(connection);
}

/* The system: the next calls on the server's socket fail with this error. 0: they work. */

static atomic_int receive_error, send_error;
static atomic_int failed_calls;

static bool fails(int fd, const atomic_int *error)
{
  if (atomic_load(error) == 0 || fd != atomic_load(&served))
    return false;
  atomic_fetch_add(&failed_calls, 1);
  errno = atomic_load(error);
  return true;
}

__attribute__((visibility("default"))) ssize_t recv(int fd, void *data, size_t size, int flags)
{
  return fails(fd, &receive_error) ? -1 : syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
}

__attribute__((visibility("default"))) ssize_t send(int fd, const void *data, size_t size,
                                                    int flags)
{
  return fails(fd, &send_error) ? -1 : syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *message,
                                                       int flags)
{
  const int error = atomic_load(&send_error);
  if (!fails(fd, &send_error))
    return syscall(SYS_sendmsg, fd, message, flags);
  atomic_store(&send_error, 0); /* once: what is written after it would arrive */
  errno = error;
  return -1;
}

static bool open_rig(void)
{
  atomic_store(&receive_error, 0);
  atomic_store(&send_error, 0);
  atomic_store(&failed_calls, 0);
  atomic_store(&is_watched, true);
  atomic_store(&ends_when_gone, false);
  atomic_store(&replies_meanwhile, false);
  atomic_store(&kept, NULL);
  atomic_store(&gone, 0);
  atomic_store(&suspended, 0);
  atomic_store(&resumed, 0);
  return CHECK(http_rig_open(&rig, &methods));
}

/* Whether the socket of the last request is watched, for whomever. */
static bool has_watch(void)
{
  struct uk_hangups *hangups = &rig.server.http->hangups;
  size_t socket = (size_t)atomic_load(&served);
  pthread_mutex_lock(&hangups->mutex);
  bool has = socket < hangups->room && hangups->sockets[socket].owner != NULL;
  pthread_mutex_unlock(&hangups->mutex);
  return has;
}

/* Sends a request, and returns when the server waits for the engine. */
static void ask_and_wait(int fd)
{
  int before = atomic_load(&suspended);
  wire_send(fd, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&suspended) == before + 1);
}

static int connect_and_wait(void)
{
  int fd = wire_connect(uk_http_address(rig.server.http));
  ask_and_wait(fd);
  return fd;
}

static void check_answer(int fd)
{
  CHECK_EQ_STR(wire_receive(fd, true), "{\"t\":1}");
  CHECK(wire_has_status(200));
}

/* Nothing is counted any more, and no connection is open. Who replies ends last. */
static void close_rig(void)
{
  struct uk_http *http = rig.server.http;
  CHECK_EVENTUALLY(atomic_load(&http->acceptor.open) == 0);
  CHECK_EVENTUALLY(atomic_load(&http->unanswered) == 0);
  CHECK_EVENTUALLY(atomic_load(&http->unsent) == 0);
  CHECK_EVENTUALLY(atomic_load(&http->resuming) == 0);
  CHECK_EQ_INT(atomic_load(&suspended), atomic_load(&resumed));
  http_rig_close(&rig);
}

/* C4: one connection may wait several times. A request that is answered is not watched. */
static void C4_a_client_is_watched_while_it_waits(void)
{
  REQUIRE(open_rig());
  int fd = connect_and_wait();
  for (int i = 0; i < 3; i++) {
    CHECK(has_watch());
    CHECK_EQ_INT(atomic_load(&rig.server.http->unanswered), 1);
    end_topics();
    check_answer(fd);
    CHECK(!has_watch());
    ask_and_wait(fd);
  }
  CHECK_EQ_INT(atomic_load(&gone), 0);
  close(fd);
  CHECK_EVENTUALLY(atomic_load(&gone) == 1);
  CHECK(atomic_load(&who_has_gone) == atomic_load(&last));
  CHECK(!has_watch());
  end_topics();
  close_rig();
  CHECK_EQ_INT(atomic_load(&gone), 1);
}

/* A client that only stops sending counts as gone, and gets its answer. */
static void C4_a_client_that_stops_sending_is_answered(void)
{
  REQUIRE(open_rig());
  atomic_store(&ends_when_gone, true);
  int fd = connect_and_wait();
  shutdown(fd, SHUT_WR);
  check_answer(fd);
  CHECK_EQ_INT(atomic_load(&gone), 1);
  CHECK(wire_is_closed(fd));
  close(fd);
  close_rig();
}

/* The reply may come before the connection counts as suspended. */
static void a_reply_may_come_while_the_server_begins_to_wait(void)
{
  REQUIRE(open_rig());
  atomic_store(&replies_meanwhile, true);
  int fd = wire_connect(uk_http_address(rig.server.http));
  for (int i = 1; i <= 3; i++) {
    wire_send(fd, GET_TOPICS);
    check_answer(fd);
    CHECK(!has_watch());
    CHECK_EQ_INT(atomic_load(&resumed), i);
  }
  close(fd);
  close_rig();
  CHECK_EQ_INT(atomic_load(&gone), 0);
}

/* A request that loses nothing when its client leaves is not watched. */
static void a_request_that_does_not_ask_for_it_is_not_watched(void)
{
  REQUIRE(open_rig());
  atomic_store(&is_watched, false);
  int fd = connect_and_wait();
  CHECK(!has_watch());
  close(fd);
  end_topics();
  close_rig();
  CHECK_EQ_INT(atomic_load(&gone), 0);
}

/* The library would end the process if a connection were suspended when it stops. */
static void a_server_that_stops_waits_for_the_engine(void)
{
  REQUIRE(open_rig());
  int fd = connect_and_wait();
  uk_http_refuse(rig.server.http);
  CHECK_EQ_INT(atomic_load(&rig.server.http->unanswered), 1);
  atomic_store(&ends_when_gone, true);
  shutdown(fd, SHUT_WR);
  uk_http_stop(rig.server.http);
  check_answer(fd);
  close(fd);
  rig.server.http = NULL;
  http_rig_close(&rig);
}

/* The library reads first when a connection goes on, unless it is the one that has been quiet for
 * longest. What was carried out is answered all the same. */
static void a_reply_is_written_if_reading_fails_after_the_wait(void)
{
  static const int errors[] = {ECONNRESET, ENOTCONN, EIO, ENOMEM};
  REQUIRE(open_rig());
  int quiet = wire_connect(uk_http_address(rig.server.http));
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 1);
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    int fd = connect_and_wait();
    atomic_store(&receive_error, errors[i]);
    end_topics();
    if (!CHECK_EQ_STR(wire_receive_all(fd), "{\"t\":1}") || !CHECK(wire_has_status(200)))
      fprintf(stderr, "  after error %d\n", errors[i]);
    CHECK(atomic_load(&failed_calls) > (int)i);
    atomic_store(&receive_error, 0);
    close(fd);
  }
  close(quiet);
  close_rig();
}

/* A reply that fails before its first byte: no other one follows, which would say that the request
 * was malformed. */
static void no_reply_follows_one_that_could_not_be_written(void)
{
  static const int errors[] = {EPIPE, ECONNRESET, EIO};
  REQUIRE(open_rig());
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    int fd = connect_and_wait();
    atomic_store(&send_error, errors[i]);
    end_topics();
    wire_receive_all(fd);
    if (!CHECK_EQ_STR(wire_answer, ""))
      fprintf(stderr, "  after error %d\n", errors[i]);
    CHECK_EQ_INT(atomic_load(&failed_calls), (int)i + 1);
    atomic_store(&send_error, 0);
    close(fd);
  }
  close_rig();
}

int main(void)
{
  CHECK_RUN(a_reply_is_written_if_reading_fails_after_the_wait);
  CHECK_RUN(no_reply_follows_one_that_could_not_be_written);
  CHECK_RUN(C4_a_client_is_watched_while_it_waits);
  CHECK_RUN(C4_a_client_that_stops_sending_is_answered);
  CHECK_RUN(a_reply_may_come_while_the_server_begins_to_wait);
  CHECK_RUN(a_request_that_does_not_ask_for_it_is_not_watched);
  CHECK_RUN(a_server_that_stops_waits_for_the_engine);
  return check_end();
}
