/* http_exchange: one request and its reply, between the HTTP library and a handler.
 *
 * The library calls: on_uri, on_request once after the headers, once for each piece of the body,
 * once after the body and once more after each resume, on_completed. A handler that does not answer
 * at once leaves the connection suspended, and whoever calls uk_request_reply resumes it. Who is
 * first is told by `state`: RUNNING -> SUSPENDED by the HTTP thread, anything -> REPLIED by
 * uk_request_reply. */
#ifndef UK_HTTP_EXCHANGE_H
#define UK_HTTP_EXCHANGE_H

#include "server/http/http_private.h"

enum uk_exchange_state { UK_RUNNING, UK_SUSPENDED, UK_REPLIED };

struct uk_exchange {
  struct uk_request request; /* first: the two are one */
  struct uk_http *http;
  struct MHD_Connection *connection;
  int socket;
  atomic_int state;

  /* Out of the headers. */
  uint64_t content_length; /* 0 when there is none */
  size_t line_bytes;       /* request line with its end; until `begun` without the method */
  size_t header_bytes;     /* request line and headers, as they came */
  size_t entry_bytes;      /* what the library's memory holds of them beside their text */
  bool has_length, chunked, bad_framing, expects_continue, accepts_gzip, is_gzip, bad_encoding;

  /* How far it is. */
  bool begun;        /* the headers are read */
  bool refused;      /* the reply is an error, and no handler runs */
  bool running;      /* a handler has run */
  bool at_end;       /* the client sends no more, and the body is not whole yet */
  bool queued;       /* the reply is with the library */
  bool abandoned;    /* the connection is closed without the library's help */
  uint64_t received; /* bytes of the body so far */
  struct uk_buffer body;

  char uri[]; /* path NUL query NUL */
};

static inline struct uk_exchange *uk_exchange_of(const struct uk_request *request)
{
  return (struct uk_exchange *)(uintptr_t)request;
}

/* http_headers, http_reply: the request's methods. */
struct uk_slice uk_exchange_header(const struct uk_request *request, const char *name);
void uk_exchange_each_header(const struct uk_request *request, uk_header_visitor *each,
                             void *argument);
void uk_exchange_reply(struct uk_request *request);

/* http_headers: fills what stands under "out of the headers". */
void uk_exchange_read_headers(struct uk_exchange *exchange);

/* http_reply: makes the reply as it will go out. */
void uk_exchange_settle(struct uk_exchange *exchange);

/* http_reply: hands the reply to the library. MHD_NO without memory for it. */
enum MHD_Result uk_exchange_queue(struct uk_exchange *exchange);

extern const size_t uk_exchange_reply_bytes; /* the size that a reply may not pass */

#endif
