/* sender_still: a sender without a thread. The test plays the thread and owns the clock, so that no real time passes. */
#ifndef SENDER_STILL_H
#define SENDER_STILL_H

#include "client/response.h"
#include "client/sender/sender_private.h"

/* With so many batches; its server does not exist. NULL when memory is out. uk_sender_destroy ends it. */
struct uk_sender *still_open(unsigned batches);

/* Queues a message of the topic "t", or another, as if it had been sent at that time. */
void still_put(struct uk_sender *sender, const char *value, int64_t time);
void still_put_to(struct uk_sender *sender, const char *topic, const char *value, int64_t time);

/* Moves all that is queued into the batch, ready to be sent. */
void still_fill(struct uk_sender *sender, struct uk_sender_batch *batch);

/* As if the batch's request were under way. */
void still_start(struct uk_sender *sender, struct uk_sender_batch *batch);

/* The request fails: `status` is 0 without an answer, `text` NULL for none, `retry_after` -1 for none. */
void still_fail(struct uk_sender *sender, struct uk_sender_batch *batch, enum uk_error error,
                int status, const char *text, int64_t retry_after);

void still_check_counts(const struct uk_sender *sender, uint64_t delivered, uint64_t failed,
                        uint64_t in_flight);

/* Checks that the oldest failure that is kept is this one, and takes it off. */
void still_check_failure(struct uk_sender *sender, const char *value, enum uk_error error,
                         int status, const char *text);

#endif
