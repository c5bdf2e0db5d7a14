/* for: client_address.c, http_headers.c
 *
 * The address that limits count a request by: that of the connection, or what a trusted proxy says.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "http_rig.h"
#include "server/http/http_private.h"
#include "server/request/client_address.h"
#include "wire.h"

#define GET "GET /topics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ZnVsbDpw\r\n" /* full:p */

static char message[200];

static struct uk_client_address read_address(const char *text)
{
  struct uk_client_address address = {0};
  if (!CHECK(uk_client_address_read(&address, uk_slice_text(text))))
    fprintf(stderr, "  %s\n", text);
  return address;
}

static const char *written(struct uk_client_address address)
{
  static char text[UK_CLIENT_ADDRESS_SIZE];
  uk_client_address_write(&address, text);
  return text;
}

static void e6_reads_addresses(void)
{
  static const struct {
    const char *text, *address;
  } cases[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"192.0.2.1:1", "192.0.2.1"},
    {"192.0.2.1:65535", "192.0.2.1"},
    {"::", "::"},
    {"::1", "::1"},
    {"2001:db8::7", "2001:db8::7"},
    {"2001:DB8:0::0007", "2001:db8::7"},
    {"[2001:db8::7]", "2001:db8::7"},
    {"[2001:db8::7]:443", "2001:db8::7"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"[::ffff:192.0.2.1]:443", "192.0.2.1"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    CHECK_EQ_STR(written(read_address(cases[i].text)), cases[i].address);
}

static void e6_refuses_what_is_no_address(void)
{
  static const char *const texts[] = {
    "",
    "unknown",
    "unix",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.1 ",
    "192.0.2.1:",
    "192.0.2.1:x",
    "192.0.2.1:1x",
    "192.0.2.1:123456",
    "[192.0.2.1]",
    "[::1",
    "[::1]443",
    "[::1]:",
    "[::1]x443",
    "[]",
    "[",
    ":",
    ":443",
    "::1:",
    "fe80::1%lo",
    "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
    "host.example",
  };
  const struct uk_client_address before = read_address("192.0.2.9");
  struct uk_client_address address = before;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    if (!CHECK(!uk_client_address_read(&address, uk_slice_text(texts[i]))))
      fprintf(stderr, "  %s\n", texts[i]);
  }
  CHECK(!uk_client_address_read(&address, uk_slice_of("192.0.2.1\0", 10)));
  CHECK(!uk_client_address_read(&address, uk_slice_of("192.0.2.\0001", 10)));
  CHECK(uk_client_address_read(&address, uk_slice_of("192.0.2.11", 9)));
  CHECK_EQ_STR(written(address), "192.0.2.1");
  address = before;
  CHECK(!uk_client_address_read(&address, uk_slice_text("x")));
  CHECK(uk_client_address_equals(&address, &before));
}

static void e6_takes_the_address_of_a_socket(void)
{
  const struct sockaddr_un local = {.sun_family = AF_UNIX};
  struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(443)};
  struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
  CHECK_EQ_INT(inet_pton(AF_INET, "192.0.2.1", &ipv4.sin_addr), 1);
  CHECK_EQ_INT(inet_pton(AF_INET6, "2001:db8::7", &ipv6.sin6_addr), 1);
  CHECK_EQ_STR(written(uk_client_address_of((const struct sockaddr *)&local)), "unix");
  CHECK_EQ_STR(written(uk_client_address_of((const struct sockaddr *)&ipv4)), "192.0.2.1");
  CHECK_EQ_STR(written(uk_client_address_of((const struct sockaddr *)&ipv6)), "2001:db8::7");
}

static void knows_what_is_local(void)
{
  static const struct {
    const char *text;
    bool local;
  } cases[] = {
    {"127.0.0.1", true},  {"127.255.255.255", true},
    {"126.0.0.1", false}, {"128.0.0.1", false},
    {"::1", true},        {"::2", false},
    {"::", false},        {"0.0.0.0", false},
    {"7f00::1", false},   {"::ffff:127.0.0.2", true},
    {"::7f00:1", false},
  };
  const struct uk_client_address socket = {0};
  CHECK(uk_client_address_is_local(&socket));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct uk_client_address address = read_address(cases[i].text);
    if (!CHECK_EQ_INT(uk_client_address_is_local(&address), cases[i].local))
      fprintf(stderr, "  %s\n", cases[i].text);
  }
}

static void counts_a_network_of_ipv6_as_one(void)
{
  static const struct {
    const char *text, *network;
  } cases[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
    {"2001:db8:1:2:ffff:4:5:6", "2001:db8:1:2::"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct uk_client_address address = read_address(cases[i].text);
    CHECK_EQ_STR(written(uk_client_address_network(&address)), cases[i].network);
  }
  const struct uk_client_address socket = {0}, network = uk_client_address_network(&socket);
  const struct uk_client_address zero = read_address("::");
  CHECK(uk_client_address_equals(&socket, &network));
  CHECK(!uk_client_address_equals(&socket, &zero));
}

static void e6_reads_proxies(void)
{
  static const char *const good[] = {"192.0.2.1", "2001:db8::7", "unix"};
  static const char *const bad[] = {"", "[::1]", "192.0.2.1:80", "10.0.0.0/8", "proxy", "Unix"};
  const char *many[UK_PROXIES_MAX + 1];
  struct uk_proxies proxies = {.count = 9};
  struct uk_client_address address = {0};
  REQUIRE(uk_proxies_read(&proxies, good, 3, message, sizeof message) == UK_OK);
  CHECK_EQ_INT(proxies.count, 3);
  CHECK(uk_proxies_hold(&proxies, &address));
  address = read_address("2001:db8::7");
  CHECK(uk_proxies_hold(&proxies, &address));
  address = read_address("2001:db8::8");
  CHECK(!uk_proxies_hold(&proxies, &address));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char expected[200];
    snprintf(expected, sizeof expected,
             "behind_proxy: an IPv4 or IPv6 address or \"unix\" expected, got \"%s\"", bad[i]);
    CHECK_EQ_INT(uk_proxies_read(&proxies, bad + i, 1, message, sizeof message), UK_E_BAD_REQUEST);
    CHECK_EQ_STR(message, expected);
  }
  for (size_t i = 0; i <= UK_PROXIES_MAX; i++)
    many[i] = "192.0.2.1";
  CHECK_EQ_INT(uk_proxies_read(&proxies, many, UK_PROXIES_MAX, message, sizeof message), UK_OK);
  CHECK_EQ_INT(uk_proxies_read(&proxies, many, UK_PROXIES_MAX + 1, message, sizeof message),
               UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "behind_proxy: at most 64 addresses expected, got 65");
}

static void e6_takes_the_last_element_of_a_trusted_proxy(void)
{
  static const char *const trusted[] = {"192.0.2.1", "unix"};
  static const struct {
    const char *peer, *forwarded, *client;
  } cases[] = {
    {"192.0.2.1", NULL, "192.0.2.1"},
    {"192.0.2.1", "", "192.0.2.1"},
    {"192.0.2.1", "203.0.113.7", "203.0.113.7"},
    {"192.0.2.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"},
    {"192.0.2.1", "198.51.100.1,203.0.113.7", "203.0.113.7"},
    {"192.0.2.1", " \t[2001:db8::7]:9 \t", "2001:db8::7"},
    {"192.0.2.1", "203.0.113.7, unknown", "192.0.2.1"},
    {"192.0.2.1", "203.0.113.7,", "192.0.2.1"},
    {"192.0.2.1", ",", "192.0.2.1"},
    {"192.0.2.2", "203.0.113.7", "192.0.2.2"},
    {"unix", "203.0.113.7", "203.0.113.7"},
    {"unix", "nonsense", "unix"},
  };
  struct uk_proxies proxies;
  const struct uk_proxies none = {.count = 0};
  REQUIRE(uk_proxies_read(&proxies, trusted, 2, message, sizeof message) == UK_OK);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_client_address peer = {0};
    struct uk_slice forwarded = {0};
    uk_client_address_read(&peer, uk_slice_text(cases[i].peer));
    if (cases[i].forwarded != NULL)
      forwarded = uk_slice_text(cases[i].forwarded);
    if (!CHECK_EQ_STR(written(uk_proxies_resolve(&proxies, &peer, forwarded)), cases[i].client))
      fprintf(stderr, "  case %zu\n", i);
    CHECK_EQ_STR(written(uk_proxies_resolve(&none, &peer, forwarded)), cases[i].peer);
  }
}

/* Requests on the wire. */

static struct http_rig rig;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct uk_client_address client; /* of the last request */

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  const struct uk_request *request = operation->operation.context;
  (void)engine;
  pthread_mutex_lock(&lock);
  client = request->client;
  pthread_mutex_unlock(&lock);
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods methods = {.name = "played", .topics = topics};

static const char *client_of(int fd, const char *headers)
{
  char request[400];
  snprintf(request, sizeof request, GET "%s\r\n", headers);
  wire_send(fd, request);
  wire_receive(fd, true);
  CHECK(wire_has_status(200));
  pthread_mutex_lock(&lock);
  const struct uk_client_address last = client;
  pthread_mutex_unlock(&lock);
  return written(last);
}

static void e6_a_request_comes_from_its_connection(void)
{
  CHECK(http_rig_open(&rig, &methods));
  int fd = wire_connect(uk_http_address(rig.server.http));
  CHECK_EQ_STR(client_of(fd, ""), "127.0.0.1");
  CHECK_EQ_STR(client_of(fd, "X-Forwarded-For: 203.0.113.7\r\n"), "127.0.0.1");
  CHECK(!atomic_load(&rig.server.http->unforwarded.raised));
  close(fd);
  http_rig_close(&rig);
}

/* Each request on a proxy's connection may be another client's. */
static void e6_a_request_comes_from_whom_the_proxy_names(void)
{
  static const char *const trusted = "127.0.0.1";
  CHECK(http_rig_open(&rig, &methods));
  struct uk_http *http = rig.server.http;
  CHECK_EQ_INT(uk_proxies_read(&http->proxies, &trusted, 1, message, sizeof message), UK_OK);
  int fd = wire_connect(uk_http_address(http));
  CHECK_EQ_STR(client_of(fd, "X-Forwarded-For: 203.0.113.7\r\n"), "203.0.113.7");
  CHECK_EQ_STR(client_of(fd, "x-forwarded-for: 203.0.113.7, 2001:db8::7 \r\n"), "2001:db8::7");
  CHECK_EQ_STR(client_of(fd, "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.8\r\n"),
               "203.0.113.8");
  CHECK(!atomic_load(&http->unforwarded.raised));
  CHECK_EQ_STR(client_of(fd, "Forwarded: for=203.0.113.7\r\n"), "127.0.0.1");
  CHECK(atomic_load(&http->unforwarded.raised));
  CHECK_EQ_STR(client_of(fd, "X-Forwarded-For: 203.0.113.9\r\n"), "203.0.113.9");
  CHECK(atomic_load(&http->unforwarded.raised));
  close(fd);
  http_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(e6_reads_addresses);
  CHECK_RUN(e6_refuses_what_is_no_address);
  CHECK_RUN(e6_takes_the_address_of_a_socket);
  CHECK_RUN(knows_what_is_local);
  CHECK_RUN(counts_a_network_of_ipv6_as_one);
  CHECK_RUN(e6_reads_proxies);
  CHECK_RUN(e6_takes_the_last_element_of_a_trusted_proxy);
  CHECK_RUN(e6_a_request_comes_from_its_connection);
  CHECK_RUN(e6_a_request_comes_from_whom_the_proxy_names);
  return check_end();
}
