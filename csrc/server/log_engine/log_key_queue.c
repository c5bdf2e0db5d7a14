#include "server/log_engine/log_key_queue.h"

static void put(struct uk_log_key_queue *queue, uint64_t end, struct uk_slice row)
{
  struct uk_log_queued_key *key = &queue->all[queue->next++];
  key->end = end;
  key->length = row.length;
  memcpy(key->row, row.data, row.length);
}

static struct uk_slice row_of(const struct uk_log_queued_key *key)
{
  return uk_slice_of((const char *)key->row, key->length);
}

void uk_log_key_queue_find(struct uk_log_key_queue *queue, uint64_t end, struct uk_slice row)
{
  if (queue->now == UK_LOG_KEYS_QUEUED || row.length > UK_LOG_KEY_ROW_MAX)
    return;
  put(queue, end, row);
  queue->now = queue->next;
}

void uk_log_key_queue_clear(struct uk_log_key_queue *queue)
{
  queue->now = queue->next = 0;
  queue->written = false;
}

bool uk_log_key_queue_is_empty(const struct uk_log_key_queue *queue)
{
  return queue->written || queue->next == 0;
}

bool uk_log_key_queue_has(const struct uk_log_key_queue *queue, struct uk_slice row)
{
  for (size_t i = 0; !queue->written && i < queue->next; i++) {
    if (uk_slice_equal(row_of(&queue->all[i]), row))
      return true;
  }
  return false;
}

enum uk_log_status uk_log_key_queue_add(struct uk_log_key_queue *queue, struct uk_log_store *store,
                                        uint64_t end, struct uk_slice row)
{
  if (queue->next == UK_LOG_KEYS_QUEUED) {
    enum uk_log_status status = uk_log_key_queue_write(queue, store);
    if (status != UK_LOG_OK)
      return status;
  }
  if (queue->written)
    return uk_log_store_put_expiry(store, end, row);
  put(queue, end, row);
  return UK_LOG_OK;
}

/* The places stay as they are: if the transaction fails, their keys are queued as before. */
enum uk_log_status uk_log_key_queue_write(struct uk_log_key_queue *queue,
                                          struct uk_log_store *store)
{
  enum uk_log_status status = UK_LOG_OK;
  for (size_t i = 0; !queue->written && status == UK_LOG_OK && i < queue->next; i++)
    status = uk_log_store_put_expiry(store, queue->all[i].end, row_of(&queue->all[i]));
  queue->written = true;
  return status;
}

void uk_log_key_queue_keep(struct uk_log_key_queue *queue)
{
  queue->now = queue->written ? 0 : queue->next;
  uk_log_key_queue_drop(queue);
}

void uk_log_key_queue_drop(struct uk_log_key_queue *queue)
{
  queue->next = queue->now;
  queue->written = false;
}
