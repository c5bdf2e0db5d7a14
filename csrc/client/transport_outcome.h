/* transport_outcome: what the failure of a transfer means. */
#ifndef UK_TRANSPORT_OUTCOME_H
#define UK_TRANSPORT_OUTCOME_H

#include "client/transport_handle.h"

/* Returns the error for a code of curl other than CURLE_OK, and completes the message of the
 * transport: it names the proxy if one was used. */
enum uk_error uk_transport_outcome(struct uk_transport *transport, CURLcode code);

#endif
