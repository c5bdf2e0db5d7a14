/* client_address: where a request comes from, as limits for each address count it. Behind a proxy
 * that adds X-Forwarded-For, that is the address that the proxy names. */
#ifndef UK_CLIENT_ADDRESS_H
#define UK_CLIENT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/slice.h"

struct sockaddr;

enum {
  UK_CLIENT_ADDRESS_SIZE = 46, /* room for its text, with the NUL */
  UK_PROXIES_MAX = 64
};

/* Two are equal if uk_client_address_equals. Zeroed, it is that of a unix socket. */
struct uk_client_address {
  bool internet;           /* false: a unix socket; `bytes` are 0 */
  unsigned char bytes[16]; /* IPv6; an IPv4 address is ::ffff:a.b.c.d */
};

/* The address of a connection's other end; `peer` is what accept(2) returned. */
struct uk_client_address uk_client_address_of(const struct sockaddr *peer);

/* Reads "192.0.2.1", "2001:db8::1" or "[2001:db8::1]", each also with ":PORT" (IPv6 in brackets).
 * False for anything else; `address` is then unchanged. */
bool uk_client_address_read(struct uk_client_address *address, struct uk_slice text);

/* Writes it as uk_client_address_read takes it, or "unix". */
void uk_client_address_write(const struct uk_client_address *address,
                             char text[UK_CLIENT_ADDRESS_SIZE]);

bool uk_client_address_equals(const struct uk_client_address *a, const struct uk_client_address *b);

/* Whether it is this machine: a unix socket, 127.0.0.0/8 or ::1. */
bool uk_client_address_is_local(const struct uk_client_address *address);

/* What limits should count together: the address itself for IPv4, and for IPv6 its network of 64
 * bits, because one host may use all addresses of it. */
struct uk_client_address uk_client_address_network(const struct uk_client_address *address);

/* The proxies that are trusted to name their clients. Zeroed: none. */
struct uk_proxies {
  size_t count;
  struct uk_client_address each[UK_PROXIES_MAX];
};

/* Reads addresses without a port, or "unix": every peer of the unix socket. BAD_REQUEST:
 * one is none, or there are more than UK_PROXIES_MAX; `message` begins with "behind_proxy". */
enum uk_error uk_proxies_read(struct uk_proxies *proxies, const char *const *texts, size_t count,
                              char *message, size_t size);

bool uk_proxies_hold(const struct uk_proxies *proxies, const struct uk_client_address *address);

/* The client's address: the last element of `forwarded`, the value of the last X-Forwarded-For, if
 * `peer` is a trusted proxy; otherwise `peer`. A proxy appends the address that it saw; what stands
 * before may be a client's own invention. Also `peer` if the proxy names no address: the clients of
 * such a proxy count as one. */
struct uk_client_address uk_proxies_resolve(const struct uk_proxies *proxies,
                                            const struct uk_client_address *peer,
                                            struct uk_slice forwarded);

#endif
