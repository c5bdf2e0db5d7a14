/* http_receipts: follows replies that were written until it is known that they arrived, or did not.
 *
 *   the connection carries its next request    arrived: a client reads one reply after another
 *   it ends in order                           arrived
 *   it is reset within UK_RECEIPT_PATIENCE     failed
 *   UK_RECEIPT_PATIENCE passes                 arrived, unless bytes are not acknowledged even then
 *   another request for the recipient asks     the socket is looked at: a reset has come before
 *                                              that request; while bytes are not acknowledged, the
 *                                              reply is pending again
 *
 * The library closes a connection as soon as it has written the last reply or seen the client's
 * end. Then a duplicate of its descriptor lingers until the other side has closed too, because a
 * reset comes only then.
 *
 * For a connection that carries one request after another, this takes no system call. A thread
 * looks at connections that linger, and at replies that are pending. There are at most as many
 * receipts as open connections, and UK_RECEIPTS_LINGERING. Where there are more, or no descriptor
 * is left, the reply counts as arrived. */
#ifndef UK_HTTP_RECEIPTS_H
#define UK_HTTP_RECEIPTS_H

#include <pthread.h>
#include <stddef.h>

#include "server/request/receipt.h"

enum {
  UK_RECEIPT_PATIENCE = 30000, /* milliseconds */
  UK_RECEIPTS_LINGERING = 128,
  UK_RECEIPT_LISTS = 256
};

struct uk_receipts {
  int64_t (*clock)(void);
  int epoll, wake;
  bool running;
  pthread_t thread;
  pthread_mutex_t mutex; /* guards the rest, and the receipts */
  pthread_cond_t reported;
  bool closed;
  int64_t wakes_at;            /* when the thread looks next; INT64_MAX: when something happens */
  struct uk_receipt **sockets; /* by number: of the replies that were written */
  size_t room;
  struct uk_list recipients[UK_RECEIPT_LISTS]; /* by hash */
  struct uk_list lingering;                    /* the oldest first */
  size_t lingering_count;
  struct uk_list doubted; /* those reported PENDING */
};

/* Starts the thread. False: the system has no resources for it; uk_receipts_free frees what there
 * is. `clock` is uk_clock_monotonic. */
bool uk_receipts_start(struct uk_receipts *receipts, int64_t (*clock)(void));

/* Ends the thread, and drops what was written: nothing more becomes known. Replies that end later
 * are reported, and not followed. */
void uk_receipts_close(struct uk_receipts *receipts);

/* Precondition: every reply has ended. A zeroed struct is allowed. */
void uk_receipts_free(struct uk_receipts *receipts);

/* A reply on this socket is to come. False: out of memory, nothing has changed. */
bool uk_receipts_follow(struct uk_receipts *receipts, struct uk_receipt *receipt, int socket);

/* A request for the recipient is about to act on what is known of earlier replies: finds out what
 * can be known by now, and reports it before this returns. */
void uk_receipts_ask(struct uk_receipts *receipts, struct uk_slice recipient);

/* The reply has ended; reports it. From now on the receipt is not the caller's. */
void uk_receipts_written(struct uk_receipts *receipts, struct uk_receipt *receipt, bool complete);

/* The connection carries its next request. */
void uk_receipts_next(struct uk_receipts *receipts, int socket);

/* The library is about to close the socket. True: its connection lingers here, and has been shut
 * down for sending; do not read from it. */
bool uk_receipts_closing(struct uk_receipts *receipts, int socket);

#endif
