#include "server/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_SIZE = 256, PORT_SIZE = 6, BACKLOG = 4096 };

struct host_port {
  char host[HOST_SIZE]; /* without brackets */
  char port[PORT_SIZE];
};

static bool parse(struct host_port *out, const char *text)
{
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text)
    return false;
  bool bracketed = text[0] == '[' && colon[-1] == ']';
  const char *host = bracketed ? text + 1 : text;
  size_t length = (size_t)(colon - host) - bracketed;
  if (length == 0 || length >= sizeof out->host ||
      (!bracketed && memchr(host, ':', length) != NULL))
    return false;
  size_t digits = strspn(colon + 1, "0123456789");
  if (digits == 0 || colon[1 + digits] != '\0' || digits >= sizeof out->port ||
      atoi(colon + 1) > 65535)
    return false;
  memcpy(out->host, host, length);
  out->host[length] = '\0';
  memcpy(out->port, colon + 1, digits + 1);
  return true;
}

/* Tries a numeric address first, to avoid loading the resolver. */
static int resolve(const struct host_port *at, struct addrinfo **addresses)
{
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
  int failure = getaddrinfo(at->host, at->port, &hints, addresses);
  if (failure != EAI_NONAME)
    return failure;
  hints.ai_flags &= ~AI_NUMERICHOST;
  return getaddrinfo(at->host, at->port, &hints, addresses);
}

/* Returns a socket, or -1 with errno set. */
static int open_socket(const struct addrinfo *address)
{
  const int on = 1;
  int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  int failure = errno;
  close(fd);
  errno = failure;
  return -1;
}

/* Sets `address` and `ipv6` from the socket. */
static bool name(struct uk_listener *listener)
{
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  char host[INET6_ADDRSTRLEN], port[PORT_SIZE];
  if (getsockname(listener->socket, (struct sockaddr *)&storage, &length) != 0 ||
      getnameinfo((struct sockaddr *)&storage, length, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return false;
  listener->ipv6 = storage.ss_family == AF_INET6;
  snprintf(listener->address, sizeof listener->address, listener->ipv6 ? "[%s]:%s" : "%s:%s", host,
           port);
  return true;
}

enum uk_error uk_listen(struct uk_listener *listener, const char *text, char *message, size_t size)
{
  struct host_port at;
  struct addrinfo *addresses = NULL;
  if (!parse(&at, text)) {
    snprintf(message, size, "listen: HOST:PORT or [IPv6]:PORT expected, got \"%s\"", text);
    return UK_E_BAD_REQUEST;
  }
  int failure = resolve(&at, &addresses);
  if (failure != 0) {
    snprintf(message, size, "listen: %s: %s", text, gai_strerror(failure));
    return UK_E_BAD_REQUEST;
  }
  listener->socket = open_socket(addresses);
  freeaddrinfo(addresses);
  if (listener->socket >= 0 && name(listener))
    return UK_OK;
  snprintf(message, size, "listen: %s: %s", text, strerror(errno));
  if (listener->socket >= 0)
    close(listener->socket);
  return UK_E_UNAVAILABLE;
}
