/* http_arrival: what a socket shows about the bytes that were written to it.
 *
 * A system that gets bytes for a socket that its program has closed, or whose program closes it
 * without having read everything, resets the connection. After an orderly end, everything that the
 * other system has acknowledged counts as read. */
#ifndef UK_HTTP_ARRIVAL_H
#define UK_HTTP_ARRIVAL_H

#include <stdbool.h>

enum uk_arrival {
  UK_ARRIVAL_OPEN,   /* everything is acknowledged, and the connection is open */
  UK_ARRIVAL_DUE,    /* not everything is acknowledged */
  UK_ARRIVAL_ENDED,  /* everything is acknowledged, and the connection has ended in order */
  UK_ARRIVAL_FAILED, /* the connection was reset, or does not answer any more */
};

/* What the system says. */
struct uk_socket_facts {
  bool tcp;
  bool over;   /* TCP: the socket is closed; another one: the client has closed it */
  int error;   /* errno, 0 = none */
  int queued;  /* bytes that are not acknowledged; over a unix socket, that are not read */
  bool silent; /* TCP: bytes are under way, and no acknowledgement came for some seconds */
};

/* `shut`: we have shut down our sending side; its end counts as one byte of TCP. `late`: the bytes
 * were written so long ago that a reset says nothing about them, unless some are not acknowledged:
 * whatever stands in between may reset an idle connection. */
enum uk_arrival uk_arrival_judge(const struct uk_socket_facts *facts, bool shut, bool late);

/* The same for a socket. Takes its pending error, so after UK_ARRIVAL_FAILED do not ask again. */
enum uk_arrival uk_arrival_of(int socket, bool shut, bool late);

#endif
