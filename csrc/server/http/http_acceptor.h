/* http_acceptor: accepts connections on the listening sockets and passes them to the library, in a
 * thread of its own, which is the reaper's too. The library can wait on one socket only, and it
 * would accept as soon as it exists, while the rest of the server is not ready yet. */
#ifndef UK_HTTP_ACCEPTOR_H
#define UK_HTTP_ACCEPTOR_H

#include <stdatomic.h>

#include "common/thread.h"
#include "server/http/listen.h"
#include "server/watch/error_log.h"

struct MHD_Daemon;
struct uk_reaper;

struct uk_acceptor {
  struct MHD_Daemon *daemon;
  const struct uk_listeners *listeners;
  struct uk_reaper *reaper;
  unsigned limit; /* of open connections; more wait in the kernel's queue */
  int wake;       /* an eventfd, or -1 */
  pthread_t thread;
  bool running;
  atomic_bool closing;
  atomic_bool full;      /* it waits until a connection closes */
  atomic_uint open;      /* connections that the library has started, and not closed yet */
  atomic_ulong started;  /* connections that the library has ever started */
  unsigned long passed;  /* connections that the library was given; the thread's own */
  struct uk_alarm alarm; /* no descriptor or memory for a connection */
};

/* False when there is no descriptor for it. */
bool uk_acceptor_init(struct uk_acceptor *acceptor);

/* Starts the thread. Precondition: daemon, listeners, reaper and limit are
 * set. False when the system has
 * no resources for it. */
bool uk_acceptor_start(struct uk_acceptor *acceptor);

/* Ends the thread, if it was started. Connections may still close. */
void uk_acceptor_stop(struct uk_acceptor *acceptor);

/* Accepts the connections that wait, as far as the limit allows. True: a connection is open.
 * Precondition: uk_acceptor_stop. */
bool uk_acceptor_drain(struct uk_acceptor *acceptor);

/* Whether the library has yet to start a connection that it was given. One that it cannot start it
 * closes without a word, so this may stay true. Precondition: uk_acceptor_stop. */
bool uk_acceptor_is_starting(struct uk_acceptor *acceptor);

/* Accepts the connections that still wait, whatever the limit, and closes each after it was passed
 * to `each`, which may not wait. Precondition: uk_acceptor_stop, and uk_listen_refuse. */
void uk_acceptor_close_rest(struct uk_acceptor *acceptor, void (*each)(void *argument, int socket),
                            void *argument);

/* Precondition: no connection is open. */
void uk_acceptor_free(struct uk_acceptor *acceptor);

/* For the library's notifications. */
void uk_acceptor_opened(struct uk_acceptor *acceptor);
void uk_acceptor_closed(struct uk_acceptor *acceptor);

#endif
