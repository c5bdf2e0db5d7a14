/* listen: opens a listening TCP socket on "HOST:PORT" or "[IPv6]:PORT". */
#ifndef UK_LISTEN_H
#define UK_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { UK_ADDRESS_SIZE = 80 };

struct uk_listener {
  int socket; /* non-blocking, close-on-exec; the caller closes it */
  bool ipv6;
  char address[UK_ADDRESS_SIZE]; /* as in a URL; for port 0, with the port that was chosen */
};

/* On BAD_REQUEST or UNAVAILABLE, `message` begins with "listen". */
enum uk_error uk_listen(struct uk_listener *listener, const char *listen, char *message,
                        size_t size);

#endif
