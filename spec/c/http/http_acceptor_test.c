/* for: http_acceptor.c, http.c */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "server/api/server_state.h"
#include "server/http/http_private.h"
#include "wire.h"

enum { LIMIT = 2 };
#define GET_ROOT "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static struct uk_server server;
static char message[512];

/* Takes the addresses; nothing is accepted yet. */
static bool start_on(const char *listen, unsigned threads)
{
  const struct uk_http_options options = {.server = &server,
                                          .listen = listen,
                                          .threads = threads,
                                          .max_connections = 100,
                                          .max_header_bytes = UK_HEADER_BYTES,
                                          .max_body_bytes = 1024};
  server = (struct uk_server){.credentials = uk_credentials_new()};
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
  uk_credentials_free(server.credentials);
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
  char byte;
  stop();
  CHECK(recv(fd, &byte, 1, 0) <= 0); /* reset: the kernel had accepted it */
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
  for (int i = 0; i < LIMIT + 2; i++)
    fds[i] = wire_connect(uk_http_address(server.http));
  CHECK_EVENTUALLY(atomic_load(&acceptor->full));
  for (int i = 0; i < LIMIT + 2; i++) {
    CHECK(is_served(fds[i]));
    CHECK_EQ_INT(atomic_load(&acceptor->open), i < 2 ? LIMIT : LIMIT + 2 - i);
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

enum { FILES = 64 };

/* Opens files until there are no descriptors left; returns how many. */
static int fill_descriptors(int files[FILES])
{
  int count = 0;
  while (count < FILES && (files[count] = dup(STDIN_FILENO)) >= 0)
    count++;
  return count;
}

static void a_connection_waits_for_a_descriptor(void)
{
  const char *preload = getenv("LD_PRELOAD");
  if (preload != NULL && strstr(preload, "vgpreload") != NULL)
    CHECK_SKIP("valgrind accepts a connection, and closes it, when the limit is reached");
  struct rlimit limit;
  int before;
  char text[512];
  REQUIRE(accept_on("127.0.0.1:0", 1) && getrlimit(RLIMIT_NOFILE, &limit) == 0);
  struct uk_acceptor *acceptor = &server.http->acceptor;
  const struct rlimit few = {.rlim_cur = FILES, .rlim_max = limit.rlim_max};
  int files[FILES];
  const int waiting = socket(AF_INET, SOCK_STREAM, 0);
  const int log = begin_capture(&before);
  struct sockaddr_in to;
  socklen_t length = sizeof to;
  CHECK(getsockname(server.http->listeners.sockets[0], (struct sockaddr *)&to, &length) == 0);
  setrlimit(RLIMIT_NOFILE, &few);
  const int count = fill_descriptors(files);
  CHECK(connect(waiting, (struct sockaddr *)&to, length) == 0);
  CHECK_EVENTUALLY(atomic_load(&acceptor->alarm.raised));
  for (int i = 0; i < count; i++)
    close(files[i]);
  CHECK(is_served(waiting));
  end_capture(before, log, text, sizeof text);
  CHECK_EQ_STR(text, "upstash-kafka: no connection can be accepted: Too many open files; clients "
                     "wait\nupstash-kafka: connections are accepted again\n");
  close(waiting);
  stop();
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
  CHECK_RUN(C5_every_address_is_served);
  CHECK_RUN(C5_a_unix_socket_is_served);
  CHECK_RUN(nothing_is_accepted_before_the_server_is_ready);
  CHECK_RUN(a_server_that_never_accepted_stops);
  CHECK_RUN(connections_above_the_limit_wait);
  CHECK_RUN(a_connection_waits_for_a_descriptor);
  return check_end();
}
