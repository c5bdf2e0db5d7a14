/* deliveries: the batches of one consumer instance, and what is known of their responses. Pure: no
 * lock, no I/O.
 *
 * A batch is what one response delivers. It is outstanding until its client acknowledges it or it
 * ends, and at most one is: a request is answered with the outstanding batch, or with the next one.
 * Every response that carries a batch is a delivery with a number of its own; the batch has the
 * number of its first delivery. Numbers ascend.
 *
 *   struct uk_deliveries deliveries = {0};
 *
 *   on a request:                            accepts? otherwise CONFLICT, and no effect
 *     decide -> UK_DELIVERIES_CONTINUE       read on, deliver
 *               UK_DELIVERIES_ACKNOWLEDGE    commit if the request says so, acknowledge, read on
 *               UK_DELIVERIES_REDELIVER      read the batch again, redeliver; or end it, if empty
 *               UK_DELIVERIES_WAIT           decide again after response_finished was true
 *
 * A commit or deletion continues after REDELIVER, without that batch. What waits is not recorded
 * here: it decides again, and every decision may differ from the one before. */
#ifndef UK_DELIVERIES_H
#define UK_DELIVERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "server/engine/engine.h"

struct uk_deliveries {
  uint64_t last;         /* the last delivery; 0 = none yet */
  uint64_t batch;        /* the last batch; 0 = none yet */
  uint64_t acknowledged; /* the last batch that was acknowledged or ended; 0 = none yet */
  enum uk_response_outcome outcome; /* of the last delivery */
};

/* Batch IDs are "nonce-number". The nonce is made when the engine opens, so that no ID comes twice:
 * 96 random bits in hex. */
enum { UK_BATCH_NONCE_SIZE = 25 };

/* False when the system gives no random bytes. */
bool uk_batch_nonce_make(char nonce[static UK_BATCH_NONCE_SIZE]);

/* Writes the ID, UK_BATCH_ID_SIZE bytes at most; `id` has room for them. */
void uk_batch_id_write(char *id, const char *nonce, uint64_t batch);

/* True when a batch is outstanding. */
static inline bool uk_deliveries_outstanding(const struct uk_deliveries *deliveries)
{
  return deliveries->batch != deliveries->acknowledged;
}

/* Without effect: true unless the acknowledgement names a batch that is neither the last one nor
 * the last one acknowledged. An instance that is not alive has zeroed deliveries. */
bool uk_deliveries_accepts(const struct uk_deliveries *deliveries, const char *nonce,
                           const struct uk_acknowledgement *acknowledgement);

/* The acknowledgement was not accepted: fails the operation with CONFLICT. */
void uk_deliveries_refuse(const struct uk_acknowledgement *acknowledgement,
                          struct uk_operation *operation);

enum uk_deliveries_decision {
  UK_DELIVERIES_CONTINUE,    /* no batch is outstanding */
  UK_DELIVERIES_ACKNOWLEDGE, /* the outstanding batch has arrived */
  UK_DELIVERIES_REDELIVER,   /* the outstanding batch comes again */
  UK_DELIVERIES_WAIT         /* it depends on what becomes of the last response */
};

/* Without effect: what a request with this acknowledgement leads to. Precondition: it is accepted.
 */
enum uk_deliveries_decision uk_deliveries_decide(const struct uk_deliveries *deliveries,
                                                 const char *nonce,
                                                 const struct uk_acknowledgement *acknowledgement);

/* The batch with this number is acknowledged. False if it was not outstanding: nothing changes. */
bool uk_deliveries_acknowledge(struct uk_deliveries *deliveries, uint64_t batch);

/* The outstanding batch ends, because nothing is left of it. It counts as acknowledged.
 * Precondition: one is outstanding. */
void uk_deliveries_end(struct uk_deliveries *deliveries);

/* A response with a new batch is on its way. Preconditions: no batch is outstanding; the number is
 * above all earlier ones. */
void uk_deliveries_deliver(struct uk_deliveries *deliveries, uint64_t delivery);

/* A response with the last batch again is on its way; the outcome of earlier ones counts no more.
 * Precondition: the number is above all earlier ones. If the batch was acknowledged while it was
 * read, it stays so: the redelivery counts as made before. */
void uk_deliveries_redeliver(struct uk_deliveries *deliveries, uint64_t delivery);

/* What is known of this delivery's response has changed. True: it is not pending any more, and
 * requests that wait decide again. False: they go on waiting, or the delivery does not count any
 * more. A response that failed stays so. */
bool uk_deliveries_response_finished(struct uk_deliveries *deliveries, uint64_t delivery,
                                     enum uk_response_outcome outcome);

#endif
