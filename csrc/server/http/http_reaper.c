#include "server/http/http_reaper.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
  PHASE_BITS = 3,
  PHASE_MASK = (1 << PHASE_BITS) - 1,
  IN_ONE_LOOK = 256, /* connections, before others may take the mutex */
  IDLE_PAUSE = 5000  /* milliseconds between two looks for the first byte of a next request */
};

/* `state` holds the phase and, above it, when it began. */
struct uk_connection {
  struct uk_link in_every, in_strangers;
  struct uk_address_places *of; /* its address; NULL if it does not count */
  const void *session;
  int socket;
  bool has_place;
  atomic_bool surplus; /* opened without a place */
  atomic_bool trusted;
  atomic_bool long_line;
  atomic_int verdict;
  atomic_uint_fast64_t state;
  atomic_uint_fast64_t received; /* of the body */

  /* What the reaper saw: in BODY and REPLY, at the start of the current period. */
  uint64_t seen_state;
  int64_t seen_at;
  uint64_t seen_bytes;
  int seen_queued;  /* for a unix socket, see acknowledged */
  uint64_t guessed; /* the same */
};

static enum uk_phase phase_of(uint64_t state)
{
  return (enum uk_phase)(state & PHASE_MASK);
}

static int64_t began(uint64_t state)
{
  return (int64_t)(state >> PHASE_BITS);
}

static uint64_t state_at(enum uk_phase phase, int64_t now)
{
  return (uint64_t)now << PHASE_BITS | (uint64_t)phase;
}

static bool is_in_range(int socket)
{
  return socket >= 0 && socket < UK_REAPER_BLOCKS * UK_REAPER_PER_BLOCK;
}

static struct uk_connection *slot_of(struct uk_reaper *reaper, int socket)
{
  struct uk_connection *block =
    is_in_range(socket) ? atomic_load(&reaper->blocks[socket / UK_REAPER_PER_BLOCK]) : NULL;
  return block != NULL ? &block[socket % UK_REAPER_PER_BLOCK] : NULL;
}

/* NULL: there is no such connection. */
static struct uk_connection *connection_of(struct uk_reaper *reaper, int socket)
{
  struct uk_connection *connection = slot_of(reaper, socket);
  const bool open =
    connection != NULL && phase_of(atomic_load(&connection->state)) != UK_PHASE_NONE;
  return open ? connection : NULL;
}

/* Under the mutex. NULL: out of memory, or the number is too high. */
static struct uk_connection *make_slot(struct uk_reaper *reaper, int socket)
{
  if (is_in_range(socket) && slot_of(reaper, socket) == NULL)
    atomic_store(&reaper->blocks[socket / UK_REAPER_PER_BLOCK],
                 calloc(UK_REAPER_PER_BLOCK, sizeof(struct uk_connection)));
  return slot_of(reaper, socket);
}

bool uk_reaper_init(struct uk_reaper *reaper, const struct uk_reaper_limits *limits, bool tls,
                    int64_t (*clock)(void))
{
  *reaper = (struct uk_reaper){.clock = clock, .limits = *limits, .tls = tls};
  /* This cannot fail on Linux with default attributes. */
  (void)pthread_mutex_init(&reaper->mutex, NULL);
  uk_places_init(&reaper->places);
  return make_slot(reaper, 0) != NULL;
}

void uk_reaper_free(struct uk_reaper *reaper)
{
  if (reaper->clock == NULL)
    return;
  for (int i = 0; i < UK_REAPER_BLOCKS; i++)
    free(atomic_load(&reaper->blocks[i]));
  pthread_mutex_destroy(&reaper->mutex);
  reaper->clock = NULL;
}

/* Ending connections. Under the mutex. */

static void leave_place(struct uk_reaper *reaper, struct uk_connection *connection)
{
  uk_list_remove(&connection->in_strangers);
  reaper->taken -= connection->has_place ? 1 : 0;
  connection->has_place = false;
}

/* A client that is too slow, or gives way, may still read why: without TLS only what it sends is
 * shut off. What waits for a client that does not read is dropped, not kept by the system. */
static void shut_down(const struct uk_reaper *reaper, const struct uk_connection *connection,
                      enum uk_phase phase)
{
  const struct linger drop = {.l_onoff = 1};
  if (phase == UK_PHASE_REPLY)
    (void)setsockopt(connection->socket, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
  shutdown(connection->socket, reaper->tls || phase == UK_PHASE_REPLY ? SHUT_RDWR : SHUT_RD);
}

/* Unless it has entered another phase. */
static bool end(struct uk_reaper *reaper, struct uk_connection *connection, uint64_t state,
                enum uk_verdict verdict)
{
  uint_fast64_t expected = state;
  int none = UK_VERDICT_NONE;
  if (!atomic_compare_exchange_strong(&connection->state, &expected,
                                      state_at(UK_PHASE_ENDED, began(state))))
    return false;
  atomic_compare_exchange_strong(&connection->verdict, &none, (int)verdict);
  leave_place(reaper, connection);
  shut_down(reaper, connection, phase_of(state));
  return true;
}

/* Deadlines. Under the mutex. */

/* Whether bytes of the client wait for the server, which is then the slow one. */
static bool has_unread(const struct uk_connection *connection)
{
  int unread = 0;
  return ioctl(connection->socket, FIONREAD, &unread) == 0 && unread > 0;
}

/* A busy server takes twice as long until it blames the client. */
static bool has_passed(const struct uk_connection *connection, int64_t elapsed, int64_t limit)
{
  if (limit <= 0 || elapsed <= limit)
    return false;
  return elapsed > 2 * limit || !has_unread(connection);
}

/* How many bytes the client has acknowledged. A unix socket does not count them, but what waits in
 * it changes while its client reads. */
static uint64_t acknowledged(struct uk_connection *connection)
{
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  int queued = 0;
  if (getsockopt(connection->socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
    return info.tcpi_bytes_acked;
  (void)ioctl(connection->socket, TIOCOUTQ, &queued);
  if (queued == 0 || queued != connection->seen_queued)
    connection->guessed += INT32_MAX;
  connection->seen_queued = queued;
  return connection->guessed;
}

/* Starts a period. */
static void see(struct uk_connection *connection, uint64_t state, int64_t at, uint64_t bytes)
{
  connection->seen_state = state;
  connection->seen_at = at;
  connection->seen_bytes = bytes;
}

static bool is_slow(const struct uk_reaper *reaper, struct uk_connection *connection,
                    uint64_t state, int64_t now)
{
  const struct uk_reaper_limits *limits = &reaper->limits;
  const bool in_body = phase_of(state) == UK_PHASE_BODY;
  const uint64_t bytes = in_body ? atomic_load(&connection->received) : acknowledged(connection);
  if (connection->seen_state != state)
    see(connection, state, in_body ? began(state) : now, in_body ? 0 : bytes);
  const int64_t elapsed = now - connection->seen_at;
  if (limits->rate <= 0 || limits->period <= 0 || elapsed <= limits->period)
    return false;
  if (bytes - connection->seen_bytes < (uint64_t)(limits->rate * limits->period / 1000))
    return !in_body || has_passed(connection, elapsed, limits->period);
  see(connection, state, now, bytes);
  return false;
}

/* Notices the first bytes of a next request: the library tells only of a whole line. */
static void notice_head(struct uk_connection *connection, uint64_t state, int64_t now)
{
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  uint_fast64_t expected = state;
  const bool is_new = connection->seen_state != state;
  if ((!is_new && now - connection->seen_at < IDLE_PAUSE) ||
      getsockopt(connection->socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
    return;
  if (!is_new && info.tcpi_bytes_received != connection->seen_bytes)
    atomic_compare_exchange_strong(&connection->state, &expected, state_at(UK_PHASE_HEAD, now));
  see(connection, state, now, info.tcpi_bytes_received);
}

static int64_t head_limit(const struct uk_reaper *reaper, const struct uk_connection *connection)
{
  const int64_t limit = reaper->limits.head;
  const bool is_short = atomic_load(&connection->surplus) && !connection->has_place &&
                        (limit <= 0 || limit > UK_REAPER_SURPLUS);
  return is_short ? UK_REAPER_SURPLUS : limit;
}

static bool is_late(const struct uk_reaper *reaper, struct uk_connection *connection,
                    uint64_t state, int64_t now)
{
  const int64_t elapsed = now - began(state);
  switch (phase_of(state)) {
  case UK_PHASE_HANDSHAKE: return has_passed(connection, elapsed, reaper->limits.handshake);
  case UK_PHASE_HEAD: return has_passed(connection, elapsed, head_limit(reaper, connection));
  case UK_PHASE_IDLE:
    notice_head(connection, state, now);
    return has_passed(connection, elapsed, reaper->limits.idle);
  case UK_PHASE_BODY:
  case UK_PHASE_REPLY: return is_slow(reaper, connection, state, now);
  default: return false;
  }
}

/* Looks at the first connections of the list, and puts them at its end. */
static void look_at_some(struct uk_reaper *reaper, size_t count, int64_t now)
{
  struct uk_connection *connection;
  while (count-- > 0 &&
         (connection = UK_LIST_TAKE(&reaper->every, struct uk_connection, in_every)) != NULL) {
    const uint64_t state = atomic_load(&connection->state);
    uk_list_add(&reaper->every, &connection->in_every);
    if (is_late(reaper, connection, state, now))
      end(reaper, connection, state, UK_VERDICT_LATE);
  }
}

void uk_reaper_look(struct uk_reaper *reaper)
{
  const int64_t now = reaper->clock != NULL ? reaper->clock() : 0;
  if (reaper->clock == NULL || now - reaper->looked < UK_REAPER_PAUSE)
    return;
  reaper->looked = now;
  pthread_mutex_lock(&reaper->mutex);
  for (size_t left = reaper->open; left > 0;) {
    const size_t count = left < IN_ONE_LOOK ? left : IN_ONE_LOOK;
    look_at_some(reaper, count, now);
    left -= count;
    pthread_mutex_unlock(&reaper->mutex);
    pthread_mutex_lock(&reaper->mutex);
  }
  pthread_mutex_unlock(&reaper->mutex);
}

/* Places. Under the mutex. */

/* One that enters another phase at the same moment stays: it is not a silent one. */
static bool evict(struct uk_reaper *reaper)
{
  struct uk_connection *oldest =
    UK_LIST_FIRST(&reaper->strangers, struct uk_connection, in_strangers);
  while (oldest != NULL) {
    const uint64_t state = atomic_load(&oldest->state);
    if (phase_of(state) != UK_PHASE_HANDLER && end(reaper, oldest, state, UK_VERDICT_GAVE_WAY))
      return true;
    oldest = UK_LIST_NEXT(&reaper->strangers, oldest, struct uk_connection, in_strangers);
  }
  return false;
}

static enum uk_place take_place(struct uk_reaper *reaper, struct uk_connection *connection)
{
  const struct uk_reaper_limits *limits = &reaper->limits;
  if (connection->of != NULL && limits->per_address > 0 &&
      connection->of->count > limits->per_address)
    return UK_PLACE_CROWD;
  if (limits->connections > 0 && reaper->taken >= limits->connections && !evict(reaper))
    return UK_PLACE_FULL;
  reaper->taken++;
  connection->has_place = true;
  if (!atomic_load(&connection->trusted))
    uk_list_add(&reaper->strangers, &connection->in_strangers);
  return UK_PLACE_TAKEN;
}

/* The connection is not served. */
static enum uk_place turn_away(struct uk_reaper *reaper, struct uk_connection *connection,
                               enum uk_verdict verdict)
{
  atomic_store(&connection->verdict, (int)verdict);
  end(reaper, connection, atomic_load(&connection->state), verdict);
  return UK_PLACE_NONE;
}

static enum uk_place find_place(struct uk_reaper *reaper, struct uk_connection *connection)
{
  const enum uk_place place = take_place(reaper, connection);
  atomic_store(&connection->surplus, place != UK_PLACE_TAKEN);
  if (place == UK_PLACE_CROWD &&
      connection->of->count > reaper->limits.per_address + UK_REAPER_CROWD)
    return turn_away(reaper, connection, UK_VERDICT_CROWD);
  return place;
}

static void begin(struct uk_reaper *reaper, struct uk_connection *connection, int socket,
                  const void *session)
{
  const enum uk_phase phase = reaper->tls ? UK_PHASE_HANDSHAKE : UK_PHASE_HEAD;
  connection->socket = socket;
  connection->session = session;
  connection->of = NULL;
  connection->seen_state = 0;
  atomic_store(&connection->trusted, false);
  atomic_store(&connection->long_line, false);
  atomic_store(&connection->verdict, UK_VERDICT_NONE);
  atomic_store(&connection->state, state_at(phase, reaper->clock()));
  uk_list_add(&reaper->every, &connection->in_every);
  reaper->open++;
}

static enum uk_place open_one(struct uk_reaper *reaper, int socket,
                              const struct uk_client_address *address, bool counted,
                              const void *session)
{
  struct uk_connection *connection = make_slot(reaper, socket);
  if (connection == NULL) {
    shutdown(socket, SHUT_RDWR);
    return UK_PLACE_NONE;
  }
  begin(reaper, connection, socket, session);
  if (counted && (connection->of = uk_places_take(&reaper->places, address)) == NULL)
    return turn_away(reaper, connection, UK_VERDICT_NO_MEMORY);
  return find_place(reaper, connection);
}

/* What the library's threads call. */

bool uk_reaper_evict(struct uk_reaper *reaper)
{
  if (reaper->clock == NULL)
    return false;
  pthread_mutex_lock(&reaper->mutex);
  const bool evicted = evict(reaper);
  pthread_mutex_unlock(&reaper->mutex);
  return evicted;
}

enum uk_place uk_reaper_open(struct uk_reaper *reaper, int socket,
                             const struct uk_client_address *address, bool counted,
                             const void *session)
{
  if (reaper->clock == NULL)
    return UK_PLACE_TAKEN;
  pthread_mutex_lock(&reaper->mutex);
  const enum uk_place place = open_one(reaper, socket, address, counted, session);
  pthread_mutex_unlock(&reaper->mutex);
  return place;
}

void uk_reaper_closed(struct uk_reaper *reaper, int socket)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  if (connection == NULL)
    return;
  pthread_mutex_lock(&reaper->mutex);
  leave_place(reaper, connection);
  uk_places_give(connection->of);
  uk_list_remove(&connection->in_every);
  reaper->open--;
  atomic_store(&connection->state, state_at(UK_PHASE_NONE, 0));
  pthread_mutex_unlock(&reaper->mutex);
}

bool uk_reaper_shook_hands(struct uk_reaper *reaper, int socket, const void *session)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  if (connection == NULL)
    return false;
  pthread_mutex_lock(&reaper->mutex);
  const bool same = connection->session == session;
  pthread_mutex_unlock(&reaper->mutex);
  if (same)
    uk_reaper_enter(reaper, socket, UK_PHASE_HEAD);
  return same;
}

enum uk_place uk_reaper_place(struct uk_reaper *reaper, int socket)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  if (connection == NULL || !atomic_load(&connection->surplus))
    return UK_PLACE_TAKEN;
  pthread_mutex_lock(&reaper->mutex);
  const enum uk_place place = take_place(reaper, connection);
  atomic_store(&connection->surplus, place != UK_PLACE_TAKEN);
  pthread_mutex_unlock(&reaper->mutex);
  return place;
}

bool uk_reaper_enter(struct uk_reaper *reaper, int socket, enum uk_phase phase)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  if (connection == NULL)
    return true;
  uint_fast64_t state = atomic_load(&connection->state);
  if (phase_of(state) == phase)
    return true;
  if (phase == UK_PHASE_BODY)
    atomic_store(&connection->received, 0);
  const uint64_t next = state_at(phase, reaper->clock());
  while (phase_of(state) != UK_PHASE_ENDED &&
         !atomic_compare_exchange_weak(&connection->state, &state, next))
    continue;
  return phase_of(state) != UK_PHASE_ENDED;
}

void uk_reaper_received(struct uk_reaper *reaper, int socket, size_t bytes)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  if (connection != NULL)
    atomic_fetch_add(&connection->received, bytes);
}

void uk_reaper_mark_line(struct uk_reaper *reaper, int socket, bool is_long)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  if (connection != NULL)
    atomic_store(&connection->long_line, is_long);
}

bool uk_reaper_has_long_line(struct uk_reaper *reaper, int socket)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  return connection != NULL && atomic_load(&connection->long_line);
}

void uk_reaper_trust(struct uk_reaper *reaper, int socket)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  if (connection == NULL || atomic_exchange(&connection->trusted, true))
    return;
  pthread_mutex_lock(&reaper->mutex);
  uk_list_remove(&connection->in_strangers);
  pthread_mutex_unlock(&reaper->mutex);
}

enum uk_verdict uk_reaper_verdict(struct uk_reaper *reaper, int socket)
{
  struct uk_connection *connection = connection_of(reaper, socket);
  return connection != NULL ? (enum uk_verdict)atomic_load(&connection->verdict) : UK_VERDICT_NONE;
}
