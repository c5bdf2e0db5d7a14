/* transport_multi: several transfers at a time over kept-alive connections, run by one thread.
 *
 * Transfers run in places, numbered from 0; a place runs one transfer at a time. Only the thread
 * that runs the transfers may call these functions, except uk_transfers_wake. */
#ifndef UK_TRANSPORT_MULTI_H
#define UK_TRANSPORT_MULTI_H

#include "client/transport.h"

struct uk_transfers;

/* The end of a transfer. */
struct uk_transfer {
  unsigned place;
  enum uk_error error;         /* UK_OK for any HTTP status */
  const char *message;         /* details of the error or "", without credentials */
  struct uk_response response; /* its body is valid until the next transfer of the place */
};

/* Initializes libcurl, once per process; opening does so too. False when libcurl fails. */
bool uk_transfers_prepare(void);

/* The settings are not copied. NULL when memory is out or libcurl fails. */
struct uk_transfers *uk_transfers_open(const struct uk_settings *settings, unsigned places);
/* Cancels all transfers. Accepts NULL. */
void uk_transfers_close(struct uk_transfers *transfers);

/* Starts a transfer of at most `timeout` milliseconds. The request must live until the transfer has
 * ended; it is sent once more when a kept-alive connection dies. After an error the place is
 * free. */
enum uk_error uk_transfers_start(struct uk_transfers *transfers, unsigned place,
                                 const struct uk_client_request *request, int64_t timeout);

/* Advances the transfers. Waits for up to `wait` milliseconds until there is something to do, or
 * uk_transfers_wake is called. */
void uk_transfers_run(struct uk_transfers *transfers, int64_t wait);

/* The next transfer that has ended; false when there is none. */
bool uk_transfers_next(struct uk_transfers *transfers, struct uk_transfer *ended);

/* Cancels the transfer in that place, if there is one. */
void uk_transfers_cancel(struct uk_transfers *transfers, unsigned place);

/* Ends the current wait of uk_transfers_run, or the next one. May be called from any thread. */
void uk_transfers_wake(struct uk_transfers *transfers);

#endif
