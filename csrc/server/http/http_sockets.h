/* http_sockets: which connections have a request in hand, so that a server that stops can refuse
 * what arrives on all others, and refuses nothing that it carries out. */
#ifndef UK_HTTP_SOCKETS_H
#define UK_HTTP_SOCKETS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { UK_SOCKET_BLOCKS = 4096, UK_SOCKETS_PER_BLOCK = 4096 };

struct uk_sockets {
  pthread_mutex_t mutex; /* held while sockets are taken */
  atomic_uchar *_Atomic blocks[UK_SOCKET_BLOCKS];
};

/* Has memory for the lowest numbers. False: out of memory; uk_sockets_free is allowed. */
bool uk_sockets_init(struct uk_sockets *sockets);
void uk_sockets_free(struct uk_sockets *sockets);

/* A connection has opened. Without memory, or with a number beyond the blocks, it is never taken.
 */
void uk_sockets_opened(struct uk_sockets *sockets, int socket);

/* Call it before the socket is closed: afterwards nobody writes to it. */
void uk_sockets_closed(struct uk_sockets *sockets, int socket);

/* A request is in hand: the caller answers it. False: the connection was taken, so the request may
 * not be carried out, and has its answer. */
bool uk_sockets_begin(struct uk_sockets *sockets, int socket);

/* Its answer has been written completely. */
void uk_sockets_end(struct uk_sockets *sockets, int socket);

/* Takes each connection without a request in hand, and calls `each`, which may not wait. */
void uk_sockets_take(struct uk_sockets *sockets, void (*each)(void *argument, int socket),
                     void *argument);

#endif
