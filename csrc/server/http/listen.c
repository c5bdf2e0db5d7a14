#include "server/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/request/client_address.h"

enum {
  HOST_SIZE = 256,
  PORT_SIZE = 6,
  BACKLOG = 4096,
  PORT_TRIES = 16 /* for a port that is free on every address */
};

static const char unix_prefix[] = "unix:";

struct host_port {
  char host[HOST_SIZE]; /* without brackets; "" = all addresses */
  char port[PORT_SIZE];
};

static bool parse(struct host_port *out, const char *text)
{
  const char *colon = strrchr(text, ':');
  if (colon == NULL)
    return false;
  bool bracketed = text[0] == '[' && colon > text && colon[-1] == ']';
  const char *host = bracketed ? text + 1 : text;
  size_t length = (size_t)(colon - host) - bracketed;
  if ((bracketed && length == 0) || length >= sizeof out->host ||
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
  const char *host = at->host[0] != '\0' ? at->host : NULL;
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
  int failure = getaddrinfo(host, at->port, &hints, addresses);
  if (failure != EAI_NONAME)
    return failure;
  hints.ai_flags &= ~AI_NUMERICHOST;
  return getaddrinfo(host, at->port, &hints, addresses);
}

/* Binds and listens. Returns a socket, or -1 with errno set. `alone`: no other address shares the
 * port, so "::" may stand for IPv4 too. */
static int open_socket(const struct sockaddr *address, socklen_t length, bool alone)
{
  const int on = 1;
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -1;
  bool ready = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
  if (address->sa_family == AF_INET6 && !alone)
    ready = ready && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
  if (ready && bind(fd, address, length) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  int failure = errno;
  close(fd);
  errno = failure;
  return -1;
}

/* Internet sockets. */

static uint16_t *port_of(struct sockaddr_storage *address)
{
  return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                        : &((struct sockaddr_in *)address)->sin_port;
}

struct addresses {
  struct sockaddr_storage each[UK_LISTENERS_MAX];
  socklen_t length[UK_LISTENERS_MAX];
  int count;
};

static bool holds(const struct addresses *all, const struct addrinfo *one)
{
  for (int i = 0; i < all->count; i++) {
    if (all->length[i] == one->ai_addrlen &&
        memcmp(&all->each[i], one->ai_addr, one->ai_addrlen) == 0)
      return true;
  }
  return false;
}

/* Adds the addresses of one family, each once: a hosts file may name one twice. False when there
 * are too many. */
static bool add_family(struct addresses *all, const struct addrinfo *found, int family)
{
  for (; found != NULL; found = found->ai_next) {
    if (found->ai_family != family || holds(all, found))
      continue;
    if (all->count == UK_LISTENERS_MAX)
      return false;
    memcpy(&all->each[all->count], found->ai_addr, found->ai_addrlen);
    all->length[all->count++] = found->ai_addrlen;
  }
  return true;
}

/* Sets `address` from the first socket, and its port in `chosen`. */
static bool name(struct uk_listeners *listeners, uint16_t *chosen)
{
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  char host[INET6_ADDRSTRLEN], port[PORT_SIZE];
  if (getsockname(listeners->sockets[0], (struct sockaddr *)&storage, &length) != 0 ||
      getnameinfo((struct sockaddr *)&storage, length, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return false;
  *chosen = *port_of(&storage);
  snprintf(listeners->address, sizeof listeners->address,
           storage.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
  return true;
}

static bool is_missing(int failure)
{
  return failure == EADDRNOTAVAIL || failure == EAFNOSUPPORT;
}

/* Opens one socket for each address that the machine has. False with errno set; then none is open,
 * except where the caller closes them. */
static bool open_each(struct uk_listeners *listeners, struct addresses *all)
{
  int failure = EADDRNOTAVAIL;
  for (int i = 0; i < all->count; i++) {
    int fd = open_socket((struct sockaddr *)&all->each[i], all->length[i], all->count == 1);
    if (fd < 0 && !is_missing(failure = errno))
      return false;
    if (fd < 0)
      continue;
    listeners->sockets[listeners->count++] = fd;
    uint16_t chosen;
    if (listeners->count == 1 && !name(listeners, &chosen))
      return false;
    for (int next = i + 1; listeners->count == 1 && next < all->count; next++)
      *port_of(&all->each[next]) = chosen;
  }
  errno = failure;
  return listeners->count > 0;
}

static void close_sockets(struct uk_listeners *listeners)
{
  int failure = errno;
  while (listeners->count > 0)
    close(listeners->sockets[--listeners->count]);
  errno = failure;
}

/* For port 0 the first address chooses the port, which may be taken on another one. */
static enum uk_error open_all(struct uk_listeners *listeners, const struct addresses *all,
                              const char *text, char *message, size_t size)
{
  const bool free_choice = *port_of((struct sockaddr_storage *)&all->each[0]) == 0;
  for (int i = 0; i < (free_choice ? PORT_TRIES : 1); i++) {
    struct addresses tried = *all;
    if (open_each(listeners, &tried))
      return UK_OK;
    close_sockets(listeners);
    if (errno != EADDRINUSE)
      break;
  }
  snprintf(message, size, "listen: %s: %s", text, strerror(errno));
  return UK_E_UNAVAILABLE;
}

static enum uk_error listen_on_internet(struct uk_listeners *listeners, const char *text,
                                        char *message, size_t size)
{
  struct host_port at;
  struct addrinfo *found = NULL;
  struct addresses all = {.count = 0};
  if (!parse(&at, text)) {
    snprintf(message, size,
             "listen: HOST:PORT, [IPv6]:PORT, :PORT or unix:PATH expected, got \"%s\"", text);
    return UK_E_BAD_REQUEST;
  }
  int failure = resolve(&at, &found);
  if (failure != 0) {
    snprintf(message, size, "listen: %s: %s", text, gai_strerror(failure));
    return UK_E_BAD_REQUEST;
  }
  bool few = add_family(&all, found, AF_INET) && add_family(&all, found, AF_INET6);
  freeaddrinfo(found);
  if (few && all.count > 0)
    return open_all(listeners, &all, text, message, size);
  snprintf(message, size, "listen: %s: 1 to %d addresses expected", text, UK_LISTENERS_MAX);
  return UK_E_BAD_REQUEST;
}

/* Unix sockets. */

/* True when the file is a socket that no process listens on: its server was killed. */
static bool is_left_over(const struct sockaddr_un *address)
{
  struct stat status;
  if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
    return false;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return false;
  bool refused =
    connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

static int open_unix(const struct sockaddr_un *address)
{
  int fd = open_socket((const struct sockaddr *)address, sizeof *address, true);
  if (fd >= 0 || errno != EADDRINUSE)
    return fd;
  if (is_left_over(address) && unlink(address->sun_path) == 0)
    return open_socket((const struct sockaddr *)address, sizeof *address, true);
  errno = EADDRINUSE;
  return -1;
}

static enum uk_error listen_on_unix(struct uk_listeners *listeners, const char *path, char *message,
                                    size_t size)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof address.sun_path) {
    snprintf(message, size, "listen: unix:%s: a path of 1 to %zu bytes expected", path,
             sizeof address.sun_path - 1);
    return UK_E_BAD_REQUEST;
  }
  memcpy(address.sun_path, path, length + 1);
  int fd = open_unix(&address);
  listeners->file = fd >= 0 ? open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (listeners->file < 0) {
    snprintf(message, size, "listen: unix:%s: %s", path, strerror(errno));
    if (fd >= 0)
      close(fd);
    return UK_E_UNAVAILABLE;
  }
  listeners->sockets[listeners->count++] = fd;
  snprintf(listeners->address, sizeof listeners->address, "%s%s", unix_prefix, path);
  memcpy(listeners->path, path, length + 1);
  return UK_OK;
}

enum uk_error uk_listen(struct uk_listeners *listeners, const char *text, char *message,
                        size_t size)
{
  const size_t prefix = sizeof unix_prefix - 1;
  *listeners = (struct uk_listeners){.count = 0};
  if (strncmp(text, unix_prefix, prefix) == 0)
    return listen_on_unix(listeners, text + prefix, message, size);
  return listen_on_internet(listeners, text, message, size);
}

bool uk_listen_is_local(const struct uk_listeners *listeners)
{
  for (int i = 0; i < listeners->count; i++) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(listeners->sockets[i], (struct sockaddr *)&storage, &length) != 0)
      return false;
    const struct uk_client_address address = uk_client_address_of((struct sockaddr *)&storage);
    if (!uk_client_address_is_local(&address))
      return false;
  }
  return true;
}

static bool is_ours(const struct uk_listeners *listeners)
{
  struct stat bound, now;
  return fstat(listeners->file, &bound) == 0 && lstat(listeners->path, &now) == 0 &&
         now.st_dev == bound.st_dev && now.st_ino == bound.st_ino;
}

static void remove_file(struct uk_listeners *listeners)
{
  if (listeners->path[0] == '\0')
    return;
  if (is_ours(listeners))
    unlink(listeners->path);
  close(listeners->file);
  listeners->path[0] = '\0';
}

/* The filter sees a packet from its TCP header on. The last packet of a handshake has no SYN, so
 * handshakes that have begun are completed. */
static void drop_first_packets(int socket)
{
  enum { FLAGS = 13, SYN = 2, WHOLE = 0x7fffffff };
  struct sock_filter steps[] = {
    {BPF_LD | BPF_B | BPF_ABS, 0, 0, FLAGS},
    {BPF_JMP | BPF_JSET | BPF_K, 0, 1, SYN},
    {BPF_RET | BPF_K, 0, 0, 0},
    {BPF_RET | BPF_K, 0, 0, WHOLE},
  };
  const struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
  (void)setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void uk_listen_refuse(struct uk_listeners *listeners)
{
  const bool is_unix = listeners->path[0] != '\0';
  remove_file(listeners);
  for (int i = 0; i < listeners->count && !is_unix; i++)
    drop_first_packets(listeners->sockets[i]);
}

void uk_listen_close(struct uk_listeners *listeners)
{
  close_sockets(listeners);
  remove_file(listeners);
}
