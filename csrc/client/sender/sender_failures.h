/* sender_failures: the messages that could not be delivered, kept until somebody asks for them, within
 * bounds. No locks. */
#ifndef UK_SENDER_FAILURES_H
#define UK_SENDER_FAILURES_H

#include "client/sender/sender.h"
#include "client/sender/sender_record.h"

struct uk_sender_failures {
  struct uk_sender_failure *first, **last; /* `last` NULL = empty */
  size_t count, bytes;
  uint64_t missed; /* found no room */
};

/* As much of the text as there is room for, cut between characters, NUL-terminated. */
void uk_sender_text_put(char text[UK_SENDER_TEXT_SIZE], struct uk_slice from);

/* Copies record and text. False when it found no room. */
bool uk_sender_failures_add(struct uk_sender_failures *failures,
                            const struct uk_sender_record *record, enum uk_error error, int status,
                            struct uk_slice text);

/* Empties the list and returns what was in it. */
struct uk_sender_failure *uk_sender_failures_take(struct uk_sender_failures *failures,
                                                  uint64_t *missed);

#endif
