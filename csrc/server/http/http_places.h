/* http_places: counts the connections of each client address. It knows no locks: the caller holds
 * one. */
#ifndef UK_HTTP_PLACES_H
#define UK_HTTP_PLACES_H

#include <stdint.h>

#include "common/list.h"
#include "server/request/client_address.h"

enum { UK_PLACES_LISTS = 1024 };

/* An address with connections. */
struct uk_address_places {
  struct uk_link link;
  struct uk_client_address address;
  unsigned count; /* of its connections, at least 1 */
};

/* Zeroed, it has no address. */
struct uk_places {
  uint64_t seed;                         /* so that nobody can choose addresses of one list */
  struct uk_list lists[UK_PLACES_LISTS]; /* by hash */
};

void uk_places_init(struct uk_places *places);

/* Counts a connection from the address, together with all others that
 * uk_client_address_network makes the same. NULL: out of memory, and nothing was counted. */
struct uk_address_places *uk_places_take(struct uk_places *places,
                                         const struct uk_client_address *address);

/* The connection has ended. Frees the address with its last one. NULL is allowed. */
void uk_places_give(struct uk_address_places *of);

#endif
