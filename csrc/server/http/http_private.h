/* http_private: what the files of http/ share. */
#ifndef UK_HTTP_PRIVATE_H
#define UK_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "server/request/request.h"
#include "server/http/http.h"
#include "server/http/http_hangup.h"
#include "server/http/http_acceptor.h"
#include "server/http/http_pool.h"
#include "server/http/http_reaper.h"
#include "server/http/http_receipts.h"
#include "server/http/http_sockets.h"
#include "server/http/listen.h"
#include "server/watch/error_log.h"

struct uk_certificate;

typedef enum MHD_Result uk_queue_response(struct MHD_Connection *connection, unsigned int status,
                                          struct MHD_Response *response);

#define UK_HTTP_STOPPING "the server is stopping"

struct uk_http {
  struct uk_server *server;
  struct MHD_Daemon *daemon;
  struct uk_listeners listeners;
  struct uk_acceptor acceptor; /* counts the open connections, too */
  struct uk_hangups hangups;   /* clients of suspended connections */
  struct uk_sockets sockets;
  struct uk_pool pool;         /* reads large bodies */
  struct uk_receipts receipts; /* of replies that were written */
  struct uk_proxies proxies;
  struct uk_alarm unforwarded; /* a proxy that names no client; never cleared */
  struct uk_reaper reaper;     /* places and deadlines of connections */
  size_t max_body_bytes;
  size_t max_header_bytes;
  bool tls;
  struct uk_certificate *certificate; /* NULL without TLS */
  bool lines_are_kept;                /* see http_lines.h */
  uk_queue_response *queue_response;  /* the library's own function; see http_refusal.h */
  char ours;                          /* its address marks this server's connections */
  struct uk_http *next;               /* in the list of registered servers; see http_refusal.h */

  int64_t send_milliseconds;  /* how long uk_http_stop waits for clients that do not read */
  int64_t start_milliseconds; /* how long it waits for the library to start connections */
  atomic_bool refusing;
  atomic_bool refuses_open; /* connections, and those that the library starts from now on */
  atomic_int unanswered;    /* requests that a handler or the engine has not answered yet */
  atomic_int unsent;        /* requests passed to a handler whose reply is not completely written */
  atomic_int in_hand;       /* see uk_exchange_begin; until the reply is written */
  atomic_int begun;         /* requests whose first line has been read, and that have not ended */
  atomic_int resuming;      /* threads inside MHD_resume_connection, and jobs of the pool */

  /* During the start: receives the library's messages on the starting thread. */
  pthread_t starter;
  char *log; /* NULL after the start; used by the starter only */
  size_t log_size;
};

/* http_exchange, http_completion: callbacks for the library. `context` is a struct uk_http. */
void *uk_http_on_uri(void *context, const char *uri, struct MHD_Connection *connection);
enum MHD_Result uk_http_on_request(void *context, struct MHD_Connection *connection,
                                   const char *url, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **exchange);
/* http_hangup's callback: the client of this exchange, which is suspended, has hung up. */
void uk_http_on_hangup(void *exchange);
void uk_http_on_completed(void *context, struct MHD_Connection *connection, void **exchange,
                          enum MHD_RequestTerminationCode code);

#endif
