/* api_batch: what a request and its reply say about the batches of a consumer instance. */
#ifndef UK_API_BATCH_H
#define UK_API_BATCH_H

#include "server/api/api.h"

/* Reads Kafka-Ack and Kafka-Commit. False: the reply is an error. */
bool uk_api_read_acknowledgement(struct uk_request *request,
                                 struct uk_acknowledgement *acknowledgement);

/* Before a request is submitted that acknowledges whatever was written: finds out what became of
 * the last response of its instance, and tells the engine. False: the reply is an error. */
bool uk_api_ask(struct uk_request *request, const struct uk_acknowledgement *acknowledgement);

/* Before the consume is submitted: from now on the engine is told what becomes of its response. The
 * next request of the instance waits for that, however the exchange ends. False: the reply is an
 * error. */
bool uk_api_follow(struct uk_request *request, const struct uk_consume *consume);

/* For `finish`: if the operation ended with CONFLICT because of the acknowledged batch, makes the
 * reply an error that names the header and says how to continue. */
void uk_api_explain_conflict(struct uk_request *request,
                             const struct uk_acknowledgement *acknowledgement);

/* Room for uk_api_add_skipped, in the arena. NULL: the reply is an error. */
char *uk_api_reserve_skipped(struct uk_request *request);

/* Adds Kafka-Commit-Skipped if commits were skipped. `text` is from uk_api_reserve_skipped. */
void uk_api_add_skipped(struct uk_request *request, const struct uk_consume *consume, char *text);

#endif
