/* request: one HTTP request and its reply, as handlers see them. http fills the first half, a
 * handler the second, and uk_request_reply sends the reply. What only http can do goes through a
 * table of methods, so that handlers and their tests need no HTTP. */
#ifndef UK_SERVER_REQUEST_H
#define UK_SERVER_REQUEST_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/protocol.h"

#include "server/request/client_address.h"
#include "server/request/receipt.h"

struct uk_server;
struct uk_credential;

enum {
  UK_PATH_PARAMETERS = 3,
  UK_REPLY_HEADERS = 16,         /* most headers of a reply, besides those the HTTP library adds */
  UK_REPLY_HEAD_BYTES = 2 << 10, /* most bytes of a reply's status line and headers together */
  UK_SCRATCH_LEAST = 4 << 10     /* see uk_request_scratch */
};

/* What a browser says about the page that sent the request. Zero for any other client. */
struct uk_browser {
  struct uk_slice origin; /* Origin; data NULL if absent. Valid only until the handler has run */
  const char *allowed;    /* its Access-Control-Allow-Origin; NULL if CORS does not allow it */
  bool has_fetch_mode;    /* Sec-Fetch-Mode is present */
  bool foreign;           /* Sec-Fetch-Site: another site or another origin */
  bool own;               /* Sec-Fetch-Site: a page of this server */
  bool unscripted;        /* Sec-Fetch-Mode: navigate or no-cors; needs no script */
};

struct uk_request;

typedef void uk_header_visitor(void *argument, struct uk_slice name, struct uk_slice value);

/* What http does for a request. The functions uk_request_* of the same names are documented below.
 */
struct uk_request_methods {
  struct uk_slice (*header)(const struct uk_request *request, const char *name);
  void (*each_header)(const struct uk_request *request, uk_header_visitor *each, void *argument);
  bool (*is_client_alive)(const struct uk_request *request);
  void (*drop_body)(struct uk_request *request);
  void (*reply)(struct uk_request *request);
  void (*reply_early)(struct uk_request *request);
  void (*ask)(const struct uk_request *request, struct uk_slice recipient);
  bool (*follow)(struct uk_request *request, struct uk_receipt *receipt);
  void (*trust)(const struct uk_request *request);
};

struct uk_request {
  const struct uk_request_methods *methods; /* NULL for a reply without a request */
  struct uk_server *server;

  struct uk_account account; /* pays for the body, the arenas and the reply */

  /* The request. The bytes live as long as it does, the body's until uk_request_drop_input, and the
   * handler may change them. */
  enum uk_method method;
  enum uk_endpoint endpoint;
  char *path;  /* raw, NUL-terminated, without the query; the router decodes it in place */
  char *query; /* raw, NUL-terminated, "" if absent */
  char *body;  /* decompressed; NULL if body_length is 0 */
  size_t body_length;
  struct uk_slice parameters[UK_PATH_PARAMETERS]; /* of the route, percent-decoded */
  const struct uk_credential *credential;         /* NULL: none was needed, or given */
  const char *allow; /* the path's methods, in the arena; only for OPTIONS and after a 405 */
  struct uk_browser browser;
  struct uk_client_address client; /* what limits for each address count by */

  /* The handler's own, until the reply is sent. */
  struct uk_arena arena;
  struct uk_arena scratch; /* use uk_request_scratch */
  void *operation;         /* the pending engine operation, in the arena */
  bool is_answered; /* before the operation has ended; atomic, see uk_request_is_client_alive */
  bool carried_out; /* it changed something, or may have: the reply must not deny it. Known once the
                       reply is built */

  /* The reply. */
  int status;
  struct uk_buffer reply; /* the body: JSON */
  struct {
    const char *name;  /* static */
    const char *value; /* static or in the arena */
  } reply_headers[UK_REPLY_HEADERS];
  unsigned reply_header_count;
  /* Builds the reply from the operation's outcome. http calls it once, after uk_request_reply, on
   * the thread that sends the reply, to keep that work off the engine's threads. NULL: the reply is
   * already complete. */
  void (*finish)(struct uk_request *request);
  /* http calls it at most once, on any thread, when the client has hung up while the request waits
   * for uk_request_reply, which may come at the same time or already have come. May be NULL. */
  void (*client_gone)(struct uk_request *request);
  struct uk_receipt *receipt; /* follows the reply; NULL: nobody does. See uk_request_follow */
};

/* The value of a request header, without surrounding white space; data NULL if absent. The name is
 * matched regardless of case. Like each_header, valid only while the handler runs. */
struct uk_slice uk_request_header(const struct uk_request *request, const char *name);

/* Calls `each` for every request header, in the order received. */
void uk_request_each_header(const struct uk_request *request, uk_header_visitor *each,
                            void *argument);

/* How a query value is encoded. */
enum uk_query_form {
  UK_QUERY_FORM,    /* percent-encoded; '+' is a space */
  UK_QUERY_PERCENT, /* percent-encoded; '+' is itself */
  UK_QUERY_AS_SENT  /* not encoded */
};

/* Decodes a query value from UK_QUERY_FORM into the arena. 1: found. 0: absent. -1: malformed, or
 * out of memory; the reply is then an error. */
int uk_request_query(struct uk_request *request, const char *name, struct uk_slice *value);

/* The same from any form. 1: found. 0: absent or malformed. -1: out of memory. Leaves the reply
 * alone. */
int uk_request_query_as(struct uk_request *request, const char *name, enum uk_query_form form,
                        struct uk_slice *value);

/* Calls `each` with every query parameter, in the order received, decoded into the arena from
 * UK_QUERY_FORM; what is malformed, as it was sent. False: out of memory. */
bool uk_request_each_parameter(struct uk_request *request, uk_header_visitor *each, void *argument);

/* False, with an error reply, if the query has a parameter that is not one of the `count` names and
 * does not start with '_', or one that is repeated. */
bool uk_request_query_known(struct uk_request *request, const char *const *names, size_t count);

/* False, with an error reply, if the query repeats one of the `count` names. Ignores all others. */
bool uk_request_query_unique(struct uk_request *request, const char *const *names, size_t count);

/* Whether the client's connection is still open and its request has no answer yet. Callable from
 * any thread. */
bool uk_request_is_client_alive(const struct uk_request *request);

/* Finds out what became of earlier replies to the recipient, as far as that can be known by now,
 * and reports it through their receipts. Call it before acting on it. */
void uk_request_ask(const struct uk_request *request, struct uk_slice recipient);

/* From now on the receipt, which is from malloc, is http's: it follows the reply. Call it at most
 * once. False: out of memory, and the receipt has been freed. */
bool uk_request_follow(struct uk_request *request, struct uk_receipt *receipt);

/* An arena for what the handler reads, and copies before it submits the operation: it lives until
 * uk_request_drop_input. For a body of less than UK_SCRATCH_LEAST bytes it is the request's own
 * arena, since another one would cost more than it holds. */
struct uk_arena *uk_request_scratch(struct uk_request *request);

/* Frees the scratch arena and, unless `keep_body`, the body: a request that waits must not hold
 * them. Call it before the operation is submitted, which may not refer to them. */
void uk_request_drop_input(struct uk_request *request, bool keep_body);

/* The request has valid credentials. A connection that never sent any gives way to others when the
 * server has as many as it may. */
void uk_request_trust(const struct uk_request *request);

/* Both strings are static or in the arena. A header beyond UK_REPLY_HEADERS is a bug and turns the
 * reply into a 500. */
void uk_request_add_header(struct uk_request *request, const char *name, const char *value);

/* Makes the reply `{"error": text, "status": N}` and adds the headers that the status calls for:
 * Retry-After or WWW-Authenticate. WWW-Authenticate is omitted for a browser's page, because the
 * browser would remember the credentials. `format` NULL: the error's own text; after the
 * budget refused memory, NO_MEMORY has a text that says so, or becomes TOO_LARGE if the request can
 * never fit. Does not send it. */
void uk_request_error(struct uk_request *request, enum uk_error error, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

/* For http, before it sends the reply: calls `finish`. If the reply failed (reply.error: out of
 * memory, or too large), replaces it with an error. */
void uk_request_finish(struct uk_request *request);

/* After uk_request_error: removes the closing brace. The caller appends more fields, each preceded
 * by a comma, and the brace. */
void uk_request_open_error(struct uk_request *request);

/* Appends `{"error": text, "status": N}`. */
void uk_request_write_error(struct uk_buffer *buffer, int status, struct uk_slice text);

/* Sends the reply. Call it exactly once for each request, from any thread. The request may no
 * longer exist when it returns. */
void uk_request_reply(struct uk_request *request);

/* Sends the reply although the operation has not ended. The request, its body and its arena live
 * until uk_request_reply is called too, which then sends nothing. From now on the reply is http's.
 * Call it at most once, from any thread. */
void uk_request_reply_early(struct uk_request *request);

#endif
