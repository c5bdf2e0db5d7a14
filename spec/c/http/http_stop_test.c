/* for: http.c, http_exchange.c, http_reply.c, http_refusal.c, http_acceptor.c, http_sockets.c,
 * listen.c
 *
 * A server that stops answers every request that was sent to it: what a handler has with its
 * answer, all else with 503. */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "http_rig.h"
#include "server/http/http_exchange.h"
#include "server/http/http_private.h"
#include "server/http/http_refusal.h"
#include "wire.h"

#define HEAD "Host: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */
#define GET_TOPICS "GET /topics HTTP/1.1\r\n" HEAD "\r\n"
#define STOPPING "{\"error\":\"the server is stopping\",\"status\":503}"
#define POST_HEAD "POST /fetch HTTP/1.1\r\n" HEAD "Content-Length: 100\r\n\r\n{"

static struct http_rig rig;

/* The clock: the system's, or one that stands still until the test moves it. */

static atomic_bool owns_clock;
static atomic_llong time_of_test;
static atomic_int looks; /* at the clock of the test */

int64_t uk_clock_monotonic(void)
{
  struct timespec now;
  if (atomic_load(&owns_clock)) {
    const int64_t time = atomic_load(&time_of_test);
    atomic_fetch_add(&looks, 1);
    return time;
  }
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t uk_clock_epoch(void)
{
  return 0;
}

/* Returns when the server has seen the time and acted on it: it looks again, more often than the
 * thread of the receipts does when that ends. */
static void move_clock(int64_t milliseconds)
{
  atomic_fetch_add(&time_of_test, milliseconds);
  const int before = atomic_load(&looks);
  CHECK_EVENTUALLY(atomic_load(&looks) >= before + 9);
}

/* The engine keeps a request for its topics until the test ends it. */

static struct uk_topics *_Atomic kept;
static atomic_bool keeps;

static void end_topics(struct uk_topics *operation)
{
  operation->operation.done(&operation->operation);
}

/* Whether the connection waited for another request when the response to the last one had been
 * written: 1 or 0; -1 before that. */
static atomic_int waited_for_another;
static atomic_bool looks_at_the_end; /* of the responses to the next requests */
static atomic_int followed;          /* the socket of the last such response */

static void written(struct uk_receipt *receipt, enum uk_response_outcome outcome)
{
  struct uk_sockets *sockets = &rig.server.http->sockets;
  const int socket = receipt->connection;
  const bool waits = uk_sockets_begin(sockets, socket);
  if (waits)
    uk_sockets_end(sockets, socket);
  CHECK_EQ_INT(outcome, UK_RESPONSE_WRITTEN);
  atomic_store(&followed, socket);
  atomic_store(&waited_for_another, waits);
}

static void look_at_the_end(struct uk_request *request)
{
  static const uint64_t delivery = 1;
  struct uk_receipt *receipt = calloc(1, sizeof *receipt);
  REQUIRE(receipt != NULL);
  receipt->report = written;
  receipt->delivered = &delivery;
  receipt->recipient = uk_slice_text("who looks");
  CHECK(uk_request_follow(request, receipt));
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  struct uk_request *request = operation->operation.context;
  (void)engine;
  if (atomic_load(&looks_at_the_end))
    look_at_the_end(request);
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

/* The library's thread waits where it starts a connection. */
static atomic_bool holds, held;

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
                                                        enum MHD_ConnectionInfoType type, ...)
{
  union {
    void *symbol;
    const union MHD_ConnectionInfo *(*function)(struct MHD_Connection *,
                                                enum MHD_ConnectionInfoType, ...);
  } own = {.symbol = dlsym(RTLD_NEXT, "MHD_get_connection_info")};
  const struct timespec pause = {.tv_nsec = 1000000};
  while (atomic_load(&holds)) {
    atomic_store(&held, true);
    nanosleep(&pause, NULL);
  }
  return own.function(connection, type);
}

/* The library's thread waits where it is given a reply. */
static atomic_bool holds_reply, reply_held;

static enum MHD_Result queue_slowly(struct MHD_Connection *connection, unsigned status,
                                    struct MHD_Response *response)
{
  const struct timespec pause = {.tv_nsec = 1000000};
  while (atomic_load(&holds_reply)) {
    atomic_store(&reply_held, true);
    nanosleep(&pause, NULL);
  }
  return uk_http_queue_function()(connection, status, response);
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
  atomic_store(&holds, false);
  atomic_store(&held, false);
  atomic_store(&holds_reply, false);
  atomic_store(&reply_held, false);
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

static bool has_answer(int fd)
{
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

/* Stops the server at a time that stands still, and returns when it waits for the rest. */
static void begin_stop_without_time(void)
{
  atomic_store(&time_of_test, 5000);
  atomic_store(&looks, 0);
  atomic_store(&owns_clock, true);
  begin_stop();
  move_clock(0);
  CHECK(atomic_load(&rig.server.http->refusing));
}

static void end_stop_without_time(void)
{
  end_stop();
  atomic_store(&owns_clock, false);
}

/* The library's answer has a date; the one that the server writes itself when it waits no longer
 * has none. */
static void a_request_that_is_arriving_has_a_second(void)
{
  char rest[100];
  memset(rest, ' ', sizeof rest - 1);
  rest[sizeof rest - 1] = '\0';
  for (int in_time = 0; in_time <= 1; in_time++) {
    open_rig();
    int fd = connect_to_rig();
    wire_send(fd, POST_HEAD);
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->begun) == 1);
    begin_stop_without_time();
    move_clock(999);
    CHECK(!has_answer(fd));
    if (in_time)
      wire_send(fd, rest);
    else
      atomic_fetch_add(&time_of_test, 1);
    check_is_refused(fd);
    CHECK_EQ_INT(strstr(wire_answer, "\r\nDate: ") != NULL, in_time);
    close(fd);
    end_stop_without_time();
  }
}

static void an_idle_connection_has_twenty_milliseconds(void)
{
  open_rig();
  int fd = connect_to_rig();
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 1);
  begin_stop_without_time();
  move_clock(19);
  CHECK(!has_answer(fd));
  int late =
    wire_connect_without_waiting(uk_http_address(rig.server.http)); /* it is not even connected */
  CHECK(!wire_is_connected(late));
  close(late);
  atomic_fetch_add(&time_of_test, 1);
  check_is_refused(fd);
  close(fd);
  end_stop_without_time();
}

/* Nothing may be written after a response that closes its connection. */
static void a_connection_that_closes_waits_for_no_request(void)
{
  open_rig();
  atomic_store(&looks_at_the_end, true);
  int fd = connect_to_rig();
  for (int closing = 0; closing <= 1; closing++) {
    atomic_store(&waited_for_another, -1);
    atomic_store(&keeps, true);
    wire_send(fd, GET_TOPICS);
    CHECK_EVENTUALLY(atomic_load(&kept) != NULL);
    if (closing)
      uk_http_refuse(rig.server.http);
    end_topics(atomic_exchange(&kept, NULL));
    CHECK_EQ_STR(wire_receive(fd, true), "{}");
    CHECK_EVENTUALLY(atomic_load(&waited_for_another) >= 0);
    CHECK_EQ_INT(atomic_load(&waited_for_another), !closing);
  }
  CHECK(wire_is_closed(fd));
  close(fd);
  atomic_store(&looks_at_the_end, false);
  http_rig_close(&rig);
}

static bool is_followed(void)
{
  struct uk_receipts *receipts = &rig.server.http->receipts;
  pthread_mutex_lock(&receipts->mutex);
  const bool is = receipts->sockets[atomic_load(&followed)] != NULL;
  pthread_mutex_unlock(&receipts->mutex);
  return is;
}

/* A client reads one response after another: its next request says that the last one arrived. */
static void the_next_request_on_a_connection_ends_what_is_followed(void)
{
  open_rig();
  atomic_store(&looks_at_the_end, true);
  atomic_store(&waited_for_another, -1);
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS);
  CHECK_EQ_STR(wire_receive(fd, true), "{}");
  CHECK_EVENTUALLY(atomic_load(&waited_for_another) >= 0);
  CHECK(is_followed());
  atomic_store(&looks_at_the_end, false);
  wire_send(fd, GET_TOPICS);
  CHECK_EQ_STR(wire_receive(fd, true), "{}");
  CHECK(!is_followed());
  close(fd);
  http_rig_close(&rig);
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
enum { WAITING = 90 };

static void connect_waiting(int *fds)
{
  uk_acceptor_stop(&rig.server.http->acceptor);
  for (int i = 0; i < WAITING; i++) {
    fds[i] = connect_to_rig();
    wire_send(fds[i], i % 2 == 0 ? GET_TOPICS : POST_HEAD);
  }
}

static void check_are_refused(const int *fds, int count)
{
  for (int i = 0; i < count; i++) {
    check_is_refused(fds[i]);
    close(fds[i]);
  }
}

static void connections_that_wait_are_refused(void)
{
  int fds[WAITING];
  open_rig();
  connect_waiting(fds);
  begin_stop();
  check_are_refused(fds, WAITING);
  end_stop();
}

static void check_that_all_are_started(void)
{
  CHECK(!atomic_exchange(&holds, false));
}

/* The library needs longer to start them than a request that is arriving has. */
static void connections_that_start_slowly_are_refused(void)
{
  int fds[WAITING];
  open_rig();
  connect_waiting(fds);
  CHECK_EQ_INT(rig.server.http->start_milliseconds, 5000);
  atomic_store(&holds, true);
  atomic_store(&at_the_end, check_that_all_are_started);
  begin_stop_without_time();
  CHECK_EVENTUALLY(atomic_load(&held));
  move_clock(4999);
  atomic_store(&holds, false);
  check_are_refused(fds, WAITING);
  end_stop_without_time();
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

/* Idle connections take all the places that there are. */
static void connections_above_the_limit_are_refused(void)
{
  enum { PLACES = 3, COUNT = 10 };
  int fds[COUNT], before = count_descriptors();
  open_rig();
  uk_acceptor_stop(&rig.server.http->acceptor);
  rig.server.http->acceptor.limit = PLACES;
  for (int i = 0; i < COUNT; i++) {
    fds[i] = connect_to_rig();
    if (i >= PLACES)
      wire_send(fds[i], GET_TOPICS);
  }
  begin_stop();
  check_are_refused(fds, COUNT);
  end_stop();
  CHECK_EQ_INT(count_descriptors(), before);
}

/* The server's end of a connection that it has not seen; `client` is the other one. */
static int connect_aside(int *client)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  char text[16];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&address, &length) == 0);
  snprintf(text, sizeof text, ":%d", ntohs(address.sin_port));
  *client = wire_connect(text);
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  close(listener);
  return fd;
}

static int late_fd;

static void add_late(void)
{
  const struct sockaddr_in address = {.sin_family = AF_INET};
  atomic_store(&holds, true);
  CHECK(MHD_add_connection(rig.server.http->daemon, late_fd, (const struct sockaddr *)&address,
                           sizeof address) == MHD_YES);
  CHECK_EVENTUALLY(atomic_load(&held));
}

/* The library starts it when all others are refused, and may close it before it has read anything.
 * Its client is not to blame. */
static void a_connection_that_starts_too_late_is_refused(void)
{
  /* For the library to learn of the stop: a slow machine finds fewer faults, and fails nothing. */
  const struct timespec moment = {.tv_nsec = 60000000};
  int client;
  open_rig();
  late_fd = connect_aside(&client);
  wire_send(client, GET_TOPICS);
  atomic_store(&at_the_end, add_late);
  begin_stop();
  CHECK_EVENTUALLY(atomic_load(&held));
  nanosleep(&moment, NULL);
  atomic_store(&holds, false);
  check_is_refused(client);
  close(client);
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

/* Whether the reply was held when the library stopped: 1 or 0; -1 before that. */
static atomic_int held_at_the_end;

static void look_at_the_reply(void)
{
  atomic_store(&held_at_the_end, atomic_exchange(&holds_reply, false));
}

/* The library has the refusal when all others are refused: the stop waits until it is written, as
 * long as for connections that start. */
static void a_refusal_in_hand_is_written(void)
{
  char rest[100];
  memset(rest, ' ', sizeof rest - 1);
  rest[sizeof rest - 1] = '\0';
  for (int in_time = 1; in_time >= 0; in_time--) {
    open_rig();
    rig.server.http->queue_response = queue_slowly;
    atomic_store(&held_at_the_end, -1);
    atomic_store(&at_the_end, look_at_the_reply);
    int fd = connect_to_rig();
    wire_send(fd, POST_HEAD);
    CHECK_EVENTUALLY(atomic_load(&rig.server.http->begun) == 1);
    begin_stop_without_time();
    atomic_store(&holds_reply, true);
    wire_send(fd, rest);
    CHECK_EVENTUALLY(atomic_load(&reply_held));
    move_clock(1000); /* the others are refused */
    move_clock(4999);
    CHECK_EQ_INT(atomic_load(&held_at_the_end), -1);
    if (in_time)
      atomic_store(&holds_reply, false);
    else
      atomic_fetch_add(&time_of_test, 1);
    CHECK_EVENTUALLY(atomic_load(&held_at_the_end) >= 0);
    CHECK_EQ_INT(atomic_load(&held_at_the_end), !in_time);
    if (in_time)
      check_is_refused(fd);
    close(fd);
    end_stop_without_time();
  }
}

/* Its connection was taken before it was read: the library closes it. */
static void a_request_after_its_refusal_is_not_in_hand(void)
{
  open_rig();
  int fd = connect_to_rig();
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 1);
  uk_http_refuse_open(rig.server.http);
  check_is_refused(fd);
  wire_send(fd, GET_TOPICS);
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->acceptor.open) == 0);
  CHECK_EQ_INT(atomic_load(&rig.server.http->in_hand), 0);
  close(fd);
  http_rig_close(&rig);
}

/* A refusal must not get into a response that its client has not read to the end. */
static void nothing_follows_a_response_that_is_cut(void)
{
  static char name[200 * 1000];
  struct uk_topics *operation;
  open_rig();
  rig.server.http->send_milliseconds = 1;
  atomic_store(&held_at_the_end, -1);
  atomic_store(&at_the_end, look_at_the_reply);
  atomic_store(&keeps, true);
  int fd = connect_to_rig();
  wire_send(fd, GET_TOPICS GET_TOPICS);
  CHECK_EVENTUALLY((operation = atomic_load(&kept)) != NULL);
  memset(name, 'n', sizeof name);
  for (int i = 0; i < 100; i++)
    operation->topic(&operation->operation, uk_slice_of(name, sizeof name), 1);
  end_topics(operation);
  CHECK_EVENTUALLY(atomic_load(&rig.server.http->unanswered) == 0);
  CHECK_EVENTUALLY(has_answer(fd)); /* its beginning */
  begin_stop_without_time();
  move_clock(1);
  atomic_fetch_add(&time_of_test, 1000);
  CHECK_EVENTUALLY(atomic_load(&held_at_the_end) == 0); /* it is not waited for twice */
  atomic_fetch_add(&time_of_test, 5000);
  end_stop_without_time();
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
  CHECK_RUN(a_request_that_is_arriving_has_a_second);
  CHECK_RUN(an_idle_connection_has_twenty_milliseconds);
  CHECK_RUN(a_connection_that_closes_waits_for_no_request);
  CHECK_RUN(the_next_request_on_a_connection_ends_what_is_followed);
  CHECK_RUN(what_is_no_request_yet_is_refused);
  CHECK_RUN(connections_that_wait_are_refused);
  CHECK_RUN(connections_that_start_slowly_are_refused);
  CHECK_RUN(connections_above_the_limit_are_refused);
  CHECK_RUN(a_connection_that_starts_too_late_is_refused);
  CHECK_RUN(the_last_request_is_refused);
  CHECK_RUN(idle_connections_are_refused);
  CHECK_RUN(a_refusal_in_hand_is_written);
  CHECK_RUN(a_request_after_its_refusal_is_not_in_hand);
  CHECK_RUN(nothing_follows_a_response_that_is_cut);
  return check_end();
}
