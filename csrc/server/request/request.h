/* request: one HTTP request and its reply, as handlers see them. http fills the first half, a
 * handler the second, and uk_request_reply sends the reply. What only http can do goes through a
 * table of methods, so that handlers and their tests need no HTTP. */
#ifndef UK_SERVER_REQUEST_H
#define UK_SERVER_REQUEST_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/protocol.h"

struct uk_server;
struct uk_credential;

enum {
  UK_PATH_PARAMETERS = 3,
  UK_REPLY_HEADERS = 16,        /* the most that one reply has, beside those of the HTTP library */
  UK_REPLY_HEAD_BYTES = 2 << 10 /* the most that the head of a reply takes, all headers together */
};

/* What a browser says of the page that a request comes from. Zero for every other client. */
struct uk_browser {
  struct uk_slice origin; /* Origin; data NULL when there is none. Only until the handler has run */
  const char *allowed;    /* Access-Control-Allow-Origin for it; NULL when CORS does not admit it */
  bool has_fetch_mode;    /* there is a Sec-Fetch-Mode */
  bool foreign;           /* Sec-Fetch-Site: another site or another origin */
  bool own;               /* Sec-Fetch-Site: a page of this server */
  bool unscripted;        /* Sec-Fetch-Mode: navigate or no-cors, which need no script's consent */
};

struct uk_request;

typedef void uk_header_visitor(void *argument, struct uk_slice name, struct uk_slice value);

/* What http does for a request; the functions of the same names below say how. */
struct uk_request_methods {
  struct uk_slice (*header)(const struct uk_request *request, const char *name);
  void (*each_header)(const struct uk_request *request, uk_header_visitor *each, void *argument);
  bool (*is_client_alive)(const struct uk_request *request);
  void (*reply)(struct uk_request *request);
};

struct uk_request {
  const struct uk_request_methods *methods; /* NULL for a reply without a request */
  struct uk_server *server;

  /* What was asked. The bytes live as long as the request and are the handler's to change. */
  enum uk_method method;
  enum uk_endpoint endpoint;
  char *path;  /* raw, NUL-terminated, without the query; the router decodes it in place */
  char *query; /* raw, NUL-terminated, "" when there is none */
  char *body;  /* unzipped; NULL when length is 0 */
  size_t body_length;
  struct uk_slice parameters[UK_PATH_PARAMETERS]; /* of the route, percent-decoded */
  const struct uk_credential *credential;         /* NULL where the endpoint asks for none */
  const char *allow;                              /* in the arena: the path's methods, where the
                                                     request's is OPTIONS or none of them */
  struct uk_browser browser;

  /* For whatever the handler needs until the reply is sent. */
  struct uk_arena arena;
  void *operation;  /* the handler's running engine operation, in the arena */
  bool carried_out; /* it changed something, or may have: no answer may deny that */

  /* The reply. */
  int status;
  struct uk_buffer reply; /* the body: JSON */
  struct {
    const char *name;  /* static */
    const char *value; /* static or in the arena */
  } reply_headers[UK_REPLY_HEADERS];
  unsigned reply_header_count;
  /* Makes the reply out of the operation's outcome. Called once, after uk_request_reply, on the
   * HTTP thread that sends it, so that an engine's thread need not. May be NULL: then the reply is
   * there already. */
  void (*finish)(struct uk_request *request);
  /* Called once, on any thread, after the reply was written whole (true) or could not be (false).
   * May be NULL. */
  void (*response_finished)(struct uk_request *request, bool complete);
};

/* A request header, by name without case and without the white space around its value; an empty
 * slice with data NULL when it is absent. Only while the handler runs, as the next. */
struct uk_slice uk_request_header(const struct uk_request *request, const char *name);

/* Calls `each` for every request header, in order. */
void uk_request_each_header(const struct uk_request *request, uk_header_visitor *each,
                            void *argument);

/* How a query value is written. */
enum uk_query_form {
  UK_QUERY_FORM,    /* percent-encoded, '+' for a blank */
  UK_QUERY_PERCENT, /* percent-encoded, '+' for itself */
  UK_QUERY_AS_SENT  /* not encoded */
};

/* A query value, decoded from UK_QUERY_FORM into the arena. 1: found, 0: absent, -1: malformed or
 * memory is out, and the reply is an error already. */
int uk_request_query(struct uk_request *request, const char *name, struct uk_slice *value);

/* The same from any form. False when it is absent or malformed, or memory is out; makes no reply. */
bool uk_request_query_as(struct uk_request *request, const char *name, enum uk_query_form form,
                         struct uk_slice *value);

/* Refuses (false, the reply is an error already) a query parameter that is not among the `count`
 * names and does not start with '_', and one that is repeated. */
bool uk_request_query_known(struct uk_request *request, const char *const *names, size_t count);

/* Refuses (false, the reply is an error already) one of the `count` names that is repeated; others
 * pass, whatever they are. */
bool uk_request_query_unique(struct uk_request *request, const char *const *names, size_t count);

/* Whether the client's connection still stands. From any thread. */
bool uk_request_is_client_alive(const struct uk_request *request);

/* Both texts are static or in the arena. A header past UK_REPLY_HEADERS, a fault of the program,
 * turns the reply into a 500. */
void uk_request_add_header(struct uk_request *request, const char *name, const char *value);

/* Makes the reply `{"error": text, "status": N}` with the headers that the status asks for
 * (Retry-After, WWW-Authenticate; the latter not for a browser's page, which would be taught to
 * remember the credentials). `format` NULL: the error's own text. Does not send it. */
void uk_request_error(struct uk_request *request, enum uk_error error, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

/* For http, before it sends the reply: calls `finish`, and puts an error in the place of a reply that
 * failed (reply.error), because there was no memory for it or because it is too large. */
void uk_request_finish(struct uk_request *request);

/* After uk_request_error: takes the closing brace back, for more fields. Whoever calls it writes
 * them, each behind a comma, and the brace. */
void uk_request_open_error(struct uk_request *request);

/* Appends `{"error": text, "status": N}`. */
void uk_request_write_error(struct uk_buffer *buffer, int status, struct uk_slice text);

/* Sends the reply (a reply buffer in error becomes a 500 or 503). Exactly once for each request,
 * from any thread; the request may be gone when it returns. */
void uk_request_reply(struct uk_request *request);

#endif
