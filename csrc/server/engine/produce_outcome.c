#include "server/engine/produce_outcome.h"

#include <stdio.h>

void uk_produce_reason(const struct uk_record *record, char *text, size_t size)
{
  char partition[24] = "";
  if (record->partition >= 0)
    snprintf(partition, sizeof partition, " partition %d", (int)record->partition);
  snprintf(text, size, "topic \"%.*s\"%s: %s%s", (int)record->topic.length, record->topic.data,
           partition, record->reason != NULL ? record->reason : uk_error_text(record->error),
           record->error == UK_E_GATEWAY_TIMEOUT ? "; it may have been stored" : "");
}

/* The highest rank becomes the overall error. */
static int rank(enum uk_error error)
{
  if (error == UK_OK)
    return 0;
  if (!uk_error_retriable(error))
    return 3;
  return error == UK_E_GATEWAY_TIMEOUT ? 2 : 1;
}

struct summary {
  size_t failed;
  size_t shown; /* the record whose error becomes the overall one */
  bool alike;   /* all failures have the same reason */
};

static bool same_reason(const struct uk_record *a, const struct uk_record *b)
{
  const char *first = a->reason != NULL ? a->reason : "";
  const char *second = b->reason != NULL ? b->reason : "";
  return a->error == b->error && strcmp(first, second) == 0;
}

static struct summary sum_up(const struct uk_produce *produce)
{
  struct summary summary = {.alike = true};
  const struct uk_record *shown = NULL;
  for (size_t i = 0; i < produce->count; i++) {
    const struct uk_record *record = &produce->records[i];
    if (record->error == UK_OK)
      continue;
    summary.failed++;
    summary.alike = summary.alike && (shown == NULL || same_reason(record, shown));
    if (shown == NULL || rank(record->error) > rank(shown->error))
      shown = record;
  }
  summary.shown = shown != NULL ? (size_t)(shown - produce->records) : 0;
  return summary;
}

void uk_produce_conclude(struct uk_produce *produce)
{
  struct uk_operation *operation = &produce->operation;
  struct summary summary = sum_up(produce);
  char text[UK_MESSAGE_SIZE];
  operation->error = UK_OK;
  produce->each = false;
  if (summary.failed == 0)
    return;
  bool some_stored = summary.failed < produce->count;
  enum uk_error error = produce->records[summary.shown].error;
  if (some_stored && uk_error_retriable(error))
    error = UK_E_GATEWAY_TIMEOUT;
  produce->each = some_stored || !summary.alike;
  uk_produce_reason(&produce->records[summary.shown], text, sizeof text);
  if (produce->count == 1)
    uk_operation_fail(operation, error, "%s", text);
  else if (some_stored)
    uk_operation_fail(operation, error,
                      "[%zu]: %s; %zu of %zu messages failed, the others are stored", summary.shown,
                      text, summary.failed, produce->count);
  else
    uk_operation_fail(operation, error, "[%zu]: %s; all of %zu messages failed", summary.shown,
                      text, produce->count);
}
