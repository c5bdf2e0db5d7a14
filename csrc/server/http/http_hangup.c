#include "server/http/http_hangup.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/thread.h"

enum { EVENTS = 64, ROOM_LEAST = 64 };

/* An event says which socket, and which of the owners that it had. */
static uint64_t event_data(int socket, uint32_t generation)
{
  return (uint64_t)generation << 32 | (uint32_t)socket;
}

/* Takes the owner out. NULL: it was removed, or is another one by now. Under the mutex. */
static void *take_owner(struct uk_hangups *hangups, uint64_t data)
{
  size_t socket = (uint32_t)data;
  struct uk_hangup_watch *watch = &hangups->sockets[socket];
  void *owner = watch->generation == data >> 32 ? watch->owner : NULL;
  if (owner == NULL)
    return NULL;
  watch->owner = NULL;
  epoll_ctl(hangups->epoll, EPOLL_CTL_DEL, (int)socket, NULL);
  return owner;
}

static void report(struct uk_hangups *hangups, uint64_t data)
{
  pthread_mutex_lock(&hangups->mutex);
  void *owner = take_owner(hangups, data);
  hangups->busy = owner;
  pthread_mutex_unlock(&hangups->mutex);
  if (owner == NULL)
    return;
  hangups->gone(owner);
  pthread_mutex_lock(&hangups->mutex);
  hangups->busy = NULL;
  pthread_cond_broadcast(&hangups->idle);
  pthread_mutex_unlock(&hangups->mutex);
}

static void *run(void *argument)
{
  struct uk_hangups *hangups = argument;
  const uint64_t stop = event_data(hangups->stop, 0);
  struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(hangups->epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == stop)
        return NULL;
      report(hangups, events[i].data.u64);
    }
  }
}

static bool watch(struct uk_hangups *hangups, int socket, uint32_t events, uint32_t generation)
{
  struct epoll_event event = {.events = events, .data.u64 = event_data(socket, generation)};
  return epoll_ctl(hangups->epoll, EPOLL_CTL_ADD, socket, &event) == 0;
}

bool uk_hangups_start(struct uk_hangups *hangups, void (*gone)(void *owner))
{
  *hangups = (struct uk_hangups){.gone = gone,
                                 .epoll = epoll_create1(EPOLL_CLOEXEC),
                                 .stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  /* These cannot fail on Linux with default attributes. */
  (void)pthread_mutex_init(&hangups->mutex, NULL);
  (void)pthread_cond_init(&hangups->idle, NULL);
  hangups->running = hangups->epoll >= 0 && hangups->stop >= 0 &&
                     watch(hangups, hangups->stop, EPOLLIN, 0) &&
                     uk_thread_start(&hangups->thread, run, hangups);
  return hangups->running;
}

void uk_hangups_stop(struct uk_hangups *hangups)
{
  const uint64_t one = 1;
  if (hangups->gone == NULL)
    return;
  if (hangups->running) {
    (void)!write(hangups->stop, &one, sizeof one);
    pthread_join(hangups->thread, NULL);
  }
  if (hangups->epoll >= 0)
    close(hangups->epoll);
  if (hangups->stop >= 0)
    close(hangups->stop);
  pthread_mutex_destroy(&hangups->mutex);
  pthread_cond_destroy(&hangups->idle);
  free(hangups->sockets);
  *hangups = (struct uk_hangups){.gone = NULL};
}

/* Under the mutex. */
static bool make_room(struct uk_hangups *hangups, size_t socket)
{
  size_t room = hangups->room > 0 ? hangups->room : ROOM_LEAST;
  if (socket < hangups->room)
    return true;
  while (room <= socket)
    room *= 2;
  struct uk_hangup_watch *sockets = realloc(hangups->sockets, room * sizeof *sockets);
  if (sockets == NULL)
    return false;
  for (size_t i = hangups->room; i < room; i++)
    sockets[i] = (struct uk_hangup_watch){.generation = 1};
  hangups->sockets = sockets;
  hangups->room = room;
  return true;
}

void uk_hangups_add(struct uk_hangups *hangups, int socket, void *owner)
{
  pthread_mutex_lock(&hangups->mutex);
  if (socket >= 0 && make_room(hangups, (size_t)socket)) {
    struct uk_hangup_watch *at = &hangups->sockets[socket];
    at->generation++;
    at->owner = watch(hangups, socket, EPOLLRDHUP, at->generation) ? owner : NULL;
  }
  pthread_mutex_unlock(&hangups->mutex);
}

void uk_hangups_remove(struct uk_hangups *hangups, int socket, const void *owner)
{
  pthread_mutex_lock(&hangups->mutex);
  if (socket >= 0 && (size_t)socket < hangups->room && hangups->sockets[socket].owner == owner) {
    hangups->sockets[socket].owner = NULL;
    epoll_ctl(hangups->epoll, EPOLL_CTL_DEL, socket, NULL);
  }
  while (hangups->busy == owner && !pthread_equal(pthread_self(), hangups->thread))
    pthread_cond_wait(&hangups->idle, &hangups->mutex);
  pthread_mutex_unlock(&hangups->mutex);
}
