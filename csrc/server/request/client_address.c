#include "server/request/client_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { IPV4_OFFSET = 12, NETWORK_BYTES = 8, ADDRESS_SHOWN = 64 };

static const char unix_word[] = "unix";
static const unsigned char ipv4_prefix[IPV4_OFFSET] = {[10] = 0xff, [11] = 0xff};

static struct uk_client_address of_ipv4(const struct in_addr *ipv4)
{
  struct uk_client_address address = {.internet = true};
  memcpy(address.bytes, ipv4_prefix, sizeof ipv4_prefix);
  memcpy(address.bytes + IPV4_OFFSET, ipv4, sizeof *ipv4);
  return address;
}

static struct uk_client_address of_ipv6(const struct in6_addr *ipv6)
{
  struct uk_client_address address = {.internet = true};
  memcpy(address.bytes, ipv6, sizeof address.bytes);
  return address;
}

struct uk_client_address uk_client_address_of(const struct sockaddr *peer)
{
  struct sockaddr_in ipv4;
  struct sockaddr_in6 ipv6;
  if (peer->sa_family == AF_INET) {
    memcpy(&ipv4, peer, sizeof ipv4);
    return of_ipv4(&ipv4.sin_addr);
  }
  if (peer->sa_family == AF_INET6) {
    memcpy(&ipv6, peer, sizeof ipv6);
    return of_ipv6(&ipv6.sin6_addr);
  }
  return (struct uk_client_address){0};
}

static bool is_port(struct uk_slice text)
{
  enum { DIGITS_MAX = 5 };
  for (size_t i = 0; i < text.length; i++) {
    if (text.data[i] < '0' || text.data[i] > '9')
      return false;
  }
  return text.length > 0 && text.length <= DIGITS_MAX;
}

/* Splits "[HOST]", "[HOST]:PORT" and "HOST:PORT"; an IPv6 address without brackets has no port.
 * False if what follows the host is no port. */
static bool take_host(struct uk_slice *host, struct uk_slice text)
{
  const bool bracketed = text.length > 0 && text.data[0] == '[';
  const size_t from = bracketed ? 1 : 0;
  const char *end = memchr(text.data, bracketed ? ']' : ':', text.length);
  if (bracketed && end == NULL)
    return false;
  *host = text;
  if (end == NULL)
    return true;
  struct uk_slice rest =
    uk_slice_of(end + from, text.length - (size_t)(end - text.data) - from); /* ":PORT" or "" */
  if (!bracketed && memchr(rest.data + 1, ':', rest.length - 1) != NULL)
    return true;
  *host = uk_slice_of(text.data + from, (size_t)(end - text.data) - from);
  return rest.length == 0 ||
         (rest.data[0] == ':' && is_port(uk_slice_of(rest.data + 1, rest.length - 1)));
}

bool uk_client_address_read(struct uk_client_address *address, struct uk_slice text)
{
  char host[UK_CLIENT_ADDRESS_SIZE];
  struct uk_slice part;
  struct in_addr ipv4;
  struct in6_addr ipv6;
  if (text.length == 0 || !take_host(&part, text) || part.length >= sizeof host ||
      memchr(part.data, '\0', part.length) != NULL)
    return false;
  memcpy(host, part.data, part.length);
  host[part.length] = '\0';
  if (text.data[0] != '[' && inet_pton(AF_INET, host, &ipv4) == 1)
    *address = of_ipv4(&ipv4);
  else if (inet_pton(AF_INET6, host, &ipv6) == 1)
    *address = of_ipv6(&ipv6);
  else
    return false;
  return true;
}

static bool is_ipv4(const struct uk_client_address *address)
{
  return address->internet && memcmp(address->bytes, ipv4_prefix, sizeof ipv4_prefix) == 0;
}

void uk_client_address_write(const struct uk_client_address *address,
                             char text[UK_CLIENT_ADDRESS_SIZE])
{
  const bool ipv4 = is_ipv4(address);
  if (!address->internet)
    memcpy(text, unix_word, sizeof unix_word);
  else
    inet_ntop(ipv4 ? AF_INET : AF_INET6, address->bytes + (ipv4 ? IPV4_OFFSET : 0), text,
              UK_CLIENT_ADDRESS_SIZE);
}

bool uk_client_address_equals(const struct uk_client_address *a, const struct uk_client_address *b)
{
  return a->internet == b->internet && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool uk_client_address_is_local(const struct uk_client_address *address)
{
  static const unsigned char loopback[sizeof address->bytes] = {[15] = 1};
  enum { LOOPBACK_NETWORK = 127 };
  return !address->internet ||
         (is_ipv4(address) && address->bytes[IPV4_OFFSET] == LOOPBACK_NETWORK) ||
         memcmp(address->bytes, loopback, sizeof loopback) == 0;
}

struct uk_client_address uk_client_address_network(const struct uk_client_address *address)
{
  struct uk_client_address network = *address;
  if (!is_ipv4(address))
    memset(network.bytes + NETWORK_BYTES, 0, sizeof network.bytes - NETWORK_BYTES);
  return network;
}

/* Proxies. */

static bool read_proxy(struct uk_client_address *proxy, const char *text)
{
  char host[INET6_ADDRSTRLEN];
  const bool ipv6 = inet_pton(AF_INET6, text, host) == 1;
  if (strcmp(text, unix_word) == 0) {
    *proxy = (struct uk_client_address){0};
    return true;
  }
  return (ipv6 || inet_pton(AF_INET, text, host) == 1) &&
         uk_client_address_read(proxy, uk_slice_text(text));
}

enum uk_error uk_proxies_read(struct uk_proxies *proxies, const char *const *texts, size_t count,
                              char *message, size_t size)
{
  if (count > UK_PROXIES_MAX) {
    snprintf(message, size, "behind_proxy: at most %d addresses expected, got %zu", UK_PROXIES_MAX,
             count);
    return UK_E_BAD_REQUEST;
  }
  for (proxies->count = 0; proxies->count < count; proxies->count++) {
    const char *text = texts[proxies->count];
    if (read_proxy(&proxies->each[proxies->count], text))
      continue;
    snprintf(message, size,
             "behind_proxy: an IPv4 or IPv6 address or \"unix\" expected, got "
             "\"%.*s\"",
             ADDRESS_SHOWN, text);
    return UK_E_BAD_REQUEST;
  }
  return UK_OK;
}

bool uk_proxies_hold(const struct uk_proxies *proxies, const struct uk_client_address *address)
{
  for (size_t i = 0; i < proxies->count; i++) {
    if (uk_client_address_equals(&proxies->each[i], address))
      return true;
  }
  return false;
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t';
}

/* The text after the last comma, without white space around it. */
static struct uk_slice last_element(struct uk_slice list)
{
  const char *comma = list.length > 0 ? memrchr(list.data, ',', list.length) : NULL;
  const size_t before = comma != NULL ? (size_t)(comma + 1 - list.data) : 0;
  struct uk_slice last = {list.data + before, list.length - before};
  while (last.length > 0 && is_blank(last.data[last.length - 1]))
    last.length--;
  for (; last.length > 0 && is_blank(last.data[0]); last.length--)
    last.data++;
  return last;
}

struct uk_client_address uk_proxies_resolve(const struct uk_proxies *proxies,
                                            const struct uk_client_address *peer,
                                            struct uk_slice forwarded)
{
  struct uk_client_address address = *peer;
  if (forwarded.data != NULL && uk_proxies_hold(proxies, peer))
    uk_client_address_read(&address, last_element(forwarded));
  return address;
}
