#include "server/http/http_acceptor.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/http_reaper.h"

enum {
  ACCEPTS_MAX = 64,       /* of one socket, before the others have their turn */
  REST_MAX = 1 << 16,     /* connections that wait on one socket; the kernel keeps fewer */
  EXHAUSTED_PAUSE = 100,  /* milliseconds */
  PENDING_PATIENCE = 1000 /* milliseconds */
};

enum result { ACCEPTED, NONE_LEFT, EXHAUSTED };

/* Connections that were passed to the library, and that it has not started yet. */
static unsigned long pending(struct uk_acceptor *acceptor)
{
  const unsigned long started = atomic_load(&acceptor->started);
  if ((long)(acceptor->passed - started) < 0) /* it started one that was given up */
    acceptor->passed = started;
  return acceptor->passed - started;
}

/* Milliseconds; while connections are open, the reaper looks at them. */
static int pause_of(struct uk_acceptor *acceptor, bool full, bool exhausted)
{
  if (exhausted && !full)
    return EXHAUSTED_PAUSE;
  return full || atomic_load(&acceptor->open) + pending(acceptor) > 0 ? PENDING_PATIENCE : -1;
}

static bool is_full(struct uk_acceptor *acceptor)
{
  return atomic_load(&acceptor->open) + pending(acceptor) >= acceptor->limit;
}

/* What accept4 says when no connection waits, or none can be accepted. */
static bool ends_accepting(int error)
{
  return error == EAGAIN || error == EWOULDBLOCK || error == EMFILE || error == ENFILE ||
         error == ENOBUFS || error == ENOMEM;
}

/* The library closes the socket of a connection that it cannot take. */
static enum result accept_one(struct uk_acceptor *acceptor, int listener)
{
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  int fd = accept4(listener, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    uk_alarm_clear(&acceptor->alarm, "connections are accepted again");
    if (MHD_add_connection(acceptor->daemon, fd, (struct sockaddr *)&address, length) == MHD_YES)
      acceptor->passed++;
    return ACCEPTED;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return NONE_LEFT;
  if (!ends_accepting(errno))
    return ACCEPTED; /* of this connection alone: its client has gone */
  uk_alarm_raise(&acceptor->alarm, "no connection can be accepted: %s; clients wait",
                 strerror(errno));
  return EXHAUSTED;
}

static enum result accept_some(struct uk_acceptor *acceptor, int listener)
{
  enum result result = ACCEPTED;
  for (int i = 0; i < ACCEPTS_MAX && result == ACCEPTED && !is_full(acceptor); i++)
    result = accept_one(acceptor, listener);
  return result;
}

/* Sets `full`, and looks again: a connection that closed in between has not seen it. */
static bool must_wait(struct uk_acceptor *acceptor)
{
  if (!is_full(acceptor))
    return false;
  atomic_store(&acceptor->full, true);
  return is_full(acceptor);
}

/* What the library has not started within PENDING_PATIENCE it could not start, and has closed. */
static void forget_pending(struct uk_acceptor *acceptor, unsigned long started_before)
{
  unsigned long started = atomic_load(&acceptor->started);
  if (started == started_before)
    acceptor->passed = started;
}

static void drain(int wake)
{
  uint64_t count;
  (void)!read(wake, &count, sizeof count);
}

static void *run(void *context)
{
  struct uk_acceptor *acceptor = context;
  struct pollfd files[1 + UK_LISTENERS_MAX] = {{.fd = acceptor->wake, .events = POLLIN}};
  const struct uk_listeners *listeners = acceptor->listeners;
  enum result result = ACCEPTED;
  for (int i = 0; i < listeners->count; i++)
    files[1 + i] = (struct pollfd){.fd = listeners->sockets[i], .events = POLLIN};
  while (!atomic_load(&acceptor->closing)) {
    const bool full = must_wait(acceptor);
    const unsigned long started = atomic_load(&acceptor->started);
    const bool exhausted = result == EXHAUSTED;
    int ready = poll(files, full || exhausted ? 1 : 1 + (nfds_t)listeners->count,
                     pause_of(acceptor, full, exhausted));
    uk_reaper_look(acceptor->reaper);
    if (full && ready == 0)
      forget_pending(acceptor, started);
    if (ready > 0 && files[0].revents != 0)
      drain(acceptor->wake);
    result = ACCEPTED;
    for (int i = 0; i < listeners->count && result != EXHAUSTED; i++)
      result = accept_some(acceptor, listeners->sockets[i]);
  }
  return NULL;
}

static void wake(struct uk_acceptor *acceptor)
{
  const uint64_t one = 1;
  (void)!write(acceptor->wake, &one, sizeof one);
}

bool uk_acceptor_init(struct uk_acceptor *acceptor)
{
  *acceptor = (struct uk_acceptor){.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  return acceptor->wake >= 0;
}

bool uk_acceptor_start(struct uk_acceptor *acceptor)
{
  acceptor->running = uk_thread_start(&acceptor->thread, run, acceptor);
  return acceptor->running;
}

void uk_acceptor_stop(struct uk_acceptor *acceptor)
{
  if (!acceptor->running)
    return;
  atomic_store(&acceptor->closing, true);
  wake(acceptor);
  pthread_join(acceptor->thread, NULL);
  acceptor->running = false;
}

bool uk_acceptor_drain(struct uk_acceptor *acceptor)
{
  const struct uk_listeners *listeners = acceptor->listeners;
  for (int i = 0; i < listeners->count; i++) {
    while (!is_full(acceptor) && accept_some(acceptor, listeners->sockets[i]) == ACCEPTED)
      continue;
  }
  return atomic_load(&acceptor->open) + pending(acceptor) > 0;
}

bool uk_acceptor_is_starting(struct uk_acceptor *acceptor)
{
  return pending(acceptor) > 0;
}

static void close_waiting(int listener, void (*each)(void *argument, int socket), void *argument)
{
  for (int i = 0; i < REST_MAX; i++) {
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && ends_accepting(errno))
      return;
    if (fd < 0)
      continue; /* its client has gone */
    each(argument, fd);
    close(fd);
  }
}

void uk_acceptor_close_rest(struct uk_acceptor *acceptor, void (*each)(void *argument, int socket),
                            void *argument)
{
  const struct uk_listeners *listeners = acceptor->listeners;
  for (int i = 0; i < listeners->count; i++)
    close_waiting(listeners->sockets[i], each, argument);
}

void uk_acceptor_free(struct uk_acceptor *acceptor)
{
  if (acceptor->wake >= 0)
    close(acceptor->wake);
}

void uk_acceptor_opened(struct uk_acceptor *acceptor)
{
  atomic_fetch_add(&acceptor->started, 1);
  atomic_fetch_add(&acceptor->open, 1);
}

void uk_acceptor_closed(struct uk_acceptor *acceptor)
{
  atomic_fetch_sub(&acceptor->open, 1);
  if (atomic_exchange(&acceptor->full, false))
    wake(acceptor);
}
