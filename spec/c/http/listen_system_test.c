/* for: listen.c
 *
 * The system as it may be: names with several addresses, ports that others take, addresses that the
 * machine does not have. The test stands in its place. */
#include "server/http/listen.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static char message[400];
static struct uk_listeners listeners;

/* The resolver: gives the addresses below to every name, and knows no number. */

static const char *const *addresses;
static int address_count, questions, lists; /* lists: given and not freed */
static int flags[4];
static bool asked_for_any;

static struct addrinfo *make_address(const char *text, const char *port, struct addrinfo *next)
{
  struct addrinfo *made = calloc(1, sizeof *made + sizeof(struct sockaddr_in));
  if (made == NULL)
    abort();
  struct sockaddr_in *address = (struct sockaddr_in *)(void *)(made + 1);
  address->sin_family = AF_INET;
  address->sin_port = htons((uint16_t)atoi(port));
  inet_pton(AF_INET, text, &address->sin_addr);
  *made = (struct addrinfo){.ai_family = AF_INET,
                            .ai_socktype = SOCK_STREAM,
                            .ai_addr = (struct sockaddr *)address,
                            .ai_addrlen = sizeof *address,
                            .ai_next = next};
  return made;
}

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
  flags[questions++ % 4] = hints->ai_flags;
  asked_for_any = host == NULL;
  if (host != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0 && strspn(host, "0.127") == 0)
    return EAI_NONAME;
  *out = NULL;
  for (int i = address_count; i-- > 0;)
    *out = make_address(addresses[i], port, *out);
  lists++;
  return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
  lists--;
  while (list != NULL) {
    struct addrinfo *next = list->ai_next;
    free(list);
    list = next;
  }
}

/* The sockets. The C library declares their addresses as unions, and takes pointers for them. */

#pragma GCC diagnostic ignored "-Wpedantic"

static int binds, fail_from, fail_every, failure; /* fails the bind of these numbers, from 1 */
static bool has_name;
static int backlog;

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
  union {
    void *symbol;
    int (*call)(int, const struct sockaddr *, socklen_t);
  } system = {.symbol = dlsym(RTLD_NEXT, "bind")};
  binds++;
  if (fail_from > 0 && binds >= fail_from && (binds - fail_from) % fail_every == 0) {
    errno = failure;
    return -1;
  }
  return system.call(fd, address, length);
}

int listen(int fd, int count)
{
  union {
    void *symbol;
    int (*call)(int, int);
  } system = {.symbol = dlsym(RTLD_NEXT, "listen")};
  backlog = count;
  return system.call(fd, count);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
  union {
    void *symbol;
    int (*call)(int, struct sockaddr *, socklen_t *);
  } system = {.symbol = dlsym(RTLD_NEXT, "getsockname")};
  if (has_name)
    return system.call(fd, address, length);
  errno = ENOBUFS;
  return -1;
}

/* The cases. */

static void begin(const char *const *given, int count)
{
  addresses = given;
  address_count = count;
  questions = binds = fail_from = 0;
  fail_every = 1;
  has_name = true;
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

/* Nothing of the resolver's remains, and no socket of an attempt that failed. */
static enum uk_error try_to_listen(const char *text)
{
  int before = count_descriptors();
  enum uk_error error = uk_listen(&listeners, text, message, sizeof message);
  CHECK_EQ_INT(lists, 0);
  CHECK_EQ_INT(count_descriptors() - before, error == UK_OK ? listeners.count : 0);
  return error;
}

static const char *const two[] = {"127.0.0.1", "127.0.0.2"};

/* A number is not looked up: the resolver would be loaded, and may ask a server. */
static void asks_for_a_number_first(void)
{
  begin(two, 1);
  CHECK_EQ_INT(try_to_listen("127.0.0.1:0"), UK_OK);
  CHECK_EQ_INT(questions, 1);
  CHECK_EQ_INT(flags[0], AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV);
  CHECK_EQ_INT(backlog, 4096);
  uk_listen_close(&listeners);
  begin(two, 1);
  CHECK_EQ_INT(try_to_listen("name:0"), UK_OK);
  CHECK_EQ_INT(questions, 2);
  CHECK_EQ_INT(flags[1], AI_PASSIVE | AI_NUMERICSERV);
  uk_listen_close(&listeners);
  begin(two, 1);
  CHECK_EQ_INT(try_to_listen(":0"), UK_OK);
  CHECK(asked_for_any);
  uk_listen_close(&listeners);
}

static uint16_t port_of(int fd)
{
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  CHECK_EQ_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
  return ntohs(address.sin_port);
}

/* A hosts file may name an address twice. All sockets have the port of the first. */
static void listens_at_each_address_once(void)
{
  static const char *const names[] = {"127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"};
  char expected[32];
  begin(names, 4);
  REQUIRE(try_to_listen("name:0") == UK_OK);
  CHECK_EQ_INT(listeners.count, 2);
  CHECK_EQ_INT(port_of(listeners.sockets[0]), port_of(listeners.sockets[1]));
  snprintf(expected, sizeof expected, "127.0.0.1:%d", port_of(listeners.sockets[0]));
  CHECK_EQ_STR(listeners.address, expected);
  uk_listen_close(&listeners);
}

static void limits_the_number_of_addresses(void)
{
  static char texts[UK_LISTENERS_MAX + 1][16];
  static const char *many[UK_LISTENERS_MAX + 1];
  char expected[100];
  for (int i = 0; i <= UK_LISTENERS_MAX; i++) {
    snprintf(texts[i], sizeof texts[i], "127.0.0.%d", i + 1);
    many[i] = texts[i];
  }
  begin(many, UK_LISTENERS_MAX);
  REQUIRE(try_to_listen("name:0") == UK_OK);
  CHECK_EQ_INT(listeners.count, UK_LISTENERS_MAX);
  uk_listen_close(&listeners);
  begin(many, UK_LISTENERS_MAX + 1);
  CHECK_EQ_INT(try_to_listen("name:0"), UK_E_BAD_REQUEST);
  snprintf(expected, sizeof expected, "listen: name:0: 1 to %d addresses expected",
           UK_LISTENERS_MAX);
  CHECK_EQ_STR(message, expected);
  begin(many, 0);
  CHECK_EQ_INT(try_to_listen("name:0"), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, expected);
}

/* The port that the first address chose may be taken at the second: then another is chosen. */
static void tries_other_ports(void)
{
  begin(two, 2);
  fail_from = 2;
  fail_every = 1000;
  failure = EADDRINUSE;
  REQUIRE(try_to_listen("name:0") == UK_OK);
  CHECK_EQ_INT(binds, 4);
  CHECK_EQ_INT(listeners.count, 2);
  uk_listen_close(&listeners);
  begin(two, 2);
  fail_from = fail_every = 2;
  CHECK_EQ_INT(try_to_listen("name:0"), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(binds, 2 * 16);
  CHECK_EQ_STR(message, "listen: name:0: Address already in use");
  begin(two, 2);
  fail_from = 1;
  CHECK_EQ_INT(try_to_listen("name:65535"), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(binds, 1);
  CHECK_EQ_STR(message, "listen: name:65535: Address already in use");
  begin(two, 2);
  fail_from = 1;
  failure = EACCES;
  CHECK_EQ_INT(try_to_listen("name:0"), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(binds, 1);
  CHECK_EQ_STR(message, "listen: name:0: Permission denied");
}

/* A name may have an address of a family that the machine does not have, but one must be there. */
static void leaves_out_missing_addresses(void)
{
  static const int missing[] = {EADDRNOTAVAIL, EAFNOSUPPORT};
  for (int i = 0; i < 4; i++) {
    begin(two, 2);
    failure = missing[i / 2];
    fail_from = 1 + i % 2;
    fail_every = 1000;
    REQUIRE(try_to_listen("name:0") == UK_OK);
    CHECK_EQ_INT(listeners.count, 1);
    CHECK(strncmp(listeners.address, i % 2 == 0 ? "127.0.0.2:" : "127.0.0.1:", 10) == 0);
    uk_listen_close(&listeners);
  }
  begin(two, 2);
  failure = EADDRNOTAVAIL;
  fail_from = 1;
  CHECK_EQ_INT(try_to_listen("name:0"), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "listen: name:0: Cannot assign requested address");
}

static void closes_a_socket_without_a_name(void)
{
  begin(two, 2);
  has_name = false;
  CHECK_EQ_INT(try_to_listen("name:0"), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "listen: name:0: No buffer space available");
}

int main(void)
{
  CHECK_RUN(asks_for_a_number_first);
  CHECK_RUN(listens_at_each_address_once);
  CHECK_RUN(limits_the_number_of_addresses);
  CHECK_RUN(tries_other_ports);
  CHECK_RUN(leaves_out_missing_addresses);
  CHECK_RUN(closes_a_socket_without_a_name);
  return check_end();
}
