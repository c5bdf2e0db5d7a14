/* sender_reasons: why messages were given up, for reports that begin at any of them. The messages
 * are numbered from 1 in the order in which they were given up. Keeps the latest reasons, and
 * counts equal ones in a row as one. Not thread-safe. */
#ifndef UK_SENDER_REASONS_H
#define UK_SENDER_REASONS_H

#include "client/sender/sender.h"

enum { UK_SENDER_REASONS_MAX = 8 };

/* Zeroed = empty. */
struct uk_sender_reasons {
  unsigned count;
  struct uk_sender_reason rows[UK_SENDER_REASONS_MAX]; /* the oldest first */
};

/* The message of that number was given up. */
void uk_sender_reasons_add(struct uk_sender_reasons *reasons, uint64_t number, enum uk_error error,
                           int status, struct uk_slice text);

/* The reason of the first message after that number, or the oldest that is kept. NULL when no
 * message was given up after it. */
const struct uk_sender_reason *uk_sender_reasons_after(const struct uk_sender_reasons *reasons,
                                                       uint64_t number);

/* The reason of the last message, NULL when there is none. */
const struct uk_sender_reason *uk_sender_reasons_last(const struct uk_sender_reasons *reasons);

#endif
