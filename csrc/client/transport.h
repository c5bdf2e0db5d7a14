/* transport: requests to one server over one kept-alive connection, with libcurl. Blocking.
 *
 * The handle of curl is created by the first transfer: a transport that never sends costs a few
 * hundred bytes. After a fork both processes may keep using a transport. */
#ifndef UK_TRANSPORT_H
#define UK_TRANSPORT_H

#include "client/request.h"
#include "client/response_notes.h"
#include "client/settings.h"

struct uk_transport;

struct uk_response {
  int status;
  int64_t retry_after;    /* seconds, -1 = none */
  struct uk_buffer *body; /* cleared, then filled; its limit is that of a response */
};

/* The settings are not copied and must outlive the transport. NULL when memory is out. */
struct uk_transport *uk_transport_open(const struct uk_settings *settings);
void uk_transport_close(struct uk_transport *transport); /* accepts NULL */

/* Performs one transfer of at most `timeout` milliseconds. Returns UK_OK for any HTTP status. After
 * an error the connection is closed, and the next transfer opens another. With `resend` the request
 * is sent once more when a kept-alive connection dies after the request was written; without it
 * that is CONNECTION_LOST. */
enum uk_error uk_transport_perform(struct uk_transport *transport,
                                   const struct uk_client_request *request, int64_t timeout,
                                   bool resend, struct uk_response *response);

/* Transfers end with CANCELLED, and their connection is closed, when a signal of the set
 * (signals.h) has arrived. Precondition: the set is watched during the transfers; 0 = none. */
void uk_transport_set_signals(struct uk_transport *transport, unsigned signals);

/* What the headers of the last response said; empty after an error before them. */
const struct uk_response_notes *uk_transport_notes(const struct uk_transport *transport);

/* Details of the last error, without credentials; "" when there are none beyond the error's own
 * text. */
const char *uk_transport_message(const struct uk_transport *transport);

#endif
