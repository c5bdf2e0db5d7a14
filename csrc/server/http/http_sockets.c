#include "server/http/http_sockets.h"

#include <stdlib.h>

enum state { UNKNOWN, OPEN, IN_HAND, TAKEN };

void uk_sockets_free(struct uk_sockets *sockets)
{
  for (int i = 0; i < UK_SOCKET_BLOCKS; i++)
    free((void *)atomic_load(&sockets->blocks[i]));
  pthread_mutex_destroy(&sockets->mutex);
}

static bool is_in_range(int socket)
{
  return socket >= 0 && socket < UK_SOCKET_BLOCKS * UK_SOCKETS_PER_BLOCK;
}

/* The state of a socket; NULL: it is not known. */
static atomic_uchar *state_of(struct uk_sockets *sockets, int socket)
{
  atomic_uchar *block =
    is_in_range(socket) ? atomic_load(&sockets->blocks[socket / UK_SOCKETS_PER_BLOCK]) : NULL;
  return block != NULL ? &block[socket % UK_SOCKETS_PER_BLOCK] : NULL;
}

static void make_block(struct uk_sockets *sockets, int socket)
{
  atomic_uchar *_Atomic *block = &sockets->blocks[socket / UK_SOCKETS_PER_BLOCK];
  pthread_mutex_lock(&sockets->mutex);
  if (atomic_load(block) == NULL)
    atomic_store(block, calloc(UK_SOCKETS_PER_BLOCK, sizeof(atomic_uchar)));
  pthread_mutex_unlock(&sockets->mutex);
}

bool uk_sockets_init(struct uk_sockets *sockets)
{
  /* This cannot fail on Linux with default attributes. */
  (void)pthread_mutex_init(&sockets->mutex, NULL);
  for (int i = 0; i < UK_SOCKET_BLOCKS; i++)
    atomic_init(&sockets->blocks[i], NULL);
  make_block(sockets, 0);
  return state_of(sockets, 0) != NULL;
}

void uk_sockets_opened(struct uk_sockets *sockets, int socket)
{
  if (is_in_range(socket) && state_of(sockets, socket) == NULL)
    make_block(sockets, socket);
  atomic_uchar *state = state_of(sockets, socket);
  if (state != NULL)
    atomic_store(state, OPEN);
}

void uk_sockets_closed(struct uk_sockets *sockets, int socket)
{
  atomic_uchar *state = state_of(sockets, socket);
  if (state == NULL || atomic_exchange(state, UNKNOWN) != TAKEN)
    return;
  pthread_mutex_lock(&sockets->mutex);
  pthread_mutex_unlock(&sockets->mutex);
}

/* Whether the socket is not known, or was in state `from` and is now in `to`. */
static bool change(struct uk_sockets *sockets, int socket, unsigned char from, unsigned char to)
{
  atomic_uchar *state = state_of(sockets, socket);
  unsigned char expected = from;
  return state == NULL || atomic_compare_exchange_strong(state, &expected, to) ||
         expected == UNKNOWN;
}

bool uk_sockets_begin(struct uk_sockets *sockets, int socket)
{
  return change(sockets, socket, OPEN, IN_HAND);
}

void uk_sockets_end(struct uk_sockets *sockets, int socket)
{
  change(sockets, socket, IN_HAND, OPEN);
}

void uk_sockets_take(struct uk_sockets *sockets, void (*each)(void *argument, int socket),
                     void *argument)
{
  pthread_mutex_lock(&sockets->mutex);
  for (int i = 0; i < UK_SOCKET_BLOCKS; i++) {
    atomic_uchar *block = atomic_load(&sockets->blocks[i]);
    for (int j = 0; j < UK_SOCKETS_PER_BLOCK && block != NULL; j++) {
      unsigned char expected = OPEN;
      if (atomic_compare_exchange_strong(&block[j], &expected, TAKEN))
        each(argument, i * UK_SOCKETS_PER_BLOCK + j);
    }
  }
  pthread_mutex_unlock(&sockets->mutex);
}
