/* listen: opens the listening sockets of a server: on "HOST:PORT" or "[IPv6]:PORT", one for each
 * address of the host; on ":PORT", all addresses of the machine; on "unix:PATH", a unix socket. */
#ifndef UK_LISTEN_H
#define UK_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "common/error.h"

enum {
  UK_LISTENERS_MAX = 16, /* addresses of a host */
  UK_SOCKET_PATH_SIZE = sizeof((struct sockaddr_un *)0)->sun_path,
  UK_ADDRESS_SIZE = UK_SOCKET_PATH_SIZE + 8
};

struct uk_listeners {
  int sockets[UK_LISTENERS_MAX]; /* non-blocking, close-on-exec */
  int count;
  char address[UK_ADDRESS_SIZE];  /* of the first socket, as in a URL: IPv4 where there is one; for
                                    port 0, with the port that was chosen for all of them */
  char path[UK_SOCKET_PATH_SIZE]; /* of the unix socket; "" = none */
  int file; /* the file at that path, opened: its inode cannot be used for another one */
};

/* On BAD_REQUEST or UNAVAILABLE, `message` begins with "listen", and nothing is open.
 *
 * An address that the machine does not have (IPv6 is switched off) is left out, if another one of
 * the host can be opened. A unix socket that no process listens on any more is replaced. */
enum uk_error uk_listen(struct uk_listeners *listeners, const char *listen, char *message,
                        size_t size);

/* Whether nobody outside of this machine can connect: all sockets are on loopback addresses, or it
 * is a unix socket. */
bool uk_listen_is_local(const struct uk_listeners *listeners);

/* From now on nobody new connects: on TCP the kernel drops the first packet of a connection, which
 * its client sends again after a second; the file of a unix socket is removed if it is still ours.
 * Connections that wait to be accepted stay. As far as the system allows it. */
void uk_listen_refuse(struct uk_listeners *listeners);

/* Closes the sockets, and removes the file of a unix socket if it is still ours. */
void uk_listen_close(struct uk_listeners *listeners);

#endif
