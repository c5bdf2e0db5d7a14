/* produce_keys: the idempotency keys of produces that this server has seen, in memory.
 *
 *   begin ── NEW ──> the caller produces ── end ──> kept, if something was or may have been stored
 *     │                                             free again, otherwise
 *     ├── WAITS: the key's produce is under way; `end` hands the operation back
 *     ├── ANSWERED: the operation has its outcome
 *     └── PARTIAL: as NEW, for the records that have an error
 *
 * What is kept counts for the window, or until a limit is reached: then the oldest goes first, of
 * the user whose limit it is, or of all. A key under way stays. The caller passes the time, in
 * monotonic milliseconds. Any thread may call. */
#ifndef UK_PRODUCE_KEYS_H
#define UK_PRODUCE_KEYS_H

#include "common/list.h"
#include "server/engine/engine.h"

struct uk_produce_keys_limits {
  int64_t window;               /* milliseconds */
  size_t keys, bytes;           /* kept, of all users */
  size_t user_keys, user_bytes; /* of one */
};

struct uk_produce_keys;

/* NULL when memory is out. */
struct uk_produce_keys *uk_produce_keys_new(const struct uk_produce_keys_limits *limits);
/* Precondition: no key is under way. */
void uk_produce_keys_free(struct uk_produce_keys *keys);

enum uk_produce_keys_begun {
  UK_PRODUCE_KEY_NEW,
  UK_PRODUCE_KEY_WAITS,
  UK_PRODUCE_KEY_ANSWERED, /* also with UNPROCESSABLE: the key is another request's */
  UK_PRODUCE_KEY_PARTIAL
};

/* After ANSWERED the caller ends the operation. If the outcome of an earlier one is unknown, it is
 * answered with GATEWAY_TIMEOUT: its records may be stored, so they are not missing. */
enum uk_produce_keys_begun uk_produce_keys_begin(struct uk_produce_keys *keys,
                                                 struct uk_produce *operation, int64_t now);

/* The produce that was NEW or PARTIAL has ended with the operation's outcome, or, with `each`, with
 * that of every record. Moves the operations that waited for it to `waiting` (uk_operation.link),
 * in their order: each begins again. True if the outcome is kept; if memory is out, it is only
 * remembered that it is unknown. */
bool uk_produce_keys_end(struct uk_produce_keys *keys, const struct uk_produce *operation,
                         int64_t now, struct uk_list *waiting);

/* Another server has kept `answer` (produce_answer.h) for this key, `since` then. Does nothing if
 * the key is known, and false if memory is out. */
bool uk_produce_keys_learn(struct uk_produce_keys *keys, const struct uk_produce_key *key,
                           struct uk_slice answer, int64_t since, int64_t now);

/* For how long keys are kept now, in milliseconds: less than the window if within the last one a
 * key had to go before its time. */
int64_t uk_produce_keys_window(struct uk_produce_keys *keys, int64_t now);

#endif
