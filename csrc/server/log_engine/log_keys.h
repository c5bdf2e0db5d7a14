/* log_keys: the idempotency keys that the log keeps: when they end, how many there are, and which
 * go first. The rows are log_store's. For the writer's thread.
 *
 * Keys have a clock of their own, in microseconds. It counts what the monotonic clock does while
 * the server runs, and goes on from where the last key was put when the log is opened: so neither a
 * jump of the system's clock nor the time without a server ends a key early, and none is kept for
 * ever. */
#ifndef UK_LOG_KEYS_H
#define UK_LOG_KEYS_H

#include <stdatomic.h>

#include "server/engine/name_table.h"
#include "server/log_engine/log.h"
#include "server/log_engine/log_key_queue.h"
#include "server/watch/error_log.h"

/* The limits, unless a test sets others. */
enum {
  UK_LOG_KEYS_MAX = 1000000,
  UK_LOG_KEY_BYTES_MAX = 256 << 20,
  UK_LOG_USER_KEYS_MAX = UK_LOG_KEYS_MAX / 2,
  UK_LOG_USER_KEY_BYTES_MAX = UK_LOG_KEY_BYTES_MAX / 2
};

struct uk_log_key_sum {
  uint64_t count, bytes;
};

struct uk_log_key_user {
  struct uk_name_node node;
  struct uk_log_key_sum now, next; /* committed; after the current transaction */
  uint64_t oldest, next_oldest;    /* none of the user's keys ends before */
  bool touched;                    /* in the current transaction */
  struct uk_log_key_user *next_touched;
  char name[];
};

struct uk_log_keys {
  uint64_t window; /* microseconds; 0: no keys are kept */
  struct uk_log_key_limits limits;
  uint64_t base; /* the clock when it began, and the monotonic milliseconds then */
  int64_t began;
  bool started;
  uint64_t last_end; /* that was given */
  struct uk_log_key_queue queue;

  struct uk_log_key_sum now, next;
  uint64_t first_end, next_first_end; /* none ends before; UINT64_MAX: there is none */
  struct uk_name_table users;
  struct uk_log_key_user *touched, *cached;
  uint64_t damaged;      /* rows, at the last load */
  uint64_t last_written; /* the last row of `expiries` then */

  /* Keys that end before this may have been removed early. */
  _Atomic uint64_t short_until;
  uint64_t next_short_until;
  struct uk_alarm is_short;
};

/* `window` in milliseconds. Zeroed limits are the default ones. */
void uk_log_keys_init(struct uk_log_keys *keys, int64_t window,
                      const struct uk_log_key_limits *limits);
void uk_log_keys_free(struct uk_log_keys *keys);

/* Counts what the log has; begins the clock, the first time. Inside of uk_log_view_run. */
enum uk_log_status uk_log_keys_load(struct uk_log_keys *keys, struct uk_log_view *view,
                                    int64_t epoch, int64_t monotonic);

/* The clock at these monotonic milliseconds. */
uint64_t uk_log_keys_time(const struct uk_log_keys *keys, int64_t monotonic);
/* When a key ends that is put at this time. */
uint64_t uk_log_keys_give_end(struct uk_log_keys *keys, uint64_t time);

/* In a transaction. Of these, each changes what uk_log_keys_keep makes count after the commit, and
 * uk_log_keys_drop forgets. A trim follows the puts. */
enum uk_log_status uk_log_keys_put(struct uk_log_keys *keys, struct uk_log_store *store,
                                   struct uk_slice row, struct uk_buffer *answer);
/* Removes keys that have ended, and the oldest beyond the limits. Takes one from `*budget` for each
 * row that it looks at, and ends at 0. `all`: looks at the limits of users who put no key, too. */
enum uk_log_status uk_log_keys_trim(struct uk_log_keys *keys, struct uk_log_store *store,
                                    uint64_t time, bool all, unsigned *budget);
void uk_log_keys_keep(struct uk_log_keys *keys, uint64_t time);
void uk_log_keys_drop(struct uk_log_keys *keys);

/* Between transactions: true when uk_log_keys_trim has something to do now. */
bool uk_log_keys_are_due(const struct uk_log_keys *keys, uint64_t time);
/* True when it will have. */
bool uk_log_keys_will_be_due(const struct uk_log_keys *keys);
/* Ends the alarm when the window has its length again. */
void uk_log_keys_look(struct uk_log_keys *keys, uint64_t time);

/* For any thread: what health says of a window that is short; false when it is not. */
bool uk_log_keys_describe(const struct uk_log_keys *keys, uint64_t time, char *text, size_t size);

#endif
