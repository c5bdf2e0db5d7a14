/* http_hangup: notices clients that hang up while their requests wait.
 *
 * The HTTP library does not look at a suspended connection. A thread watches the sockets of waiting
 * requests instead; the end of a client's sending side counts as a hang-up. */
#ifndef UK_HTTP_HANGUP_H
#define UK_HTTP_HANGUP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uk_hangup_watch {
  void *owner; /* NULL: the socket is not watched */
  uint32_t generation;
};

struct uk_hangups {
  void (*gone)(void *owner);
  int epoll, stop;
  bool running;
  pthread_t thread;
  pthread_mutex_t mutex;           /* guards the rest */
  pthread_cond_t idle;             /* `busy` has changed */
  struct uk_hangup_watch *sockets; /* by number */
  size_t room;
  const void *busy; /* the owner for which `gone` runs */
};

/* Starts the thread, which calls `gone` at most once for each uk_hangups_add. False: the system has
 * no resources for it; uk_hangups_stop frees what there is. */
bool uk_hangups_start(struct uk_hangups *hangups, void (*gone)(void *owner));

/* Ends the thread. Precondition: no socket is watched. A zeroed struct is allowed. */
void uk_hangups_stop(struct uk_hangups *hangups);

/* Watches the socket. Without memory it is not watched: its client is noticed when it is answered.
 */
void uk_hangups_add(struct uk_hangups *hangups, int socket, void *owner);

/* Stops watching. Then `gone` does not run for the owner, unless this is called by it. Call it
 * before the socket can be closed and the owner freed. */
void uk_hangups_remove(struct uk_hangups *hangups, int socket, const void *owner);

#endif
