/* http: the HTTP side of the server. Receives requests, passes them to dispatch, sends replies. */
#ifndef UK_HTTP_H
#define UK_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "server/http/http_reaper.h"
#include "server/request/request.h"

struct uk_http;
struct uk_server;

/* For each connection the HTTP library has one block of memory, of max_header_bytes plus
 * UK_HTTP_REPLY_ROOM, for the request line, the headers, an entry per header and the reply's head.
 * It has touched the whole block after the first reply, so ten thousand waiting consumes cost
 * mostly ten thousand of these blocks. Bodies are stored elsewhere.
 *
 * Until the reply is queued, the block also holds what the client sent after the request: up to
 * half of the block if the headers leave room, else UK_HTTP_READ_AHEAD. Therefore entries may take
 * at most 1/UK_HTTP_ENTRY_SHARE of the limit, which always leaves UK_REPLY_HEAD_BYTES for the
 * reply's head. */
enum {
  UK_HTTP_ENTRY_SHARE = 2,
  UK_HTTP_READ_AHEAD = 2 << 10, /* libmicrohttpd 0.9.75 and 1.0.1 read 1 KiB at a time */
  UK_HTTP_REPLY_ROOM = UK_REPLY_HEAD_BYTES + UK_HTTP_READ_AHEAD
};

struct uk_http_options {
  struct uk_server *server; /* passed on with every request */
  const char *listen;
  unsigned threads;               /* >= 1 */
  unsigned max_connections;       /* a request on one more is answered with 429 */
  struct uk_reaper_limits limits; /* of connections; without `connections` */
  size_t max_header_bytes;        /* request line and headers together; see UK_HTTP_REPLY_ROOM */
  size_t max_body_bytes;          /* applies after decompression too */
  const char *tls_cert, *tls_key; /* PEM files, or both NULL; see http_certificate.h */
  const char *tls_priorities;     /* in GnuTLS's words; NULL: UK_TLS_PRIORITIES */
  struct uk_proxies proxies;      /* trusted to name their clients */
  bool insecure; /* plain HTTP may be reached from elsewhere; so it may with proxies */
};

/* UK_OK: its addresses are taken, and connections wait for uk_http_accept. Otherwise `message`
 * begins with the option at fault. */
enum uk_error uk_http_start(struct uk_http **http, const struct uk_http_options *options,
                            char *message, size_t size);

/* Starts accepting connections. */
enum uk_error uk_http_accept(struct uk_http *http, char *message, size_t size);

/* "HOST:PORT" or "unix:PATH", as in a URL. */
const char *uk_http_address(const struct uk_http *http);

bool uk_http_has_certificate(const struct uk_http *http);

/* Reads the certificate and its key again, for connections that begin from now on. On an error
 * those of before stay in use, and `message` says why. Precondition: uk_http_has_certificate. */
enum uk_error uk_http_reload_certificate(struct uk_http *http, char *message, size_t size);

/* From now on answers new requests with 503. */
void uk_http_refuse(struct uk_http *http);

/* Call it after uk_http_refuse. Waits until every pending request is answered. False: one is not,
 * at the time `until` of uk_clock_monotonic. */
bool uk_http_wait(struct uk_http *http, int64_t until);

/* The same; uk_http_accept may have failed. Waits until every pending request is answered, for as
 * long as the engine takes, and its reply is written, for at most 5 seconds. Then accepts nobody
 * new, and refuses the rest with 503: a request that is arriving has a second to arrive completely.
 * Every other connection, even an idle one, ends with a 503, because a request may be on its way.
 * Connections that wait to be accepted get it too; the library has at most 5 seconds to start them.
 * Then joins the threads and frees everything. */
void uk_http_stop(struct uk_http *http);

/* Whether requests that the HTTP library itself refuses are answered in JSON in this process; if
 * not, they get the library's HTML (see http_refusal.h). Tries it with a request over a socket
 * pair, which takes well under a millisecond. False also if there are no descriptors or no memory
 * for it. */
bool uk_http_refusals_are_json(void);

/* Whether the server checks the lines of heads itself, and not the library in its strict mode. */
bool uk_http_checks_heads(void);

#endif
