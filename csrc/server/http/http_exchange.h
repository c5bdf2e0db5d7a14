/* http_exchange: carries one request and its reply between the HTTP library and a handler.
 *
 * The library calls on_uri; then on_request once after the headers, once for each part of the body,
 * once after the body and once after each resume; then on_completed. If the handler does not reply
 * at once, the connection is suspended until uk_request_reply resumes it. Either may come first:
 * the HTTP thread changes `state` from RUNNING to SUSPENDED, uk_request_reply from anything to
 * REPLIED. uk_request_reply_early does the same and leaves the exchange with two owners, the
 * connection and the operation; the last one frees it. The server may have stopped by then. */
#ifndef UK_HTTP_EXCHANGE_H
#define UK_HTTP_EXCHANGE_H

#include "server/http/http_private.h"

enum uk_exchange_state { UK_RUNNING, UK_SUSPENDED, UK_REPLIED };

struct uk_exchange {
  struct uk_request request; /* first, so that either converts to the other */
  struct uk_http *http;
  struct MHD_Connection *connection;
  int socket;
  atomic_int state;
  struct uk_pool_job job; /* for a large body; see http_run.c */
  atomic_int owners;
  bool early; /* uk_request_reply_early was called; for the operation's threads */

  /* From the headers. */
  uint64_t content_length;   /* 0 if absent */
  size_t line_bytes;         /* request line with its CRLF; without the method until `begun` */
  size_t header_bytes;       /* request line and headers as received */
  size_t entry_bytes;        /* what the library stores about them besides their text */
  const char *body_start;    /* see uk_http_chunk_holds; NULL: unknown */
  struct uk_slice forwarded; /* the last X-Forwarded-For; data NULL if absent */
  unsigned hosts;            /* number of Host headers */
  bool is_http_1_0, has_length, chunked, bad_framing, bad_lines, expects_continue, accepts_gzip,
    is_gzip, bad_encoding;

  /* Progress. */
  bool begun;        /* the headers have been read */
  bool refused;      /* the reply is an error; no handler runs */
  bool running;      /* a handler has been called */
  bool at_end;       /* the client has stopped sending before the body was complete */
  bool in_hand;      /* see uk_exchange_begin */
  bool is_last;      /* the reply closes the connection */
  bool queued;       /* the library has the reply */
  bool abandoned;    /* the library closes the connection; we write the reply ourselves */
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
void uk_exchange_reply_early(struct uk_request *request);

/* Frees the request's body and arenas, and with them the operation and what the reply's headers
 * refer to. The reply stays. */
void uk_exchange_drop_request(struct uk_exchange *exchange);

/* An owner leaves the exchange. */
void uk_exchange_release(struct uk_exchange *exchange);

/* http_headers: sets the fields under "from the headers". `method` and `version` are what the
 * library passed to the callback. */
void uk_exchange_read_headers(struct uk_exchange *exchange, const char *method,
                              const char *version);

/* http_reply: builds the reply, compressed if the client accepts it. */
void uk_exchange_finish(struct uk_exchange *exchange);

/* http_reply: gives the reply to the library. MHD_NO if the server stops and has refused the
 * request already, or if out of memory: the exchange is then abandoned, and the reply is an error
 * unless it says what was carried out. */
enum MHD_Result uk_exchange_queue(struct uk_exchange *exchange);

/* The reply says that the client stopped sending before the body was complete. */
void uk_exchange_refuse_cut_off(struct uk_exchange *exchange);

/* http_run: the request has arrived: runs its handler, and sends the reply or waits for it. Called
 * again after each resume. */
enum MHD_Result uk_exchange_proceed(struct uk_exchange *exchange);

/* Whether the connection is in time and has a place; it then enters the phase. Otherwise the reply
 * says why, and closes it. */
bool uk_exchange_is_served(struct uk_exchange *exchange, enum uk_phase phase);

/* Takes the request in hand, once. False: the server stops, and has refused it already. */
bool uk_exchange_begin(struct uk_exchange *exchange);

/* Stops looking for the client's hang-up; call it before the connection is resumed. */
void uk_exchange_unwatch(struct uk_exchange *exchange);

extern const size_t uk_exchange_reply_bytes; /* the maximum size of a reply */

#endif
