/* log_key_queue: the newest idempotency keys, whose rows in `expiries` are not written yet.
 *
 * A row of its own in another table costs a single durable produce two pages. So these rows are
 * written together, when the queue is full or when somebody looks for them. After a crash, the log
 * finds the keys that end after the last row of `expiries`, and queues them again. */
#ifndef UK_LOG_KEY_QUEUE_H
#define UK_LOG_KEY_QUEUE_H

#include "server/log_engine/log_store.h"

struct uk_log_queued_key {
  uint64_t end;
  size_t length;
  uint8_t row[UK_LOG_KEY_ROW_MAX];
};

/* Zeroed: empty. */
struct uk_log_key_queue {
  struct uk_log_queued_key all[UK_LOG_KEYS_QUEUED];
  size_t now, next; /* committed; in the current transaction */
  bool written;     /* in the current transaction: the table has them all */
};

/* Between transactions: queues a key that the log has. A key beyond the last place is left out. */
void uk_log_key_queue_find(struct uk_log_key_queue *queue, uint64_t end, struct uk_slice row);
void uk_log_key_queue_clear(struct uk_log_key_queue *queue);

/* In a transaction. Of these, each changes what `keep` makes count after the commit, and `drop`
 * forgets. */
bool uk_log_key_queue_is_empty(const struct uk_log_key_queue *queue);
bool uk_log_key_queue_has(const struct uk_log_key_queue *queue, struct uk_slice row);
enum uk_log_status uk_log_key_queue_add(struct uk_log_key_queue *queue, struct uk_log_store *store,
                                        uint64_t end, struct uk_slice row);
/* Writes all rows to the table. */
enum uk_log_status uk_log_key_queue_write(struct uk_log_key_queue *queue,
                                          struct uk_log_store *store);
void uk_log_key_queue_keep(struct uk_log_key_queue *queue);
void uk_log_key_queue_drop(struct uk_log_key_queue *queue);

#endif
