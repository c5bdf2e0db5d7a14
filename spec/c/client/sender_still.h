/* sender_still: a sender without a thread. The test plays the thread and owns the clock: no real
 * time passes. */
#ifndef SENDER_STILL_H
#define SENDER_STILL_H

#include "client/response.h"
#include "client/sender/sender_private.h"

/* A sender with that many batches, whose server does not exist. NULL when memory is out. Free it
 * with uk_sender_destroy. */
struct uk_sender *still_open(unsigned batches);

/* Queues a message, for the topic "t" by default, as if it had been sent at that time. */
void still_put(struct uk_sender *sender, const char *value, int64_t time);
void still_put_to(struct uk_sender *sender, const char *topic, const char *value, int64_t time);

/* Moves the whole queue into the batch and writes its request. */
void still_fill(struct uk_sender *sender, struct uk_sender_batch *batch);

/* Marks the request of the batch as under way. */
void still_start(struct uk_sender *sender, struct uk_sender_batch *batch);

/* Fails the request: `status` is 0 without an answer, `text` NULL = none, `retry_after` -1 =
 * none. */
void still_fail(struct uk_sender *sender, struct uk_sender_batch *batch, enum uk_error error,
                int status, const char *text, int64_t retry_after);

void still_check_counts(const struct uk_sender *sender, uint64_t delivered, uint64_t failed,
                        uint64_t in_flight);

/* Checks the oldest failure and removes it. */
void still_check_failure(struct uk_sender *sender, const char *value, enum uk_error error,
                         int status, const char *text);

#endif
