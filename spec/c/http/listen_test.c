/* for: listen.c */
#include "server/http/listen.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static char message[400];

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
    "",          "8080",   ":8080",       "localhost",     "localhost:", "a:b:80",
    "::1:80",    "[::1]",  "[]:80",       "[::1:80",       "::1]:80",    "127.0.0.1:-1",
    "a:65536",   "a:80x",  "a: 80",       "a:0x50",        "a:000080",   "a:99999999999",
    "http://a:", "[::1]:", "[::1]:65536", "127.0.0.1:80 ",
  };
  int before = count_descriptors();
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char expected[200];
    struct uk_listener listener = {0};
    CHECK_EQ_INT(uk_listen(&listener, wrong[i], message, sizeof message), UK_E_BAD_REQUEST);
    snprintf(expected, sizeof expected, "listen: HOST:PORT or [IPv6]:PORT expected, got \"%s\"",
             wrong[i]);
    CHECK_EQ_STR(message, expected);
  }
  CHECK_EQ_INT(count_descriptors(), before);
}

/* Port 65535 is valid, whether it is free or not. */
static void accepts_the_last_port(void)
{
  struct uk_listener listener = {0};
  enum uk_error error = uk_listen(&listener, "127.0.0.1:65535", message, sizeof message);
  CHECK(error == UK_OK || error == UK_E_UNAVAILABLE);
  if (error == UK_OK)
    close(listener.socket);
}

/* A host name of up to 255 bytes is looked up. */
static void accepts_names_up_to_the_limit(void)
{
  char text[300];
  struct uk_listener listener = {0};
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
  struct uk_listener listener = {0};
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
    struct uk_listener listener = {0};
    enum uk_error error = uk_listen(&listener, cases[i].text, message, sizeof message);
    if (error == UK_E_UNAVAILABLE && cases[i].ipv6)
      continue; /* a system without IPv6 */
    if (!CHECK_EQ_INT(error, UK_OK))
      continue;
    size_t length = strlen(cases[i].host);
    CHECK(strncmp(listener.address, cases[i].host, length) == 0);
    CHECK(atoi(listener.address + length) > 0);
    CHECK_EQ_INT(listener.ipv6, cases[i].ipv6);
    CHECK((fcntl(listener.socket, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(listener.socket, F_GETFL) & O_NONBLOCK) != 0);
    close(listener.socket);
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
  struct uk_listener first = {0}, second = {0};
  char expected[200];
  REQUIRE(uk_listen(&first, "127.0.0.1:0", message, sizeof message) == UK_OK);
  int before = count_descriptors();
  CHECK_EQ_INT(uk_listen(&second, first.address, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(expected, sizeof expected, "listen: %s: Address already in use", first.address);
  CHECK_EQ_STR(message, expected);
  CHECK_EQ_INT(count_descriptors(), before);
  close(first.socket);
}

/* A restarted server gets its port although connections of the previous run are in TIME_WAIT. */
static void accepts_a_port_with_lingering_connections(void)
{
  struct uk_listener first = {0}, second = {0};
  char byte;
  REQUIRE(uk_listen(&first, "127.0.0.1:0", message, sizeof message) == UK_OK);
  int client = connect_to(first.address);
  int served = accept(first.socket, NULL, NULL);
  shutdown(served, SHUT_WR); /* the side that closes first enters TIME_WAIT */
  CHECK_EQ_INT(recv(client, &byte, 1, 0), 0);
  close(client);
  CHECK_EQ_INT(recv(served, &byte, 1, 0), 0);
  close(served);
  close(first.socket);
  if (!CHECK_EQ_INT(uk_listen(&second, first.address, message, sizeof message), UK_OK))
    fprintf(stderr, "  %s\n", message);
  close(second.socket);
}

int main(void)
{
  CHECK_RUN(refuses_invalid_addresses);
  CHECK_RUN(accepts_the_last_port);
  CHECK_RUN(accepts_names_up_to_the_limit);
  CHECK_RUN(reports_why_a_name_has_no_address);
  CHECK_RUN(opens_valid_addresses);
  CHECK_RUN(leaks_no_descriptor_if_the_port_is_in_use);
  CHECK_RUN(accepts_a_port_with_lingering_connections);
  return check_end();
}
