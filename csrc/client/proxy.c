#include "client/proxy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Loopback. */

static bool is_loopback_ipv4(uint32_t address)
{
  return address == INADDR_ANY || address >> 24 == 127;
}

static bool is_loopback_ipv6(const char *text)
{
  struct in6_addr address;
  if (inet_pton(AF_INET6, text, &address) != 1)
    return false;
  uint32_t mapped;
  memcpy(&mapped, address.s6_addr + 12, sizeof mapped);
  return IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_UNSPECIFIED(&address) ||
         (IN6_IS_ADDR_V4MAPPED(&address) && is_loopback_ipv4(ntohl(mapped)));
}

static bool is_localhost(struct uk_slice host)
{
  static const char name[] = "localhost";
  const size_t length = sizeof name - 1;
  if (host.length < length || strncasecmp(host.data + host.length - length, name, length) != 0)
    return false;
  return host.length == length || host.data[host.length - length - 1] == '.';
}

bool uk_proxy_is_loopback(struct uk_slice host)
{
  char text[64];
  struct in_addr address;
  if (host.length > 0 && host.data[host.length - 1] == '.')
    host.length--;
  if (host.length == 0 || host.length >= sizeof text)
    return is_localhost(host);
  memcpy(text, host.data, host.length);
  text[host.length] = '\0';
  if (text[0] == '[') {
    text[host.length - 1] = '\0';
    return is_loopback_ipv6(text + 1);
  }
  return is_localhost(host) ||
         (inet_aton(text, &address) != 0 && is_loopback_ipv4(ntohl(address.s_addr)));
}

/* The option. */

/* Where the authority begins; NULL if the scheme is none that libcurl knows. Without a scheme it is
 * http. */
static const char *skip_scheme(const char *proxy)
{
  static const char *const schemes[] = {"http",    "https",  "socks",  "socks4",
                                        "socks4a", "socks5", "socks5h"};
  const char *end = strstr(proxy, "://");
  if (end == NULL)
    return proxy;
  const size_t length = (size_t)(end - proxy);
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    if (strlen(schemes[i]) == length && strncasecmp(proxy, schemes[i], length) == 0)
      return end + strlen("://");
  }
  return NULL;
}

static bool is_ipv6(struct uk_slice text)
{
  char address[INET6_ADDRSTRLEN];
  struct in6_addr parsed;
  const char *zone = memchr(text.data, '%', text.length);
  const size_t length = zone != NULL ? (size_t)(zone - text.data) : text.length;
  if (length >= sizeof address)
    return false;
  memcpy(address, text.data, length);
  address[length] = '\0';
  return inet_pton(AF_INET6, address, &parsed) == 1;
}

/* The characters that libcurl accepts in a host's name. */
static bool is_name(struct uk_slice text)
{
  static const char others[] = "!#$&'()*+,/:;<=>?@[\\]^`{|}\"";
  for (size_t i = 0; i < text.length; i++) {
    if (strchr(others, text.data[i]) != NULL)
      return false;
  }
  return text.length > 0;
}

static bool is_host(struct uk_slice text)
{
  const bool bracketed =
    text.length > 2 && text.data[0] == '[' && text.data[text.length - 1] == ']';
  return bracketed ? is_ipv6(uk_slice_of(text.data + 1, text.length - 2)) : is_name(text);
}

static bool is_port(struct uk_slice text)
{
  unsigned port = 0;
  for (size_t i = 0; i < text.length; i++) {
    const unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
    port = port * 10 + digit;
    if (digit > 9 || port > UINT16_MAX)
      return false;
  }
  return port > 0;
}

static bool has_blank(const char *text)
{
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text <= ' ' || *text == 0x7f)
      return true;
  }
  return false;
}

/* "HOST" or "HOST:PORT". */
static const char *check_place(struct uk_slice place)
{
  const char *bracket = memrchr(place.data, ']', place.length);
  const char *name = bracket != NULL ? bracket : place.data;
  const char *colon = memchr(name, ':', place.length - (size_t)(name - place.data));
  const size_t host = colon != NULL ? (size_t)(colon - place.data) : place.length;
  if (!is_host(uk_slice_of(place.data, host)))
    return "proxy: the name or the address of a host expected";
  if (colon != NULL && !is_port(uk_slice_of(colon + 1, place.length - host - 1)))
    return "proxy: a port of 1 to 65535 expected after the host and its ':'";
  return NULL;
}

const char *uk_proxy_check(const char *proxy)
{
  if (proxy == NULL || proxy[0] == '\0')
    return NULL;
  if (strlen(proxy) > UK_PROXY_MAX)
    return "proxy: too long";
  if (has_blank(proxy))
    return "proxy: contains a space or a control character";
  if (strpbrk(proxy, "?#") != NULL)
    return "proxy: must not have a query or a fragment";
  const char *authority = skip_scheme(proxy);
  if (authority == NULL)
    return "proxy: http, https, socks4, socks4a, socks5 or socks5h expected before ://";
  const size_t length = strcspn(authority, "/");
  const char *at = memchr(authority, '@', length);
  const char *place = at != NULL ? at + 1 : authority;
  return check_place(uk_slice_of(place, length - (size_t)(place - authority)));
}

/* The environment. */

static const char *variable(const char *name)
{
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Like libcurl: the name in capitals counts too, but not for HTTP_PROXY, which a CGI client can
 * set. */
static const char *environment_proxy(bool secure)
{
  static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
  const char *proxy = secure ? NULL : variable("http_proxy");
  for (size_t i = secure ? 0 : 2; proxy == NULL && i < sizeof names / sizeof *names; i++)
    proxy = variable(names[i]);
  return proxy;
}

/* True when the entry is the host or a domain above it. */
static bool covers(struct uk_slice entry, struct uk_slice host)
{
  if (entry.length > 0 && entry.data[0] == '.')
    entry = uk_slice_of(entry.data + 1, entry.length - 1);
  if (entry.length == 0 || entry.length > host.length ||
      strncasecmp(host.data + host.length - entry.length, entry.data, entry.length) != 0)
    return false;
  return entry.length == host.length || host.data[host.length - entry.length - 1] == '.';
}

static bool is_excepted(struct uk_slice host)
{
  static const char separators[] = ", \t";
  const char *list = variable("no_proxy");
  if (list == NULL)
    list = variable("NO_PROXY");
  for (const char *at = list; at != NULL && *at != '\0'; at += strspn(at, separators)) {
    const struct uk_slice entry = uk_slice_of(at, strcspn(at, separators));
    if (uk_slice_is(entry, "*") || covers(entry, host))
      return true;
    at += entry.length;
  }
  return false;
}

void uk_proxy_name(char name[UK_PROXY_NAME_SIZE], const char *proxy, struct uk_slice host,
                   bool secure)
{
  name[0] = '\0';
  if (proxy == NULL && !is_excepted(host))
    proxy = environment_proxy(secure);
  if (proxy == NULL || proxy[0] == '\0')
    return;
  const char *scheme_end = strstr(proxy, "://");
  const char *authority = scheme_end != NULL ? scheme_end + 3 : proxy;
  const size_t length = strcspn(authority, "/");
  const char *at = memrchr(authority, '@', length);
  const char *shown = at != NULL ? at + 1 : authority;
  snprintf(name, UK_PROXY_NAME_SIZE, "%.*s%.*s", (int)(authority - proxy), proxy,
           (int)(authority + length - shown), shown);
}

void uk_proxy_append(char *out, size_t size, const char *text, const char *name)
{
  snprintf(out, size, "%s (through the proxy %s)", text, name);
}
