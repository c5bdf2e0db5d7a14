/* http: the HTTP side of the server: takes requests, hands them to dispatch, sends the replies. */
#ifndef UK_HTTP_H
#define UK_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "server/request/request.h"

struct uk_http;
struct uk_server;

/* The library keeps the request line, the headers, an entry for each of them and the reply's head
 * in one piece of memory for each connection, of max_header_bytes and UK_HTTP_REPLY_ROOM, and has
 * touched all of it after the first reply: this, ten thousand times, is most of what as many
 * waiting consumes cost. Bodies are elsewhere.
 *
 * Until the reply is there that memory also holds what the client has sent behind the request: up
 * to half of it where the headers take less, else UK_HTTP_READ_AHEAD. So the entries may take one
 * UK_HTTP_ENTRY_SHARE of the limit, and the reply's head always has UK_REPLY_HEAD_BYTES. */
enum {
  UK_HTTP_ENTRY_SHARE = 2,
  UK_HTTP_READ_AHEAD = 2 << 10, /* libmicrohttpd 0.9.75 and 1.0.1 read 1 KiB at a time */
  UK_HTTP_REPLY_ROOM = UK_REPLY_HEAD_BYTES + UK_HTTP_READ_AHEAD
};

struct uk_http_options {
  struct uk_server *server; /* what every request carries */
  const char *listen;
  unsigned threads;               /* >= 1 */
  unsigned max_connections;       /* requests on more are answered with 429 */
  size_t max_header_bytes;        /* of the request line and the headers; see UK_HTTP_REPLY_ROOM */
  size_t max_body_bytes;          /* also of an unzipped body */
  const char *tls_cert, *tls_key; /* PEM texts, or both NULL */
};

/* Takes requests before it returns UK_OK; else `message` begins with the option at fault. */
enum uk_error uk_http_start(struct uk_http **http, const struct uk_http_options *options,
                            char *message, size_t size);

/* "HOST:PORT" as in a URL. */
const char *uk_http_address(const struct uk_http *http);

/* From now on requests are answered with 503. */
void uk_http_refuse(struct uk_http *http);

/* After uk_http_refuse: waits until each request in hand is answered (as long as the engine takes)
 * and its reply written (5 seconds at most), then joins the threads and frees. */
void uk_http_stop(struct uk_http *http);

/* Whether what the HTTP library refuses by itself is answered in JSON in this process; else it is
 * the library's HTML (see http_refusal.h). Found out with a request over a socket pair, in well
 * under a millisecond; false also when there are no descriptors or no memory to find out. */
bool uk_http_refusals_are_json(void);

#endif
