/* http_private: what the files of http share. */
#ifndef UK_HTTP_PRIVATE_H
#define UK_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "server/request/request.h"
#include "server/http/http.h"
#include "server/http/listen.h"

typedef enum MHD_Result uk_queue_response(struct MHD_Connection *connection, unsigned int status,
                                          struct MHD_Response *response);

enum { UK_HTTP_IDLE_SECONDS = 75 }; /* a connection without a pending request is closed after */

struct uk_http {
  struct uk_server *server;
  struct MHD_Daemon *daemon;
  struct uk_listener listener;
  size_t max_body_bytes;
  unsigned max_connections;
  size_t max_header_bytes;
  bool tls;
  uk_queue_response *queue_response; /* the library's own; see http_refusal.h */
  char ours,
    surplus; /* their addresses mark the connections, and of these the ones over the limit */
  struct uk_http *next; /* that is registered; see http_refusal.h */

  atomic_uint connections; /* that are open */
  atomic_bool refusing;
  atomic_int unanswered; /* requests that handlers or the engine have in hand */
  atomic_int unsent; /* requests that were given to a handler and whose reply is not written yet */
  atomic_int resuming; /* threads that are inside MHD_resume_connection */

  /* While starting: where the library's complaints to the thread that starts it go. */
  pthread_t starter;
  char *log; /* else NULL; touched by the starter alone */
  size_t log_size;
};

/* The callbacks of http_exchange; `context` of the first and third is a struct uk_http. */
void *uk_http_on_uri(void *context, const char *uri, struct MHD_Connection *connection);
enum MHD_Result uk_http_on_request(void *context, struct MHD_Connection *connection,
                                   const char *url, const char *method, const char *version,
                                   const char *upload, size_t *upload_size, void **exchange);
void uk_http_on_completed(void *context, struct MHD_Connection *connection, void **exchange,
                          enum MHD_RequestTerminationCode code);

#endif
