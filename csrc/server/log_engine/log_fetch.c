#include "server/log_engine/log_fetch.h"

#include <inttypes.h>

#include "server/log_engine/log_batch.h"

bool uk_log_fetch_bounds(struct uk_log *log, struct uk_operation *operation, struct uk_slice topic,
                         int32_t partition, int64_t *first, int64_t *end)
{
  int32_t partitions = uk_log_find_partition(log, topic, partition, first, end);
  if (partition >= 0 && partition < partitions)
    return true;
  if (partitions == 0 && uk_log_is_damaged(log, topic, -1, operation))
    return false;
  if (partitions == 0)
    uk_operation_fail(operation, UK_E_NOT_FOUND, UK_NO_TOPIC, (int)topic.length, topic.data);
  else
    uk_operation_fail(operation, UK_E_BAD_REQUEST, "topic \"%.*s\" has no partition %d; it has %d",
                      (int)topic.length, topic.data, (int)partition, (int)partitions);
  return false;
}

bool uk_log_fetch_ready(struct uk_log *log, struct uk_fetch *fetch)
{
  bool ready = false;
  for (size_t i = 0; i < fetch->count; i++) {
    const struct uk_topic_partition_offset *at = &fetch->positions[i];
    int64_t first, end;
    if (!uk_log_fetch_bounds(log, &fetch->operation, at->topic, at->partition, &first, &end))
      return true;
    if (at->offset < first) {
      uk_operation_fail(&fetch->operation, UK_E_BAD_REQUEST,
                        "offset %" PRId64 " of topic \"%.*s\" partition %d is %s (range %" PRId64
                        " to %" PRId64 ")",
                        at->offset, (int)at->topic.length, at->topic.data, (int)at->partition,
                        at->offset < 0 ? "negative" : "below the first kept offset", first, end);
      return true;
    }
    if (at->offset >= end && uk_log_is_damaged(log, at->topic, at->partition, &fetch->operation))
      return true; /* what it waits for cannot come */
    ready = ready || at->offset < end;
  }
  return ready;
}

/* A position's quantum: wraps the sink of the fetch, and refuses once the quantum is used up. */
struct quantum {
  const struct uk_sink *sink;
  size_t records, bytes; /* left */
  bool full;             /* the sink refused */
  bool any;              /* it took a record, in this quantum or an earlier one */
};

static bool take_record(struct uk_operation *operation, const struct uk_record *record)
{
  struct quantum *quantum = operation->engine_data;
  if (quantum->records == 0 || quantum->bytes == 0)
    return false;
  if (!quantum->sink->record(operation, record)) {
    quantum->full = true;
    return false;
  }
  size_t bytes = uk_log_record_bytes(record);
  quantum->records--;
  quantum->bytes -= bytes < quantum->bytes ? bytes : quantum->bytes;
  quantum->any = true;
  return true;
}

/* False when the reading is over: the sink is full, or something failed. */
static bool read_quantum(struct uk_log *log, struct uk_log_wait *wait, struct quantum *quantum)
{
  static const struct uk_sink sink = {take_record, NULL};
  struct uk_operation *operation = &wait->waiter->fetch->operation;
  const struct uk_topic_partition_offset *at = wait->position;
  bool alone = wait->waiter->count == 1, closed;
  quantum->records = alone ? SIZE_MAX : UK_LOG_QUANTUM_RECORDS;
  quantum->bytes = alone ? SIZE_MAX : UK_LOG_QUANTUM_BYTES;
  operation->engine_data = quantum;
  enum uk_error error = uk_log_read(log, at->topic, at->partition, wait->next_offset, operation,
                                    &sink, &wait->next_offset, &closed);
  wait->ended = !closed;
  if (error == UK_OK)
    return !quantum->full;
  if (quantum->any) {
    operation->error = UK_OK;
    operation->message[0] = '\0';
  }
  return false;
}

static bool read_round(struct uk_log *log, struct uk_log_waiter *waiter, size_t start,
                       struct quantum *quantum, bool *more)
{
  *more = false;
  for (size_t i = 0; i < waiter->count; i++) {
    struct uk_log_wait *wait = &waiter->waits[(start + i) % waiter->count];
    if (wait->ended)
      continue;
    if (!read_quantum(log, wait, quantum))
      return false;
    *more = *more || !wait->ended;
  }
  return true;
}

bool uk_log_fetch_read(struct uk_log *log, struct uk_log_waiter *waiter, size_t start)
{
  struct uk_fetch *fetch = waiter->fetch;
  struct quantum quantum = {.sink = &fetch->sink};
  bool more = true;
  if (fetch->sink.is_client_alive != NULL && !fetch->sink.is_client_alive(&fetch->operation)) {
    uk_operation_fail(&fetch->operation, UK_E_CANCELLED, "the client has gone");
    return false;
  }
  while (more && read_round(log, waiter, start, &quantum, &more))
    continue;
  if (quantum.full && !quantum.any && fetch->operation.error == UK_OK)
    uk_operation_fail(&fetch->operation, UK_E_NO_MEMORY, "%s", ""); /* for the first record */
  return quantum.full;
}
