#include "server/engine/deliveries.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

bool uk_batch_nonce_make(char nonce[static UK_BATCH_NONCE_SIZE])
{
  uint8_t bytes[UK_BATCH_NONCE_SIZE / 2];
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
    return false;
  for (size_t i = 0; i < sizeof bytes; i++)
    snprintf(nonce + 2 * i, 3, "%02x", (unsigned)bytes[i]);
  return true;
}

void uk_batch_id_write(char *id, const char *nonce, uint64_t batch)
{
  snprintf(id, UK_BATCH_ID_SIZE, "%s-%" PRIu64, nonce, batch);
}

/* No batch has the number 0. */
static bool names(const struct uk_acknowledgement *acknowledgement, const char *nonce,
                  uint64_t batch)
{
  char id[UK_BATCH_ID_SIZE];
  uk_batch_id_write(id, nonce, batch);
  return batch != 0 && uk_slice_is(acknowledgement->batch, id);
}

bool uk_deliveries_accepts(const struct uk_deliveries *deliveries, const char *nonce,
                           const struct uk_acknowledgement *acknowledgement)
{
  return acknowledgement->kind != UK_ACKNOWLEDGE_BATCH ||
         names(acknowledgement, nonce, deliveries->batch) ||
         names(acknowledgement, nonce, deliveries->acknowledged);
}

void uk_deliveries_refuse(const struct uk_acknowledgement *acknowledgement,
                          struct uk_operation *operation)
{
  int length = acknowledgement->batch.length < UK_BATCH_ID_SIZE ? (int)acknowledgement->batch.length
                                                                : UK_BATCH_ID_SIZE - 1;
  uk_operation_fail(operation, UK_E_CONFLICT,
                    "%s: batch \"%.*s\" is neither the last one that was sent to this consumer "
                    "instance nor the last one that it acknowledged: send " UK_HEADER_ACK
                    ": " UK_ACK_NONE " to get what is outstanding",
                    acknowledgement->commit ? UK_HEADER_COMMIT : UK_HEADER_ACK, length,
                    acknowledgement->batch.data);
}

/* In the plain contract a request says that the last response has arrived. A client that gives up
 * in the middle of a response asks again just the same, so the server has to know better. */
static enum uk_deliveries_decision decide_by_outcome(enum uk_response_outcome outcome)
{
  switch (outcome) {
  case UK_RESPONSE_PENDING: return UK_DELIVERIES_WAIT;
  case UK_RESPONSE_WRITTEN: return UK_DELIVERIES_ACKNOWLEDGE;
  case UK_RESPONSE_FAILED: break;
  }
  return UK_DELIVERIES_REDELIVER;
}

enum uk_deliveries_decision uk_deliveries_decide(const struct uk_deliveries *deliveries,
                                                 const char *nonce,
                                                 const struct uk_acknowledgement *acknowledgement)
{
  if (!uk_deliveries_outstanding(deliveries))
    return UK_DELIVERIES_CONTINUE;
  if (acknowledgement->kind == UK_ACKNOWLEDGE_WRITTEN)
    return decide_by_outcome(deliveries->outcome);
  return acknowledgement->kind == UK_ACKNOWLEDGE_BATCH &&
             names(acknowledgement, nonce, deliveries->batch)
           ? UK_DELIVERIES_ACKNOWLEDGE
           : UK_DELIVERIES_REDELIVER;
}

bool uk_deliveries_acknowledge(struct uk_deliveries *deliveries, uint64_t batch)
{
  if (!uk_deliveries_outstanding(deliveries) || deliveries->batch != batch)
    return false;
  deliveries->acknowledged = batch;
  return true;
}

void uk_deliveries_end(struct uk_deliveries *deliveries)
{
  deliveries->acknowledged = deliveries->batch;
}

void uk_deliveries_deliver(struct uk_deliveries *deliveries, uint64_t delivery)
{
  deliveries->batch = delivery;
  uk_deliveries_redeliver(deliveries, delivery);
}

void uk_deliveries_redeliver(struct uk_deliveries *deliveries, uint64_t delivery)
{
  deliveries->last = delivery;
  deliveries->outcome = UK_RESPONSE_PENDING;
}

bool uk_deliveries_response_finished(struct uk_deliveries *deliveries, uint64_t delivery,
                                     enum uk_response_outcome outcome)
{
  if (delivery != deliveries->last || !uk_deliveries_outstanding(deliveries) ||
      deliveries->outcome == UK_RESPONSE_FAILED || deliveries->outcome == outcome)
    return false;
  deliveries->outcome = outcome;
  return outcome != UK_RESPONSE_PENDING;
}
