/* transport: requests to one server over one kept-alive connection, with libcurl. Blocks.
 *
 * What curl needs is made with the first transfer, so that a transport which never sends costs a
 * few hundred bytes. A process that forks may go on using a transport on both sides. */
#ifndef UK_TRANSPORT_H
#define UK_TRANSPORT_H

#include "client/request.h"
#include "client/settings.h"

struct uk_transport;

struct uk_response {
  int status;
  int64_t retry_after;    /* seconds, -1 = not said */
  struct uk_buffer *body; /* cleared, then filled; its limit is the largest response */
};

/* The settings are not copied: they outlive the transport. NULL when memory is out. */
struct uk_transport *uk_transport_open(const struct uk_settings *settings);
void uk_transport_close(struct uk_transport *transport); /* NULL is fine */

/* One transfer of at most `timeout` milliseconds; UK_OK for any HTTP status. After an error the
 * connection is closed and the next transfer makes a new one. `resend`: whether the request may
 * be sent again by itself when a kept connection turns out to be dead after the request was
 * written; without it that is CONNECTION_LOST. */
enum uk_error uk_transport_perform(struct uk_transport *transport,
                                   const struct uk_client_request *request, int64_t timeout,
                                   bool resend, struct uk_response *response);

/* What went wrong last, "" when nothing more is known than the error's own text. Shows no
 * credentials. */
const char *uk_transport_message(const struct uk_transport *transport);

#endif
