/* sender_failures: the messages that were given up, kept within bounds until the caller takes them.
 * Not thread-safe. */
#ifndef UK_SENDER_FAILURES_H
#define UK_SENDER_FAILURES_H

#include "client/sender/sender.h"
#include "client/sender/sender_record.h"

/* Zeroed = empty. */
struct uk_sender_failures {
  struct uk_list list; /* of struct uk_sender_failure, the oldest first */
  size_t count, bytes;
  uint64_t dropped; /* failures that found no room since the last take */
};

/* Copies as much of the text as fits, cut between characters and NUL-terminated. */
void uk_sender_text_put(char text[UK_SENDER_TEXT_SIZE], struct uk_slice from);

/* Copies the record and the text. False, with the failure counted as dropped, when there is no
 * room. */
bool uk_sender_failures_add(struct uk_sender_failures *failures,
                            const struct uk_sender_record *record, enum uk_error error, int status,
                            struct uk_slice text);

/* Moves all failures to the end of `taken`. Returns how many were dropped since the last call. */
uint64_t uk_sender_failures_take(struct uk_sender_failures *failures, struct uk_list *taken);

#endif
