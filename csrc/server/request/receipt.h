/* receipt: follows a reply after it was written. Written means that the system has taken the bytes;
 * a client that closes its connection in the middle of them shows only afterwards. http follows the
 * connection, and reports what it sees. */
#ifndef UK_SERVER_RECEIPT_H
#define UK_SERVER_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "common/slice.h"
#include "server/engine/engine.h"

struct uk_receipt {
  /* The handler's. The block comes from malloc and is http's from uk_request_follow on. */

  /* Reports what is known of the reply by now: first WRITTEN or FAILED, unless a request that asks
   * found it PENDING before; then whatever changes. FAILED is the last report. On any thread, but
   * never on two at a time. */
  void (*report)(struct uk_receipt *receipt, enum uk_response_outcome outcome);
  const uint64_t *delivered; /* the number of what the reply delivers; 0 or NULL: nothing, and
                                nothing is reported. http reads it last when the reply is
                                queued */
  struct uk_slice recipient; /* for whom: requests for the same recipient ask about the reply */

  /* http's own, under the mutex of its receipts. */
  uint64_t delivery;
  struct uk_link in_recipients;
  struct uk_link in_line; /* of those that linger */
  struct uk_link in_doubt;
  int socket;      /* -1: the reply is not written yet, or the connection is settled */
  int connection;  /* the socket that the reply will be written to */
  bool asked;      /* a request asked before the reply was written */
  bool reporting;  /* a thread does so, without the mutex */
  bool lingers;    /* the library has closed the connection; the socket is ours */
  int64_t written; /* uk_clock_monotonic */
  int64_t until;   /* it lingers until then, at most */
};

#endif
