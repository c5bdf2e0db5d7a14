/* transport_multi: several transfers at once over kept-alive connections, run by one thread.
 *
 * A transfer has a place, from 0 on, and one at a time. All functions but uk_transfers_wake belong
 * to the thread that runs the transfers. */
#ifndef UK_TRANSPORT_MULTI_H
#define UK_TRANSPORT_MULTI_H

#include "client/transport.h"

struct uk_transfers;

/* How a transfer ended. */
struct uk_transfer {
  unsigned place;
  enum uk_error error;         /* UK_OK for any HTTP status */
  const char *message;         /* of the error, "" when nothing more is known; no credentials */
  struct uk_response response; /* its body lives until the place's next transfer */
};

/* Sets libcurl up, once in a process; opening does so too. False when it cannot be used. */
bool uk_transfers_prepare(void);

/* The settings are not copied. NULL when memory is out or libcurl cannot be used. */
struct uk_transfers *uk_transfers_open(const struct uk_settings *settings, unsigned places);
void uk_transfers_close(
  struct uk_transfers *transfers); /* gives up what is under way; NULL is fine */

/* Begins one of at most `timeout` milliseconds; the request lives until it has ended. The request
 * may be sent twice when a kept connection turns out to be dead. After an error nothing is under
 * way in the place. */
enum uk_error uk_transfers_start(struct uk_transfers *transfers, unsigned place,
                                 const struct uk_client_request *request, int64_t timeout);

/* Moves the transfers on. Waits for at most `wait` milliseconds until there is something to do or
 * somebody wakes it. */
void uk_transfers_run(struct uk_transfers *transfers, int64_t wait);

/* The next transfer that has ended; false when there is none. */
bool uk_transfers_next(struct uk_transfers *transfers, struct uk_transfer *ended);

/* Gives up the one in that place, if there is one. */
void uk_transfers_cancel(struct uk_transfers *transfers, unsigned place);

/* Ends the wait of uk_transfers_run, the one under way or the next. From any thread. */
void uk_transfers_wake(struct uk_transfers *transfers);

#endif
