/* for: listen.c */
#include "server/http/listen.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "wire.h"

static char message[400];

/* The resolver: it finds these addresses while `finds_three` is set. */

enum { THREE = 3 };
static bool finds_three;
static struct sockaddr_in three[THREE];
static struct addrinfo found_three[THREE];

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
  union {
    void *symbol;
    int (*resolve)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  } own = {.symbol = dlsym(RTLD_NEXT, "getaddrinfo")};
  if (!finds_three)
    return own.resolve(name, service, hints, found);
  for (int i = 0; i < THREE; i++) {
    three[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (in_addr_t)i)};
    found_three[i] = (struct addrinfo){.ai_family = AF_INET,
                                       .ai_addr = (struct sockaddr *)&three[i],
                                       .ai_addrlen = sizeof three[i],
                                       .ai_next = i + 1 < THREE ? &found_three[i + 1] : NULL};
  }
  *found = found_three;
  return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
  union {
    void *symbol;
    void (*free_all)(struct addrinfo *);
  } own = {.symbol = dlsym(RTLD_NEXT, "freeaddrinfo")};
  if (found != found_three)
    own.free_all(found);
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

static void refuses_invalid_addresses(void)
{
  static const char *const wrong[] = {
    "",          "8080",   ":",           "localhost",     "localhost:", "a:b:80",
    "::1:80",    "[::1]",  "[]:80",       "[::1:80",       "::1]:80",    "127.0.0.1:-1",
    "a:65536",   "a:80x",  "a: 80",       "a:0x50",        "a:000080",   "a:99999999999",
    "http://a:", "[::1]:", "[::1]:65536", "127.0.0.1:80 ",
  };
  int before = count_descriptors();
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char expected[200];
    struct uk_listeners listener = {0};
    CHECK_EQ_INT(uk_listen(&listener, wrong[i], message, sizeof message), UK_E_BAD_REQUEST);
    snprintf(expected, sizeof expected,
             "listen: HOST:PORT, [IPv6]:PORT, :PORT or unix:PATH expected, got \"%s\"", wrong[i]);
    CHECK_EQ_STR(message, expected);
  }
  CHECK_EQ_INT(count_descriptors(), before);
}

/* Port 65535 is valid, whether it is free or not. */
static void accepts_the_last_port(void)
{
  struct uk_listeners listener = {0};
  enum uk_error error = uk_listen(&listener, "127.0.0.1:65535", message, sizeof message);
  CHECK(error == UK_OK || error == UK_E_UNAVAILABLE);
  if (error == UK_OK)
    uk_listen_close(&listener);
}

/* A host name of up to 255 bytes is looked up. */
static void accepts_names_up_to_the_limit(void)
{
  char text[300];
  struct uk_listeners listener = {0};
  for (size_t length = 255; length <= 256; length++) {
    memset(text, '!', length); /* valid in no name, so that no name server is asked */
    strcpy(text + length, ":80");
    CHECK_EQ_INT(uk_listen(&listener, text, message, sizeof message), UK_E_BAD_REQUEST);
    CHECK_EQ_INT(strstr(message, "expected, got") != NULL, length == 256);
  }
}

/* The message says what the resolver says, in the resolver's words. */
static void reports_why_a_name_has_no_address(void)
{
  static const int reasons[] = {EAI_NONAME, EAI_AGAIN, EAI_FAIL};
  struct uk_listeners listener = {0};
  bool found = false;
  CHECK_EQ_INT(uk_listen(&listener, "!:80", message, sizeof message), UK_E_BAD_REQUEST);
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    char expected[200];
    snprintf(expected, sizeof expected, "listen: !:80: %s", gai_strerror(reasons[i]));
    found = found || strcmp(message, expected) == 0;
  }
  if (!CHECK(found))
    fprintf(stderr, "  %s\n", message);
}

static void opens_valid_addresses(void)
{
  static const struct {
    const char *text, *host;
    bool ipv6;
  } cases[] = {{"127.0.0.1:0", "127.0.0.1:", false},
               {"127.0.0.1:00000", "127.0.0.1:", false},
               {"0.0.0.0:0", "0.0.0.0:", false},
               {"[::1]:0", "[::1]:", true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_listeners listener = {0};
    enum uk_error error = uk_listen(&listener, cases[i].text, message, sizeof message);
    if (error == UK_E_UNAVAILABLE && cases[i].ipv6)
      continue; /* a system without IPv6 */
    if (!CHECK_EQ_INT(error, UK_OK))
      continue;
    size_t length = strlen(cases[i].host);
    CHECK(strncmp(listener.address, cases[i].host, length) == 0);
    CHECK(atoi(listener.address + length) > 0);
    CHECK_EQ_INT(listener.count, 1);
    CHECK((fcntl(listener.sockets[0], F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(listener.sockets[0], F_GETFL) & O_NONBLOCK) != 0);
    uk_listen_close(&listener);
  }
}

static int connect_to(const char *address)
{
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
  return fd;
}

static void leaks_no_descriptor_if_the_port_is_in_use(void)
{
  struct uk_listeners first = {0}, second = {0};
  char expected[200];
  REQUIRE(uk_listen(&first, "127.0.0.1:0", message, sizeof message) == UK_OK);
  int before = count_descriptors();
  CHECK_EQ_INT(uk_listen(&second, first.address, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(expected, sizeof expected, "listen: %s: Address already in use", first.address);
  CHECK_EQ_STR(message, expected);
  CHECK_EQ_INT(count_descriptors(), before);
  uk_listen_close(&first);
}

/* A restarted server gets its port although connections of the previous run are in TIME_WAIT. */
static void accepts_a_port_with_lingering_connections(void)
{
  struct uk_listeners first = {0}, second = {0};
  char byte;
  REQUIRE(uk_listen(&first, "127.0.0.1:0", message, sizeof message) == UK_OK);
  int client = connect_to(first.address);
  int served = accept(first.sockets[0], NULL, NULL);
  shutdown(served, SHUT_WR); /* the side that closes first enters TIME_WAIT */
  CHECK_EQ_INT(recv(client, &byte, 1, 0), 0);
  close(client);
  CHECK_EQ_INT(recv(served, &byte, 1, 0), 0);
  close(served);
  uk_listen_close(&first);
  if (!CHECK_EQ_INT(uk_listen(&second, first.address, message, sizeof message), UK_OK))
    fprintf(stderr, "  %s\n", message);
  uk_listen_close(&second);
}

static bool has_ipv6(void)
{
  struct uk_listeners listeners;
  bool has = uk_listen(&listeners, "[::1]:0", message, sizeof message) == UK_OK;
  uk_listen_close(&listeners);
  return has;
}

/* The family and the port of a listening socket. */
static int family_of(int listener, int *port)
{
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
  *port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                              : ((struct sockaddr_in *)&address)->sin_port);
  return address.ss_family;
}

static void check_families(const struct uk_listeners *listeners, const char *host)
{
  const int port = atoi(strrchr(listeners->address, ':') + 1);
  int first = 0, second = 0;
  char expected[UK_ADDRESS_SIZE];
  snprintf(expected, sizeof expected, "%s:%d", host, port);
  CHECK_EQ_STR(listeners->address, expected);
  CHECK_EQ_INT(family_of(listeners->sockets[0], &first), AF_INET);
  CHECK_EQ_INT(first, port);
  CHECK_EQ_INT(listeners->count, has_ipv6() ? 2 : 1);
  if (listeners->count == 2) {
    CHECK_EQ_INT(family_of(listeners->sockets[1], &second), AF_INET6);
    CHECK_EQ_INT(second, port);
  }
}

/* C5. The hosts file may have one address for localhost, or both. */
static void C5_a_name_is_served_at_every_address(void)
{
  struct uk_listeners listeners;
  struct addrinfo *found = NULL;
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  REQUIRE(getaddrinfo("localhost", "80", &hints, &found) == 0);
  bool both = false;
  for (struct addrinfo *at = found; at != NULL; at = at->ai_next)
    both = both || at->ai_family == AF_INET6;
  freeaddrinfo(found);
  if (!both)
    CHECK_SKIP("needs a hosts file with an IPv6 address for localhost");
  REQUIRE(uk_listen(&listeners, "localhost:0", message, sizeof message) == UK_OK);
  check_families(&listeners, "127.0.0.1");
  uk_listen_close(&listeners);
}

/* The first one chooses the port of all. */
static void C5_every_address_of_a_name_has_the_same_port(void)
{
  struct uk_listeners listeners;
  finds_three = true;
  CHECK_EQ_INT(uk_listen(&listeners, "three:0", message, sizeof message), UK_OK);
  finds_three = false;
  CHECK_EQ_INT(listeners.count, THREE);
  for (int i = 0; i < listeners.count; i++) {
    int port;
    CHECK_EQ_INT(family_of(listeners.sockets[i], &port), AF_INET);
    CHECK_EQ_INT(port, atoi(strrchr(listeners.address, ':') + 1));
  }
  uk_listen_close(&listeners);
}

static void C5_without_a_host_all_addresses_are_served(void)
{
  struct uk_listeners listeners;
  REQUIRE(uk_listen(&listeners, ":0", message, sizeof message) == UK_OK);
  check_families(&listeners, "0.0.0.0");
  uk_listen_close(&listeners);
  CHECK_EQ_INT(listeners.count, 0);
}

/* A port that is taken on one of the addresses is an error, not an address less. */
static void C5_a_port_in_use_on_one_address_is_refused(void)
{
  struct uk_listeners first, all;
  char text[UK_ADDRESS_SIZE], expected[200];
  REQUIRE(uk_listen(&first, "127.0.0.1:0", message, sizeof message) == UK_OK);
  snprintf(text, sizeof text, ":%s", strrchr(first.address, ':') + 1);
  int before = count_descriptors();
  CHECK_EQ_INT(uk_listen(&all, text, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(expected, sizeof expected, "listen: %s: Address already in use", text);
  CHECK_EQ_STR(message, expected);
  CHECK_EQ_INT(count_descriptors(), before);
  uk_listen_close(&first);
}

static char folder[] = "/tmp/listen-XXXXXX", path[64], text_of_path[80];

static int connect_to_path(void)
{
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
    return fd;
  close(fd);
  return -1;
}

static void C5_a_unix_socket(void)
{
  struct uk_listeners listeners, second;
  REQUIRE(uk_listen(&listeners, text_of_path, message, sizeof message) == UK_OK);
  CHECK_EQ_STR(listeners.address, text_of_path);
  CHECK_EQ_INT(listeners.count, 1);
  CHECK((fcntl(listeners.sockets[0], F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((fcntl(listeners.sockets[0], F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(listeners.file, F_GETFD) & FD_CLOEXEC) != 0);
  int client = connect_to_path();
  CHECK(client >= 0);
  close(client);
  int before = count_descriptors();
  char expected[200];
  CHECK_EQ_INT(uk_listen(&second, text_of_path, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(expected, sizeof expected, "listen: %s: Address already in use", text_of_path);
  CHECK_EQ_STR(message, expected);
  CHECK_EQ_INT(count_descriptors(), before);
  CHECK(access(path, F_OK) == 0);
  uk_listen_close(&listeners);
  CHECK(access(path, F_OK) != 0);
  CHECK_EQ_INT(count_descriptors(), before - 2); /* the socket and its file */
}

static void a_unix_socket_of_a_killed_server_is_replaced(void)
{
  struct uk_listeners killed, listeners;
  REQUIRE(uk_listen(&killed, text_of_path, message, sizeof message) == UK_OK);
  close(killed.sockets[0]);
  close(killed.file);
  REQUIRE(connect_to_path() < 0);
  CHECK_EQ_INT(uk_listen(&listeners, text_of_path, message, sizeof message), UK_OK);
  int client = connect_to_path();
  CHECK(client >= 0);
  close(client);
  uk_listen_close(&listeners);
}

/* A symbolic link in its place is not ours to remove, whatever it points to. */
static void a_link_to_the_own_unix_socket_is_kept(void)
{
  struct uk_listeners listeners;
  struct stat status;
  char other[80];
  REQUIRE(uk_listen(&listeners, text_of_path, message, sizeof message) == UK_OK);
  snprintf(other, sizeof other, "%s/other", folder);
  REQUIRE(rename(path, other) == 0 && symlink(other, path) == 0);
  uk_listen_close(&listeners);
  CHECK(lstat(path, &status) == 0 && S_ISLNK(status.st_mode));
  unlink(path);
  unlink(other);
}

/* A symbolic link is not ours to remove, whatever it points to. */
static void a_link_to_a_left_over_unix_socket_is_kept(void)
{
  struct uk_listeners killed, listeners;
  char other[80], expected[200];
  REQUIRE(uk_listen(&killed, text_of_path, message, sizeof message) == UK_OK);
  close(killed.sockets[0]);
  close(killed.file);
  snprintf(other, sizeof other, "%s/other", folder);
  REQUIRE(rename(path, other) == 0 && symlink(other, path) == 0);
  CHECK_EQ_INT(uk_listen(&listeners, text_of_path, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(expected, sizeof expected, "listen: %s: Address already in use", text_of_path);
  CHECK_EQ_STR(message, expected);
  CHECK(access(other, F_OK) == 0);
  CHECK_EQ_INT(unlink(path), 0);
  unlink(other);
}

static void the_unix_socket_of_another_server_is_kept(void)
{
  struct uk_listeners first, second;
  REQUIRE(uk_listen(&first, text_of_path, message, sizeof message) == UK_OK);
  unlink(path);
  REQUIRE(uk_listen(&second, text_of_path, message, sizeof message) == UK_OK);
  uk_listen_close(&first);
  CHECK(access(path, F_OK) == 0);
  uk_listen_close(&second);
  CHECK(access(path, F_OK) != 0);
}

/* A server whose queue is full does not accept a connection, but it lives. */
static void the_unix_socket_of_a_busy_server_is_kept(void)
{
  struct uk_listeners first, second;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char expected[200];
  int clients[3];
  memcpy(address.sun_path, path, strlen(path) + 1);
  REQUIRE(uk_listen(&first, text_of_path, message, sizeof message) == UK_OK);
  CHECK_EQ_INT(listen(first.sockets[0], 0), 0);
  for (int i = 0; i < 3; i++) {
    clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int failed = connect(clients[i], (struct sockaddr *)&address, sizeof address);
    CHECK(i < 2 || (failed != 0 && errno == EAGAIN));
  }
  CHECK_EQ_INT(uk_listen(&second, text_of_path, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(expected, sizeof expected, "listen: %s: Address already in use", text_of_path);
  CHECK_EQ_STR(message, expected);
  CHECK(access(path, F_OK) == 0);
  for (int i = 0; i < 3; i++)
    close(clients[i]);
  uk_listen_close(&first);
}

/* Closing again closes nothing: the numbers may belong to others by then. */
static void listeners_are_closed_once(void)
{
  struct uk_listeners listeners;
  REQUIRE(uk_listen(&listeners, text_of_path, message, sizeof message) == UK_OK);
  uk_listen_close(&listeners);
  int first = dup(STDIN_FILENO), second = dup(STDIN_FILENO);
  uk_listen_close(&listeners);
  CHECK(fcntl(first, F_GETFD) >= 0 && fcntl(second, F_GETFD) >= 0);
  close(first);
  close(second);
}

/* The descriptor of the socket is the last that the process may have. */
static void leaks_no_descriptor_where_they_are_short(void)
{
  struct uk_listeners listeners;
  struct rlimit limit, short_limit;
  int before = count_descriptors(), last = dup(STDIN_FILENO);
  close(last);
  getrlimit(RLIMIT_NOFILE, &limit);
  short_limit = (struct rlimit){.rlim_cur = (rlim_t)last + 1, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &short_limit);
  enum uk_error error = uk_listen(&listeners, text_of_path, message, sizeof message);
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK_EQ_INT(error, UK_E_UNAVAILABLE);
  CHECK(strstr(message, ": Too many open files") != NULL);
  CHECK_EQ_INT(count_descriptors(), before);
  unlink(path);
}

/* Alone, "::" stands for IPv4 too; beside an IPv4 address it must not take the port. */
static void an_ipv6_socket_alone_serves_ipv4_too(void)
{
  struct uk_listeners listeners;
  int only = -1;
  socklen_t length = sizeof only;
  FILE *file = fopen("/proc/sys/net/ipv6/bindv6only", "r");
  if (file == NULL || fgetc(file) != '0' ||
      uk_listen(&listeners, "[::]:0", message, sizeof message) != UK_OK)
    CHECK_SKIP("needs IPv6, where its sockets serve IPv4 too");
  fclose(file);
  CHECK_EQ_INT(getsockopt(listeners.sockets[0], IPPROTO_IPV6, IPV6_V6ONLY, &only, &length), 0);
  CHECK_EQ_INT(only, 0);
  uk_listen_close(&listeners);
}

static void a_file_that_is_no_socket_is_kept(void)
{
  struct uk_listeners listeners;
  int file = open(path, O_CREAT | O_WRONLY, 0600);
  CHECK(file >= 0);
  close(file);
  CHECK_EQ_INT(uk_listen(&listeners, text_of_path, message, sizeof message), UK_E_UNAVAILABLE);
  CHECK(access(path, F_OK) == 0);
  unlink(path);
}

static void the_path_of_a_unix_socket_has_a_limit(void)
{
  struct uk_listeners listeners;
  char text[5 + 108 + 1] = "unix:";
  CHECK_EQ_INT(uk_listen(&listeners, text, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "listen: unix:: a path of 1 to 107 bytes expected");
  memset(text + 5, 'x', 108);
  text[113] = '\0';
  CHECK_EQ_INT(uk_listen(&listeners, text, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK(strstr(message, "a path of 1 to 107 bytes expected") != NULL);
  REQUIRE(chdir(folder) == 0);
  text[112] = '\0';
  CHECK_EQ_INT(uk_listen(&listeners, text, message, sizeof message), UK_OK);
  CHECK_EQ_STR(listeners.address, text);
  uk_listen_close(&listeners);
}

static void says_why_a_unix_socket_cannot_be_made(void)
{
  struct uk_listeners listeners;
  CHECK_EQ_INT(uk_listen(&listeners, "unix:/proc/nowhere/at/all", message, sizeof message),
               UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "listen: unix:/proc/nowhere/at/all: No such file or directory");
}

/* Connections that wait stay; new ones do not begin. */
static void refuses_new_connections(void)
{
  struct uk_listeners listener;
  REQUIRE(uk_listen(&listener, "127.0.0.1:0", message, sizeof message) == UK_OK);
  int before = wire_connect_without_waiting(listener.address);
  CHECK_EVENTUALLY(wire_is_connected(before));
  uk_listen_refuse(&listener);
  int after = wire_connect_without_waiting(listener.address);
  int accepted = accept(listener.sockets[0], NULL, NULL);
  CHECK(accepted >= 0);
  CHECK_EQ_INT(send(before, "x", 1, 0), 1);
  char byte = 0;
  CHECK_EVENTUALLY(recv(accepted, &byte, 1, MSG_DONTWAIT) == 1);
  CHECK(!wire_is_connected(after));
  CHECK(accept(listener.sockets[0], NULL, NULL) < 0);
  uk_listen_close(&listener);
  close(before);
  close(after);
  close(accepted);
}

static void removes_a_unix_socket_when_it_refuses(void)
{
  char place[] = "/tmp/listen-XXXXXX", text[100];
  struct uk_listeners listener;
  REQUIRE(mkdtemp(place) != NULL);
  snprintf(text, sizeof text, "unix:%s/s", place);
  int descriptors = count_descriptors();
  REQUIRE(uk_listen(&listener, text, message, sizeof message) == UK_OK);
  CHECK(access(text + 5, F_OK) == 0);
  uk_listen_refuse(&listener);
  CHECK(access(text + 5, F_OK) != 0);
  CHECK_EQ_INT(listener.count, 1);
  uk_listen_close(&listener);
  CHECK_EQ_INT(count_descriptors(), descriptors);
  rmdir(place);
}

int main(void)
{
  if (mkdtemp(folder) == NULL)
    return 1;
  snprintf(path, sizeof path, "%s/socket", folder);
  snprintf(text_of_path, sizeof text_of_path, "unix:%s", path);
  CHECK_RUN(refuses_invalid_addresses);
  CHECK_RUN(accepts_the_last_port);
  CHECK_RUN(accepts_names_up_to_the_limit);
  CHECK_RUN(reports_why_a_name_has_no_address);
  CHECK_RUN(opens_valid_addresses);
  CHECK_RUN(leaks_no_descriptor_if_the_port_is_in_use);
  CHECK_RUN(accepts_a_port_with_lingering_connections);
  CHECK_RUN(C5_a_name_is_served_at_every_address);
  CHECK_RUN(C5_every_address_of_a_name_has_the_same_port);
  CHECK_RUN(C5_without_a_host_all_addresses_are_served);
  CHECK_RUN(C5_a_port_in_use_on_one_address_is_refused);
  CHECK_RUN(C5_a_unix_socket);
  CHECK_RUN(a_unix_socket_of_a_killed_server_is_replaced);
  CHECK_RUN(a_link_to_a_left_over_unix_socket_is_kept);
  CHECK_RUN(a_link_to_the_own_unix_socket_is_kept);
  CHECK_RUN(the_unix_socket_of_another_server_is_kept);
  CHECK_RUN(the_unix_socket_of_a_busy_server_is_kept);
  CHECK_RUN(listeners_are_closed_once);
  CHECK_RUN(leaks_no_descriptor_where_they_are_short);
  CHECK_RUN(an_ipv6_socket_alone_serves_ipv4_too);
  CHECK_RUN(a_file_that_is_no_socket_is_kept);
  CHECK_RUN(the_path_of_a_unix_socket_has_a_limit);
  CHECK_RUN(says_why_a_unix_socket_cannot_be_made);
  rmdir(folder);
  CHECK_RUN(refuses_new_connections);
  CHECK_RUN(removes_a_unix_socket_when_it_refuses);
  return check_end();
}
