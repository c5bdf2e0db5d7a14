/* for: http_acceptor.c, http.c
 *
 * The test stands between the acceptor and the system: it sees each wait and each accepted
 * connection, and decides what they return. */
#undef _FORTIFY_SOURCE /* it defines poll as an inline function */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "access_rig.h"
#include "check.h"
#include "server/api/server_state.h"
#include "server/http/http_private.h"
#include "wire.h"

enum { LIMIT = 2, ACCEPTS_SEEN = 200, SHORT_PAUSE = 100, LONG_PAUSE = 1000 };
#define GET_ROOT "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static struct uk_server server;
static char message[512];

/* The system. */

static atomic_int ending_pauses; /* long pauses that pass at once; others last until an event */
static atomic_int waits, short_waits, long_waits;       /* of the acceptor */
static atomic_bool listens;                             /* in its last wait, or in this one */
static atomic_int accept_error;                         /* an errno for each accept */
static atomic_int accepts, accepted_from[ACCEPTS_SEEN]; /* the listening sockets, in order */

/* What the library does with connections: it may refuse them, close them later without a word, or
 * take its time to start them. */
static enum { STARTS, REFUSES, LOSES, DELAYS } _Atomic library;
enum { DELAYED_MAX = 2 };
static atomic_int closed_count; /* connections that it refused or lost */
static atomic_int delayed_count;
static struct {
  int fd;
  struct sockaddr_storage address;
  socklen_t length;
} delayed[DELAYED_MAX];

#define IN_FRONT __attribute__((visibility("default")))

/* Whether a long pause ends now. */
static bool has_ended_pause(void)
{
  int count = atomic_load(&ending_pauses);
  return count > 0 && atomic_compare_exchange_strong(&ending_pauses, &count, count - 1);
}

IN_FRONT int poll(struct pollfd *files, nfds_t count, int timeout)
{
  union {
    void *symbol;
    int (*poll)(struct pollfd *, nfds_t, int);
  } own = {.symbol = dlsym(RTLD_NEXT, "poll")};
  const bool of_acceptor = server.http != NULL && files[0].fd == server.http->acceptor.wake;
  if (!of_acceptor)
    return own.poll(files, count, timeout);
  atomic_store(&listens, count > 1);
  atomic_fetch_add(&waits, 1);
  atomic_fetch_add(&short_waits, timeout == SHORT_PAUSE && count == 1);
  atomic_fetch_add(&long_waits, timeout == LONG_PAUSE && count == 1);
  if (timeout != LONG_PAUSE)
    return own.poll(files, count, timeout);
  int ready = 0;
  while (ready == 0 && !has_ended_pause())
    ready = own.poll(files, count, 1);
  return ready;
}

/* What a build with _FORTIFY_SOURCE calls instead. */
int __poll_chk(struct pollfd *files, nfds_t count, int timeout, size_t size);
IN_FRONT int __poll_chk(struct pollfd *files, nfds_t count, int timeout, size_t size)
{
  CHECK(count <= size / sizeof *files);
  return poll(files, count, timeout);
}

IN_FRONT int accept4(int listener, __SOCKADDR_ARG address, socklen_t *length, int flags)
{
  union {
    void *symbol;
    int (*accept4)(int, __SOCKADDR_ARG, socklen_t *, int);
  } own = {.symbol = dlsym(RTLD_NEXT, "accept4")};
  if ((errno = atomic_load(&accept_error)) != 0)
    return -1;
  CHECK_EQ_INT(flags, SOCK_NONBLOCK | SOCK_CLOEXEC);
  int fd = own.accept4(listener, address, length, flags);
  int at = atomic_load(&accepts);
  if (fd < 0)
    return fd;
  if (at < ACCEPTS_SEEN)
    atomic_store(&accepted_from[at], listener);
  atomic_store(&accepts, at + 1); /* last: who sees the count sees the rest */
  return fd;
}

static enum MHD_Result start_connection(struct MHD_Daemon *daemon, int fd,
                                        const struct sockaddr *address, socklen_t length)
{
  union {
    void *symbol;
    enum MHD_Result (*add)(struct MHD_Daemon *, int, const struct sockaddr *, socklen_t);
  } own = {.symbol = dlsym(RTLD_NEXT, "MHD_add_connection")};
  return own.add(daemon, fd, address, length);
}

IN_FRONT enum MHD_Result MHD_add_connection(struct MHD_Daemon *daemon, int fd,
                                            const struct sockaddr *address, socklen_t length)
{
  int at = atomic_load(&delayed_count);
  if (atomic_load(&library) == STARTS)
    return start_connection(daemon, fd, address, length);
  if (atomic_load(&library) == DELAYS && at < DELAYED_MAX) {
    delayed[at].fd = fd;
    delayed[at].length = length;
    memcpy(&delayed[at].address, address, length);
    atomic_store(&delayed_count, at + 1);
    return MHD_YES;
  }
  const enum MHD_Result result = atomic_load(&library) == REFUSES ? MHD_NO : MHD_YES;
  close(fd);
  atomic_fetch_add(&closed_count, 1);
  return result;
}

/* The library starts a connection that it was given before. */
static void start_delayed(int at)
{
  CHECK(start_connection(server.http->daemon, delayed[at].fd,
                         (const struct sockaddr *)&delayed[at].address,
                         delayed[at].length) == MHD_YES);
}

/* Takes the addresses; nothing is accepted yet. */
static bool start_on(const char *listen, unsigned threads)
{
  const struct uk_http_options options = {.server = &server,
                                          .listen = listen,
                                          .threads = threads,
                                          .max_connections = 100,
                                          .max_header_bytes = UK_HEADER_BYTES,
                                          .max_body_bytes = 1024,
                                          .insecure = true};
  server = (struct uk_server){.access = access_rig_open()};
  bool good = uk_http_start(&server.http, &options, message, sizeof message) == UK_OK;
  if (!CHECK(good))
    fprintf(stderr, "  %s\n", message);
  return good;
}

static bool accept_on(const char *listen, unsigned threads)
{
  return start_on(listen, threads) &&
         CHECK(uk_http_accept(server.http, message, sizeof message) == UK_OK);
}

static void stop(void)
{
  uk_http_refuse(server.http);
  uk_http_stop(server.http);
  uk_access_close(server.access);
}

static int connect_to(const struct sockaddr *address, socklen_t length)
{
  const struct timeval patience = {.tv_sec = WIRE_PATIENCE};
  int fd = socket(address->sa_family, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  CHECK(connect(fd, address, length) == 0);
  return fd;
}

static bool is_served(int fd)
{
  wire_send(fd, GET_ROOT);
  wire_receive(fd, true);
  return wire_has_status(200);
}

/* The address of a listening socket, where 0.0.0.0 and :: also reach this machine. */
static int connect_to_listener(int listener)
{
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
  return connect_to((struct sockaddr *)&address, length);
}

static void C5_every_address_is_served(void)
{
  for (unsigned threads = 1; threads <= 2; threads++) {
    REQUIRE(accept_on(":0", threads));
    for (int i = 0; i < server.http->listeners.count; i++) {
      int fd = connect_to_listener(server.http->listeners.sockets[i]);
      CHECK(is_served(fd));
      close(fd);
    }
    stop();
  }
}

static void C5_a_unix_socket_is_served(void)
{
  char folder[] = "/tmp/acceptor-XXXXXX", listen[UK_ADDRESS_SIZE];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  REQUIRE(mkdtemp(folder) != NULL);
  snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
  snprintf(listen, sizeof listen, "unix:%s", address.sun_path);
  REQUIRE(accept_on(listen, 1));
  CHECK_EQ_STR(uk_http_address(server.http), listen);
  int fd = connect_to((struct sockaddr *)&address, sizeof address);
  CHECK(is_served(fd));
  CHECK(is_served(fd));
  close(fd);
  stop();
  CHECK(access(address.sun_path, F_OK) != 0);
  rmdir(folder);
}

/* A client that connects while the server starts waits for it. */
static void nothing_is_accepted_before_the_server_is_ready(void)
{
  REQUIRE(start_on("127.0.0.1:0", 1));
  int fd = wire_connect(uk_http_address(server.http));
  wire_send(fd, GET_ROOT);
  CHECK_EQ_INT(atomic_load(&server.http->acceptor.started), 0);
  REQUIRE(uk_http_accept(server.http, message, sizeof message) == UK_OK);
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  close(fd);
  stop();
}

static void a_server_that_never_accepted_stops(void)
{
  REQUIRE(start_on("127.0.0.1:0", 2));
  int fd = wire_connect(uk_http_address(server.http));
  CHECK_EVENTUALLY(wire_waiting(server.http->listeners.sockets[0]) == 1);
  stop();
  CHECK_EQ_STR(wire_receive_all(fd), "{\"error\":\"the server is stopping\",\"status\":503}");
  close(fd);
}

/* The library closed its connection without a word: the server does not wait for it for ever. */
static void a_server_stops_although_a_connection_was_never_started(void)
{
  REQUIRE(start_on("127.0.0.1:0", 1));
  int fd = wire_connect(uk_http_address(server.http));
  atomic_store(&library, LOSES);
  server.http->start_milliseconds = 1;
  stop();
  atomic_store(&library, STARTS);
  CHECK_EQ_STR(wire_receive_all(fd), "");
  close(fd);
}

/* More connections than the limit wait in the kernel's queue until others close. */
static void connections_above_the_limit_wait(void)
{
  int fds[LIMIT + 2];
  REQUIRE(start_on("127.0.0.1:0", 2));
  struct uk_acceptor *acceptor = &server.http->acceptor;
  acceptor->limit = LIMIT;
  REQUIRE(uk_http_accept(server.http, message, sizeof message) == UK_OK);
  const int before = atomic_load(&accepts);
  for (int i = 0; i < LIMIT + 2; i++) { /* one after the other: they are served in this order */
    fds[i] = wire_connect(uk_http_address(server.http));
    if (i < LIMIT)
      CHECK_EVENTUALLY(atomic_load(&accepts) == before + i + 1);
    else
      CHECK_EVENTUALLY(wire_waiting(server.http->listeners.sockets[0]) ==
                       (unsigned)(i - LIMIT + 1));
  }
  CHECK_EVENTUALLY(atomic_load(&acceptor->full));
  for (int i = 0; i < LIMIT + 2; i++) {
    CHECK(is_served(fds[i]));
    CHECK(atomic_load(&acceptor->open) <= LIMIT);
    CHECK_EVENTUALLY(atomic_load(&acceptor->open) == (unsigned)(i < 2 ? LIMIT : LIMIT + 2 - i));
    close(fds[i]);
    CHECK_EVENTUALLY(atomic_load(&acceptor->started) == (unsigned long)(i < 2 ? LIMIT + i + 1 : 4));
    CHECK_EVENTUALLY(atomic_load(&acceptor->open) == (unsigned)(i < 2 ? LIMIT : 3 - i));
  }
  stop();
}

/* Standard error is a pipe from here until the end of the case. */
static int begin_capture(int *before)
{
  int ends[2];
  *before = dup(STDERR_FILENO);
  if (!CHECK(pipe(ends) == 0))
    return -1;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  dup2(ends[1], STDERR_FILENO);
  close(ends[1]);
  return ends[0];
}

static void end_capture(int before, int end, char *text, size_t size)
{
  dup2(before, STDERR_FILENO);
  close(before);
  ssize_t length = read(end, text, size - 1);
  text[length > 0 ? length : 0] = '\0';
  close(end);
}

static void a_connection_waits_for_a_descriptor(void)
{
  static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    int before;
    char text[512], expected[512];
    REQUIRE(accept_on("127.0.0.1:0", 1));
    const int log = begin_capture(&before);
    atomic_store(&accept_error, errors[i]);
    atomic_store(&short_waits, 0);
    const int fd = wire_connect(uk_http_address(server.http));
    CHECK_EVENTUALLY(atomic_load(&short_waits) >= 2); /* it tries again after each pause */
    atomic_store(&accept_error, 0);
    CHECK(is_served(fd));
    close(fd);
    end_capture(before, log, text, sizeof text);
    snprintf(expected, sizeof expected,
             "upstash-kafka: no connection can be accepted: %s; clients wait\n"
             "upstash-kafka: connections are accepted again\n",
             strerror(errors[i]));
    CHECK_EQ_STR(text, expected);
    stop();
  }
}

/* An error of one connection says nothing about the next. */
static void a_connection_that_has_gone_is_skipped(void)
{
  REQUIRE(accept_on("127.0.0.1:0", 1));
  atomic_store(&short_waits, 0);
  atomic_store(&accept_error, ECONNABORTED);
  const int fd = wire_connect(uk_http_address(server.http));
  const int before = atomic_load(&waits);
  CHECK_EVENTUALLY(atomic_load(&waits) > before + 1);
  CHECK_EQ_INT(atomic_load(&short_waits), 0);
  atomic_store(&accept_error, 0);
  CHECK(is_served(fd));
  close(fd);
  stop();
}

/* Many clients of one address keep those of another waiting for 64 connections at most. */
static void each_address_has_its_turn(void)
{
  enum { MANY = 70, TURN = 64 };
  int fds[MANY + 1];
  REQUIRE(start_on(":0", 1));
  const struct uk_listeners *listeners = &server.http->listeners;
  if (listeners->count < 2) {
    stop();
    CHECK_SKIP("needs IPv6");
  }
  for (int i = 0; i < MANY; i++)
    fds[i] = connect_to_listener(listeners->sockets[0]);
  fds[MANY] = connect_to_listener(listeners->sockets[1]);
  CHECK_EVENTUALLY(wire_waiting(listeners->sockets[0]) == MANY);
  CHECK_EVENTUALLY(wire_waiting(listeners->sockets[1]) == 1);
  atomic_store(&accepts, 0);
  REQUIRE(uk_http_accept(server.http, message, sizeof message) == UK_OK);
  CHECK_EVENTUALLY(atomic_load(&accepts) == MANY + 1);
  for (int i = 0; i <= MANY; i++) {
    CHECK_EQ_INT(atomic_load(&accepted_from[i]), listeners->sockets[i == TURN]);
    close(fds[i]);
  }
  /* The library closes those that it has not started without a lock: ThreadSanitizer objects. */
  CHECK_EVENTUALLY(atomic_load(&server.http->acceptor.started) == MANY + 1);
  stop();
}

/* A wake-up is taken: the acceptor sleeps again, and does not turn in a circle. */
static void sleeps_after_it_was_woken(void)
{
  REQUIRE(start_on("127.0.0.1:0", 1));
  server.http->acceptor.limit = 1;
  REQUIRE(uk_http_accept(server.http, message, sizeof message) == UK_OK);
  int first = wire_connect(uk_http_address(server.http));
  CHECK(is_served(first));
  int second = wire_connect(uk_http_address(server.http));
  CHECK_EVENTUALLY(atomic_load(&server.http->acceptor.full));
  close(first);
  CHECK(is_served(second));
  close(second);
  CHECK_EVENTUALLY(atomic_load(&server.http->acceptor.open) == 0);
  atomic_store(&waits, 0);
  for (int i = 0; i < 10; i++) {
    int fd = wire_connect(uk_http_address(server.http));
    CHECK(is_served(fd));
    close(fd);
    CHECK_EVENTUALLY(atomic_load(&server.http->acceptor.open) == 0);
  }
  CHECK(atomic_load(&waits) < 100);
  stop();
}

/* Starts with room for LIMIT connections, which the library treats so; `count` clients connect. */
static bool open_with_clients(int treatment, int count, int *clients)
{
  if (!start_on("127.0.0.1:0", 1))
    return false;
  server.http->acceptor.limit = LIMIT;
  atomic_store(&library, treatment);
  atomic_store(&ending_pauses, 0);
  atomic_store(&delayed_count, 0);
  atomic_store(&accepts, 0);
  atomic_store(&closed_count, 0);
  atomic_store(&long_waits, 0);
  if (!CHECK(uk_http_accept(server.http, message, sizeof message) == UK_OK))
    return false;
  for (int i = 0; i < count; i++) {
    clients[i] = wire_connect(uk_http_address(server.http));
    CHECK_EVENTUALLY(atomic_load(&accepts) == i + 1);
  }
  return true;
}

static void close_with_clients(const int *clients)
{
  for (int i = 0; i < LIMIT; i++)
    close(clients[i]);
  atomic_store(&library, STARTS);
  stop();
}

/* The library closed them without a word: their places are free after a while. */
static void connections_that_were_never_started_give_their_places_back(void)
{
  int lost[LIMIT];
  REQUIRE(open_with_clients(LOSES, LIMIT, lost));
  struct uk_acceptor *acceptor = &server.http->acceptor;
  CHECK_EVENTUALLY(atomic_load(&long_waits) == 1);
  atomic_store(&library, STARTS);
  int fd = wire_connect(uk_http_address(server.http));
  CHECK_EQ_INT(atomic_load(&acceptor->started), 0); /* it does not give up before the pause */
  atomic_store(&ending_pauses, 1);
  CHECK(is_served(fd));
  CHECK_EQ_INT(atomic_load(&long_waits), 1);
  close(fd);
  close_with_clients(lost);
}

/* The library says at once that it takes no more: they occupy no place. */
static void connections_that_are_refused_take_no_place(void)
{
  int refused[LIMIT];
  REQUIRE(open_with_clients(REFUSES, LIMIT, refused));
  int fd = wire_connect(uk_http_address(server.http));
  CHECK_EVENTUALLY(atomic_load(&closed_count) == LIMIT + 1);
  close(fd);
  atomic_store(&library, STARTS);
  fd = wire_connect(uk_http_address(server.http));
  CHECK(is_served(fd));
  CHECK_EQ_INT(atomic_load(&long_waits), 0);
  close(fd);
  close_with_clients(refused);
}

/* What the library starts within the pause shows that it starts the rest, too. */
static void connections_that_are_started_slowly_keep_their_places(void)
{
  int slow[LIMIT];
  REQUIRE(open_with_clients(DELAYS, LIMIT, slow));
  struct uk_acceptor *acceptor = &server.http->acceptor;
  CHECK_EVENTUALLY(atomic_load(&long_waits) == 1);
  int fd = wire_connect(uk_http_address(server.http));
  start_delayed(0);
  CHECK_EVENTUALLY(atomic_load(&acceptor->started) == 1);
  atomic_store(&library, STARTS);
  atomic_store(&ending_pauses, 1);
  CHECK_EVENTUALLY(atomic_load(&long_waits) == 2);
  CHECK_EQ_INT(atomic_load(&accepts), LIMIT);
  start_delayed(1);
  CHECK(is_served(slow[0]) && is_served(slow[1]));
  CHECK_EQ_INT(atomic_load(&accepts), LIMIT);
  close(slow[0]);
  CHECK(is_served(fd));
  slow[0] = fd;
  close_with_clients(slow);
}

/* A pause for want of descriptors says nothing about the library. */
static void connections_keep_their_places_while_descriptors_are_short(void)
{
  int fds[LIMIT + 1];
  REQUIRE(open_with_clients(DELAYS, 1, fds));
  atomic_store(&short_waits, 0);
  atomic_store(&accept_error, EMFILE);
  for (int i = 1; i <= LIMIT; i++) {
    fds[i] = wire_connect(uk_http_address(server.http));
    CHECK_EVENTUALLY(wire_waiting(server.http->listeners.sockets[0]) == (unsigned)i);
  }
  CHECK_EVENTUALLY(atomic_load(&short_waits) >= 2);
  atomic_store(&accept_error, 0);
  CHECK_EVENTUALLY(atomic_load(&long_waits) == 1);
  CHECK_EQ_INT(atomic_load(&accepts), LIMIT);
  atomic_store(&library, STARTS);
  for (int i = 0; i < LIMIT; i++) {
    start_delayed(i);
    CHECK(is_served(fds[i]));
    close(fds[i]);
  }
  CHECK(is_served(fds[LIMIT]));
  close(fds[LIMIT]);
  stop();
}

/* Connections that were given up, and are started after all, count as open and nothing else. */
static void connections_may_start_after_they_were_given_up(void)
{
  int late[LIMIT];
  REQUIRE(open_with_clients(DELAYS, LIMIT, late));
  struct uk_acceptor *acceptor = &server.http->acceptor;
  CHECK_EVENTUALLY(atomic_load(&long_waits) == 1);
  atomic_store(&library, STARTS);
  atomic_store(&ending_pauses, 1);
  int fd = wire_connect(uk_http_address(server.http));
  CHECK(is_served(fd));
  for (int i = 0; i < LIMIT; i++) {
    start_delayed(i);
    CHECK(is_served(late[i]));
    close(late[i]);
    CHECK_EVENTUALLY(atomic_load(&acceptor->open) == 1);
  }
  late[0] = wire_connect(uk_http_address(server.http));
  CHECK(is_served(late[0]));
  CHECK_EVENTUALLY(!atomic_load(&listens));
  close(late[0]);
  CHECK_EVENTUALLY(atomic_load(&listens));
  CHECK_EQ_INT(atomic_load(&acceptor->open), 1);
  atomic_store(&library, DELAYS); /* the next one takes the last place before it is started */
  atomic_store(&delayed_count, 0);
  atomic_store(&accepts, 0);
  atomic_store(&long_waits, 0);
  late[0] = wire_connect(uk_http_address(server.http));
  CHECK_EVENTUALLY(atomic_load(&accepts) == 1);
  late[1] = wire_connect(uk_http_address(server.http));
  CHECK_EVENTUALLY(atomic_load(&long_waits) == 1);
  CHECK_EQ_INT(atomic_load(&accepts), 1);
  atomic_store(&library, STARTS);
  start_delayed(0);
  CHECK(is_served(late[0]));
  close(fd);
  CHECK(is_served(late[1]));
  close_with_clients(late);
}

static int count_tasks(void)
{
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *task; (task = readdir(tasks)) != NULL;)
    count += task->d_name[0] != '.';
  closedir(tasks);
  return count;
}

/* As many more connections as docs/server.md says are told that there are too many. */
static void its_thread_ends_with_the_server(void)
{
  REQUIRE(start_on("127.0.0.1:0", 1));
  CHECK_EQ_INT(server.http->acceptor.limit, 100 + 64);
  CHECK((fcntl(server.http->acceptor.wake, F_GETFD) & FD_CLOEXEC) != 0);
  int others = count_tasks();
  REQUIRE(uk_http_accept(server.http, message, sizeof message) == UK_OK);
  CHECK_EQ_INT(count_tasks(), others + 1);
  stop();
  CHECK_EVENTUALLY(count_tasks() <= others - 2); /* the library's, and the one for hang-ups */
}

int main(void)
{
  CHECK_RUN(its_thread_ends_with_the_server);
  CHECK_RUN(C5_every_address_is_served);
  CHECK_RUN(C5_a_unix_socket_is_served);
  CHECK_RUN(nothing_is_accepted_before_the_server_is_ready);
  CHECK_RUN(a_server_that_never_accepted_stops);
  CHECK_RUN(a_server_stops_although_a_connection_was_never_started);
  CHECK_RUN(connections_above_the_limit_wait);
  CHECK_RUN(a_connection_waits_for_a_descriptor);
  CHECK_RUN(a_connection_that_has_gone_is_skipped);
  CHECK_RUN(each_address_has_its_turn);
  CHECK_RUN(sleeps_after_it_was_woken);
  CHECK_RUN(connections_that_were_never_started_give_their_places_back);
  CHECK_RUN(connections_that_are_refused_take_no_place);
  CHECK_RUN(connections_that_are_started_slowly_keep_their_places);
  CHECK_RUN(connections_keep_their_places_while_descriptors_are_short);
  CHECK_RUN(connections_may_start_after_they_were_given_up);
  return check_end();
}
