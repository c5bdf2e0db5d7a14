/* http_reaper: gives each connection a place and a deadline.
 *
 *   phase      it begins                             the connection ends
 *   HANDSHAKE  with the connection, over TLS         after limits.handshake
 *   HEAD       with the connection, or the first     after limits.head; above a limit of
 *              byte of its next request              connections, after UK_REAPER_SURPLUS
 *   BODY       with the end of the head              when fewer than limits.rate bytes a second
 *                                                    arrive in limits.period
 *   HANDLER    with the end of the body              never
 *   REPLY      with the first byte of the reply      when the client acknowledges fewer
 *   IDLE       with the last byte of the reply       after limits.idle
 *
 * The HTTP library has a timeout of its own, but with TLS a connection on which it has passed keeps
 * its place for ever (libmicrohttpd 0.9.75). So it has none, and the reaper shuts the socket down:
 * the library then reads its end and closes it.
 *
 * Only the library closes sockets. Between uk_reaper_open and uk_reaper_closed, which its
 * notifications call, a number means the same connection, and both take the mutex under which the
 * reaper shuts down. The other functions are called by the connection's own thread and take no lock
 * on the way of an ordinary request. */
#ifndef UK_HTTP_REAPER_H
#define UK_HTTP_REAPER_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/http/http_places.h"

enum {
  UK_REAPER_PAUSE = 1000,   /* milliseconds between two looks at all connections */
  UK_REAPER_SURPLUS = 5000, /* milliseconds for the request on a connection without a place, since
                               others are waiting */
  UK_REAPER_CROWD = 8,      /* connections of an address above its limit that can send a request, to
                               learn why it is refused */
  UK_REAPER_BLOCKS = 4096,
  UK_REAPER_PER_BLOCK = 4096
};

enum uk_phase {
  UK_PHASE_NONE, /* no connection has this number */
  UK_PHASE_HANDSHAKE,
  UK_PHASE_HEAD,
  UK_PHASE_BODY,
  UK_PHASE_HANDLER,
  UK_PHASE_REPLY,
  UK_PHASE_IDLE,
  UK_PHASE_ENDED /* it was shut down */
};

/* Why a connection was shut down. */
enum uk_verdict {
  UK_VERDICT_NONE,
  UK_VERDICT_LATE,      /* a deadline has passed */
  UK_VERDICT_GAVE_WAY,  /* another one needed its place */
  UK_VERDICT_NO_MEMORY, /* or its number is beyond the blocks */
  UK_VERDICT_CROWD      /* its address has too many above the limit */
};

enum uk_place {
  UK_PLACE_TAKEN,
  UK_PLACE_FULL,  /* all are taken, by connections that have authenticated */
  UK_PLACE_CROWD, /* the address has as many as it may */
  UK_PLACE_NONE   /* the connection was shut down; see its verdict */
};

/* 0: no limit. */
struct uk_reaper_limits {
  unsigned connections, per_address;
  int64_t handshake, head, idle; /* milliseconds */
  int64_t rate;                  /* bytes a second */
  int64_t period;                /* milliseconds */
};

struct uk_connection;

struct uk_reaper {
  int64_t (*clock)(void); /* NULL: not started */
  struct uk_reaper_limits limits;
  bool tls;
  int64_t looked;        /* the reaping thread's own */
  pthread_mutex_t mutex; /* guards the rest */
  unsigned taken;        /* places */
  size_t open;           /* connections in `every` */
  struct uk_list every;
  struct uk_list strangers; /* with a place, and never authenticated; the oldest first */
  struct uk_places places;
  struct uk_connection *_Atomic blocks[UK_REAPER_BLOCKS];
};

/* Has memory for the lowest numbers. False: out of memory; uk_reaper_free is allowed. `clock` is
 * uk_clock_monotonic. */
bool uk_reaper_init(struct uk_reaper *reaper, const struct uk_reaper_limits *limits, bool tls,
                    int64_t (*clock)(void));

/* Precondition: no connection is open. A zeroed struct is allowed, here and everywhere. */
void uk_reaper_free(struct uk_reaper *reaper);

/* Ends connections whose time is up, once in UK_REAPER_PAUSE. For one thread. */
void uk_reaper_look(struct uk_reaper *reaper);

/* Ends the oldest connection that has a place and never authenticated, unless its request is being
 * handled. False: there is none. */
bool uk_reaper_evict(struct uk_reaper *reaper);

/* The library has started a connection. `counted`: it takes one of its address's places. `session`
 * is its TLS session, or NULL. */
enum uk_place uk_reaper_open(struct uk_reaper *reaper, int socket,
                             const struct uk_client_address *address, bool counted,
                             const void *session);

/* The library is about to close the socket. */
void uk_reaper_closed(struct uk_reaper *reaper, int socket);

/* The connection of this TLS session has finished its handshake. False: it is none of these. */
bool uk_reaper_shook_hands(struct uk_reaper *reaper, int socket, const void *session);

/* Tries again to get a place for a connection without one. */
enum uk_place uk_reaper_place(struct uk_reaper *reaper, int socket);

/* The connection enters a phase; HEAD goes on if it is in it. False: it was shut down. */
bool uk_reaper_enter(struct uk_reaper *reaper, int socket, enum uk_phase phase);

/* So many bytes of the body have arrived. */
void uk_reaper_received(struct uk_reaper *reaper, int socket, size_t bytes);

/* For http_refusal: whether the request line on the connection is over the limit. */
void uk_reaper_mark_line(struct uk_reaper *reaper, int socket, bool is_long);
bool uk_reaper_has_long_line(struct uk_reaper *reaper, int socket);

/* The connection has sent valid credentials: it will not give way. */
void uk_reaper_trust(struct uk_reaper *reaper, int socket);

enum uk_verdict uk_reaper_verdict(struct uk_reaper *reaper, int socket);

#endif
