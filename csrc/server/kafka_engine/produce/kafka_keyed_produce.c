#include "server/kafka_engine/produce/kafka_keyed_produce.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/engine/produce_outcome.h"

/* What the producer gets: the operation's records, or a copy of those that are missing. */
struct call {
  struct uk_produce produce;
  const struct uk_kafka_keyed_parts *parts;
  struct uk_produce *operation;
  bool partial;
  struct uk_record missing[];
};

/* Gives the missing records of the operation their outcome. */
static void merge(const struct call *call)
{
  struct uk_produce *operation = call->operation;
  const struct uk_record *next = call->missing;
  for (size_t i = 0; i < operation->count; i++) {
    struct uk_record *record = &operation->records[i];
    if (!uk_produce_is_missing(record))
      continue;
    *record = *next++;
    if (call->produce.operation.error != UK_OK && !call->produce.each)
      record->error = call->produce.operation.error;
  }
  uk_produce_conclude(operation);
}

static void copy_outcome(const struct call *call)
{
  struct uk_operation *operation = &call->operation->operation;
  operation->error = call->produce.operation.error;
  memcpy(operation->message, call->produce.operation.message, sizeof operation->message);
  call->operation->each = call->produce.each;
}

/* Answers the operation, and begins again with those that waited for it. */
static void end(const struct uk_kafka_keyed_parts *parts, struct uk_produce *operation)
{
  struct uk_list waiting = {0};
  struct uk_produce *next;
  bool kept = uk_produce_keys_end(parts->keys, operation, uk_clock_monotonic(), &waiting);
  if (kept && parts->kept != NULL)
    parts->kept(parts->context, operation);
  operation->operation.done(&operation->operation);
  while ((next = UK_LIST_TAKE(&waiting, struct uk_produce, operation.link)) != NULL)
    uk_kafka_keyed_produce(parts, next);
}

static void produced(struct uk_operation *done)
{
  struct call *call = (struct call *)done;
  const struct uk_kafka_keyed_parts *parts = call->parts;
  struct uk_produce *operation = call->operation;
  if (call->partial)
    merge(call);
  else
    copy_outcome(call);
  free(call);
  end(parts, operation);
}

static size_t count_missing(const struct uk_produce *operation)
{
  size_t count = 0;
  for (size_t i = 0; i < operation->count; i++)
    count += uk_produce_is_missing(&operation->records[i]);
  return count;
}

static void take_missing(struct call *call, size_t count)
{
  struct uk_record *next = call->missing;
  for (size_t i = 0; i < call->operation->count; i++) {
    if (uk_produce_is_missing(&call->operation->records[i]))
      *next++ = call->operation->records[i];
  }
  call->partial = true;
  call->produce.records = call->missing;
  call->produce.count = count;
}

/* Without memory nothing is sent, and what an earlier produce stored stays known. */
static void fail(const struct uk_kafka_keyed_parts *parts, struct uk_produce *operation,
                 bool partial)
{
  if (partial)
    uk_produce_conclude(operation);
  else
    uk_operation_fail(&operation->operation, UK_E_NO_MEMORY, "%s", "");
  end(parts, operation);
}

static void submit(const struct uk_kafka_keyed_parts *parts, struct uk_produce *operation,
                   bool partial)
{
  size_t missing = partial ? count_missing(operation) : 0;
  struct call *call = calloc(1, sizeof *call + missing * sizeof call->missing[0]);
  if (call == NULL) {
    fail(parts, operation, partial);
    return;
  }
  call->parts = parts;
  call->operation = operation;
  call->produce.operation.done = produced;
  call->produce.operation.deadline = operation->operation.deadline;
  call->produce.records = operation->records;
  call->produce.count = operation->count;
  if (partial)
    take_missing(call, missing);
  uk_kafka_producer_produce(parts->producer, &call->produce);
}

void uk_kafka_keyed_produce(const struct uk_kafka_keyed_parts *parts, struct uk_produce *operation)
{
  switch (uk_produce_keys_begin(parts->keys, operation, uk_clock_monotonic())) {
  case UK_PRODUCE_KEY_NEW: submit(parts, operation, false); break;
  case UK_PRODUCE_KEY_PARTIAL: submit(parts, operation, true); break;
  case UK_PRODUCE_KEY_ANSWERED: operation->operation.done(&operation->operation); break;
  case UK_PRODUCE_KEY_WAITS: break;
  }
}
