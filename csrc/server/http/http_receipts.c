#include "server/http/http_receipts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/thread.h"
#include "server/http/http_arrival.h"

enum {
  EVENTS = 64,
  ROOM_LEAST = 64,
  PAUSE = 10,        /* milliseconds between two looks at replies that are pending */
  SLEEP_MOST = 60000 /* milliseconds */
};

static bool was_doubted(const struct uk_receipt *receipt)
{
  return uk_link_is_linked(&receipt->in_doubt);
}

static bool is_late(const struct uk_receipts *receipts, const struct uk_receipt *receipt)
{
  return receipts->clock() - receipt->written >= UK_RECEIPT_PATIENCE;
}

static enum uk_arrival look(const struct uk_receipts *receipts, const struct uk_receipt *receipt)
{
  return uk_arrival_of(receipt->socket, receipt->lingers, is_late(receipts, receipt));
}

static struct uk_list *list_of(struct uk_receipts *receipts, struct uk_slice recipient)
{
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < recipient.length; i++)
    hash = (hash ^ (unsigned char)recipient.data[i]) * 16777619u;
  return &receipts->recipients[hash % UK_RECEIPT_LISTS];
}

/* The next receipt for the recipient in its list; the first one after NULL. */
static struct uk_receipt *next_of(const struct uk_list *list, struct uk_slice recipient,
                                  struct uk_receipt *receipt)
{
  do {
    receipt = receipt == NULL ? UK_LIST_FIRST(list, struct uk_receipt, in_recipients)
                              : UK_LIST_NEXT(list, receipt, struct uk_receipt, in_recipients);
  } while (receipt != NULL && !uk_slice_equal(receipt->recipient, recipient));
  return receipt;
}

static bool make_room(struct uk_receipts *receipts, size_t socket)
{
  size_t room = receipts->room > 0 ? receipts->room : ROOM_LEAST;
  if (socket < receipts->room)
    return true;
  while (room <= socket)
    room *= 2;
  struct uk_receipt **sockets = realloc(receipts->sockets, room * sizeof *sockets);
  if (sockets == NULL)
    return false;
  for (size_t i = receipts->room; i < room; i++)
    sockets[i] = NULL;
  receipts->sockets = sockets;
  receipts->room = room;
  return true;
}

/* The thread looks no later than at that time. */
static void wake(struct uk_receipts *receipts, int64_t time)
{
  const uint64_t one = 1;
  if (time >= receipts->wakes_at)
    return;
  receipts->wakes_at = time;
  (void)!write(receipts->wake, &one, sizeof one);
}

/* Nobody else looks at the receipt, or frees it, while this releases the mutex. */
static void report(struct uk_receipts *receipts, struct uk_receipt *receipt,
                   enum uk_response_outcome outcome)
{
  receipt->reporting = true;
  pthread_mutex_unlock(&receipts->mutex);
  receipt->report(receipt, outcome);
  pthread_mutex_lock(&receipts->mutex);
  receipt->reporting = false;
  pthread_cond_broadcast(&receipts->reported);
}

/* Leaves the connection. */
static void detach(struct uk_receipts *receipts, struct uk_receipt *receipt)
{
  uk_list_remove(&receipt->in_doubt);
  if (receipt->socket < 0)
    return;
  receipts->sockets[receipt->socket] = NULL;
  if (receipt->lingers) {
    uk_list_remove(&receipt->in_line);
    receipts->lingering_count--;
    epoll_ctl(receipts->epoll, EPOLL_CTL_DEL, receipt->socket, NULL);
    close(receipt->socket);
  }
  receipt->socket = -1;
}

static void drop(struct uk_receipts *receipts, struct uk_receipt *receipt)
{
  detach(receipts, receipt);
  uk_list_remove(&receipt->in_recipients);
  free(receipt);
}

/* The last that becomes known of the reply: WRITTEN or FAILED. */
static void conclude(struct uk_receipts *receipts, struct uk_receipt *receipt,
                     enum uk_response_outcome outcome)
{
  const bool news = outcome == UK_RESPONSE_FAILED || was_doubted(receipt);
  detach(receipts, receipt);
  if (news)
    report(receipts, receipt, outcome);
  drop(receipts, receipt);
}

static void doubt(struct uk_receipts *receipts, struct uk_receipt *receipt)
{
  uk_list_add(&receipts->doubted, &receipt->in_doubt);
  wake(receipts, receipts->clock() + PAUSE);
}

/* Looks at the socket. True if something was reported: the mutex was released, and the receipt may
 * be gone. */
static bool examine(struct uk_receipts *receipts, struct uk_receipt *receipt, bool asked)
{
  const enum uk_arrival arrival = look(receipts, receipt);
  const bool doubted = was_doubted(receipt);
  if (arrival == UK_ARRIVAL_FAILED || arrival == UK_ARRIVAL_ENDED) {
    conclude(receipts, receipt,
             arrival == UK_ARRIVAL_FAILED ? UK_RESPONSE_FAILED : UK_RESPONSE_WRITTEN);
    return true;
  }
  if (arrival == UK_ARRIVAL_DUE ? doubted || !asked : !doubted)
    return false;
  if (arrival == UK_ARRIVAL_DUE)
    doubt(receipts, receipt);
  else
    uk_list_remove(&receipt->in_doubt);
  report(receipts, receipt, arrival == UK_ARRIVAL_DUE ? UK_RESPONSE_PENDING : UK_RESPONSE_WRITTEN);
  return true;
}

/* The thread. */

static void look_at(struct uk_receipts *receipts, int socket)
{
  struct uk_receipt *receipt = (size_t)socket < receipts->room ? receipts->sockets[socket] : NULL;
  if (receipt != NULL && receipt->lingers && !receipt->reporting)
    examine(receipts, receipt, false);
}

/* It has lingered long enough. */
static void give_up(struct uk_receipts *receipts, struct uk_receipt *receipt)
{
  const enum uk_arrival arrival = look(receipts, receipt);
  const bool failed = arrival == UK_ARRIVAL_FAILED || arrival == UK_ARRIVAL_DUE;
  conclude(receipts, receipt, failed ? UK_RESPONSE_FAILED : UK_RESPONSE_WRITTEN);
}

static void expire(struct uk_receipts *receipts)
{
  const int64_t now = receipts->clock();
  struct uk_receipt *first;
  while ((first = UK_LIST_FIRST(&receipts->lingering, struct uk_receipt, in_line)) != NULL &&
         first->until <= now && !first->reporting)
    give_up(receipts, first);
}

static void look_again(struct uk_receipts *receipts)
{
  struct uk_receipt *receipt;
  for (size_t left = uk_list_count(&receipts->doubted);
       left > 0 &&
       (receipt = UK_LIST_FIRST(&receipts->doubted, struct uk_receipt, in_doubt)) != NULL;
       left--) {
    uk_list_remove(&receipt->in_doubt);
    uk_list_add(&receipts->doubted, &receipt->in_doubt);
    if (!receipt->reporting)
      examine(receipts, receipt, false);
  }
}

/* Milliseconds for epoll_wait. */
static int next_look(struct uk_receipts *receipts)
{
  const struct uk_receipt *first = UK_LIST_FIRST(&receipts->lingering, struct uk_receipt, in_line);
  const int64_t now = receipts->clock();
  receipts->wakes_at = !uk_list_is_empty(&receipts->doubted) ? now + PAUSE
                       : first != NULL                       ? first->until
                                                             : INT64_MAX;
  if (receipts->wakes_at == INT64_MAX)
    return -1;
  const int64_t pause = receipts->wakes_at - now;
  return pause < 1 ? 1 : pause > SLEEP_MOST ? SLEEP_MOST : (int)pause;
}

static int sleep_on(struct uk_receipts *receipts, struct epoll_event events[static EVENTS])
{
  const int timeout = next_look(receipts);
  pthread_mutex_unlock(&receipts->mutex);
  const int count = epoll_wait(receipts->epoll, events, EVENTS, timeout);
  pthread_mutex_lock(&receipts->mutex);
  return count;
}

static void *run(void *argument)
{
  struct uk_receipts *receipts = argument;
  struct epoll_event events[EVENTS];
  uint64_t wakes;
  pthread_mutex_lock(&receipts->mutex);
  while (!receipts->closed) {
    const int count = sleep_on(receipts, events);
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == receipts->wake)
        (void)!read(receipts->wake, &wakes, sizeof wakes);
      else
        look_at(receipts, events[i].data.fd);
    }
    expire(receipts);
    look_again(receipts);
  }
  pthread_mutex_unlock(&receipts->mutex);
  return NULL;
}

/* Life. */

static bool watch(const struct uk_receipts *receipts, int socket, uint32_t events)
{
  struct epoll_event event = {.events = events, .data.fd = socket};
  return epoll_ctl(receipts->epoll, EPOLL_CTL_ADD, socket, &event) == 0;
}

bool uk_receipts_start(struct uk_receipts *receipts, int64_t (*clock)(void))
{
  *receipts = (struct uk_receipts){.clock = clock,
                                   .epoll = epoll_create1(EPOLL_CLOEXEC),
                                   .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                   .wakes_at = INT64_MAX};
  /* These cannot fail on Linux with default attributes. */
  (void)pthread_mutex_init(&receipts->mutex, NULL);
  (void)pthread_cond_init(&receipts->reported, NULL);
  receipts->running = receipts->epoll >= 0 && receipts->wake >= 0 &&
                      watch(receipts, receipts->wake, EPOLLIN) &&
                      uk_thread_start(&receipts->thread, run, receipts);
  return receipts->running;
}

/* The receipt of a reply that was written to the socket; NULL: there is none. */
static struct uk_receipt *take(struct uk_receipts *receipts, size_t socket)
{
  while (socket < receipts->room && receipts->sockets[socket] != NULL) {
    if (!receipts->sockets[socket]->reporting)
      return receipts->sockets[socket];
    pthread_cond_wait(&receipts->reported, &receipts->mutex);
  }
  return NULL;
}

void uk_receipts_close(struct uk_receipts *receipts)
{
  pthread_mutex_lock(&receipts->mutex);
  receipts->closed = true;
  wake(receipts, INT64_MIN);
  pthread_mutex_unlock(&receipts->mutex);
  if (receipts->running)
    pthread_join(receipts->thread, NULL);
  receipts->running = false;
  pthread_mutex_lock(&receipts->mutex);
  for (size_t i = 0; i < receipts->room; i++) {
    struct uk_receipt *receipt = take(receipts, i);
    if (receipt != NULL)
      drop(receipts, receipt);
  }
  pthread_mutex_unlock(&receipts->mutex);
}

void uk_receipts_free(struct uk_receipts *receipts)
{
  if (receipts->clock == NULL)
    return;
  if (receipts->running)
    uk_receipts_close(receipts);
  if (receipts->epoll >= 0)
    close(receipts->epoll);
  if (receipts->wake >= 0)
    close(receipts->wake);
  pthread_mutex_destroy(&receipts->mutex);
  pthread_cond_destroy(&receipts->reported);
  free(receipts->sockets);
  *receipts = (struct uk_receipts){.clock = NULL};
}

/* Replies. */

bool uk_receipts_follow(struct uk_receipts *receipts, struct uk_receipt *receipt, int socket)
{
  pthread_mutex_lock(&receipts->mutex);
  const bool has_room = socket >= 0 && make_room(receipts, (size_t)socket);
  if (has_room) {
    receipt->socket = -1;
    receipt->connection = socket;
    uk_list_add(list_of(receipts, receipt->recipient), &receipt->in_recipients);
  }
  pthread_mutex_unlock(&receipts->mutex);
  return has_room;
}

void uk_receipts_ask(struct uk_receipts *receipts, struct uk_slice recipient)
{
  const struct uk_list *list = list_of(receipts, recipient);
  struct uk_receipt *receipt = NULL;
  pthread_mutex_lock(&receipts->mutex);
  while (!receipts->closed && (receipt = next_of(list, recipient, receipt)) != NULL) {
    if (receipt->reporting) {
      pthread_cond_wait(&receipts->reported, &receipts->mutex);
      receipt = NULL;
    } else if (receipt->socket < 0) {
      receipt->asked = true;
    } else if (examine(receipts, receipt, true)) {
      receipt = NULL;
    }
  }
  pthread_mutex_unlock(&receipts->mutex);
}

/* Of the recipient's replies only the last one counts. */
static void drop_earlier(struct uk_receipts *receipts, const struct uk_receipt *last)
{
  const struct uk_list *list = list_of(receipts, last->recipient);
  struct uk_receipt *receipt = NULL;
  while ((receipt = next_of(list, last->recipient, receipt)) != NULL) {
    if (receipt->reporting)
      pthread_cond_wait(&receipts->reported, &receipts->mutex);
    else if (receipt->socket >= 0)
      drop(receipts, receipt);
    else
      continue;
    receipt = NULL;
  }
}

/* If a request asked in between, the socket is looked at before anything is reported. */
static void start(struct uk_receipts *receipts, struct uk_receipt *receipt)
{
  receipt->socket = receipt->connection;
  receipt->written = receipts->clock();
  receipts->sockets[receipt->socket] = receipt;
  const enum uk_arrival arrival = receipt->asked ? look(receipts, receipt) : UK_ARRIVAL_OPEN;
  if (arrival == UK_ARRIVAL_FAILED)
    conclude(receipts, receipt, UK_RESPONSE_FAILED);
  else if (arrival == UK_ARRIVAL_DUE)
    doubt(receipts, receipt);
  else
    report(receipts, receipt, UK_RESPONSE_WRITTEN);
}

void uk_receipts_written(struct uk_receipts *receipts, struct uk_receipt *receipt, bool complete)
{
  pthread_mutex_lock(&receipts->mutex);
  receipt->delivery = receipt->delivered != NULL ? *receipt->delivered : 0;
  receipt->delivered = NULL;
  if (receipt->delivery != 0)
    drop_earlier(receipts, receipt);
  if (receipt->delivery == 0) {
    drop(receipts, receipt);
  } else if (complete && !receipts->closed) {
    start(receipts, receipt);
  } else {
    report(receipts, receipt, complete ? UK_RESPONSE_WRITTEN : UK_RESPONSE_FAILED);
    drop(receipts, receipt);
  }
  pthread_mutex_unlock(&receipts->mutex);
}

void uk_receipts_next(struct uk_receipts *receipts, int socket)
{
  pthread_mutex_lock(&receipts->mutex);
  struct uk_receipt *receipt = take(receipts, (size_t)socket);
  if (receipt != NULL)
    conclude(receipts, receipt, UK_RESPONSE_WRITTEN);
  pthread_mutex_unlock(&receipts->mutex);
}

/* Room for one more connection that lingers; the oldest one gives way. */
static bool make_place(struct uk_receipts *receipts)
{
  struct uk_receipt *first = UK_LIST_FIRST(&receipts->lingering, struct uk_receipt, in_line);
  if (receipts->lingering_count < UK_RECEIPTS_LINGERING)
    return true;
  if (first->reporting)
    return false;
  conclude(receipts, first,
           look(receipts, first) == UK_ARRIVAL_FAILED ? UK_RESPONSE_FAILED : UK_RESPONSE_WRITTEN);
  return receipts->lingering_count < UK_RECEIPTS_LINGERING;
}

/* Nobody else may touch the receipt while the oldest one is reported. */
static bool make_place_for(struct uk_receipts *receipts, struct uk_receipt *receipt)
{
  receipt->reporting = true;
  const bool made = make_place(receipts);
  receipt->reporting = false;
  pthread_cond_broadcast(&receipts->reported);
  return made;
}

static bool duplicate(struct uk_receipts *receipts, int socket, int *copy)
{
  *copy = fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (*copy < 0)
    return false;
  if (make_room(receipts, (size_t)*copy) && watch(receipts, *copy, EPOLLET))
    return true;
  close(*copy);
  return false;
}

/* With EPOLLET and no other event, the thread sees each change of the socket once it is closed in
 * both directions. */
static bool linger(struct uk_receipts *receipts, struct uk_receipt *receipt)
{
  int copy;
  if (!make_place_for(receipts, receipt) || !duplicate(receipts, receipt->socket, &copy))
    return false;
  receipts->sockets[receipt->socket] = NULL;
  receipts->sockets[copy] = receipt;
  receipt->socket = copy;
  receipt->lingers = true;
  receipt->until = receipts->clock() + UK_RECEIPT_PATIENCE;
  uk_list_add(&receipts->lingering, &receipt->in_line);
  receipts->lingering_count++;
  shutdown(copy, SHUT_WR);
  wake(receipts, receipt->until);
  return true;
}

bool uk_receipts_closing(struct uk_receipts *receipts, int socket)
{
  bool lingers = false;
  pthread_mutex_lock(&receipts->mutex);
  struct uk_receipt *receipt = take(receipts, (size_t)socket);
  if (receipt != NULL) {
    const enum uk_arrival arrival = look(receipts, receipt);
    const bool open = arrival == UK_ARRIVAL_OPEN || arrival == UK_ARRIVAL_DUE;
    const bool late = is_late(receipts, receipt);
    const bool failed = arrival == UK_ARRIVAL_FAILED || (arrival == UK_ARRIVAL_DUE && late);
    lingers = open && !late && linger(receipts, receipt);
    if (!lingers)
      conclude(receipts, receipt, failed ? UK_RESPONSE_FAILED : UK_RESPONSE_WRITTEN);
  }
  pthread_mutex_unlock(&receipts->mutex);
  return lingers;
}
