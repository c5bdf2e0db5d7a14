/* listen: a listening TCP socket for "HOST:PORT" or "[IPv6]:PORT". */
#ifndef UK_LISTEN_H
#define UK_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { UK_ADDRESS_SIZE = 80 };

struct uk_listener {
  int socket; /* non-blocking, close-on-exec; owned by whoever asked */
  bool ipv6;
  char address[UK_ADDRESS_SIZE]; /* as in a URL, with the port that was picked for port 0 */
};

/* UK_OK, or BAD_REQUEST or UNAVAILABLE with a text that begins with "listen" in `message`. */
enum uk_error uk_listen(struct uk_listener *listener, const char *listen, char *message,
                        size_t size);

#endif
