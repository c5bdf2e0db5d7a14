#include "client/sender/sender_failures.h"

#include <stdlib.h>

#include "common/utf8.h"

/* The record follows the failure in memory. */
enum {
  HEAD_SIZE = (sizeof(struct uk_sender_failure) + UK_RECORD_ALIGNMENT - 1) / UK_RECORD_ALIGNMENT *
              UK_RECORD_ALIGNMENT
};

const struct uk_sender_record *uk_sender_failure_record(const struct uk_sender_failure *failure)
{
  return (const struct uk_sender_record *)(const void *)((const char *)failure + HEAD_SIZE);
}

void uk_sender_text_put(char text[UK_SENDER_TEXT_SIZE], struct uk_slice from)
{
  size_t length = from.length;
  if (length >= UK_SENDER_TEXT_SIZE)
    length = uk_utf8_valid_prefix(from.data, UK_SENDER_TEXT_SIZE - 1);
  if (length > 0)
    memcpy(text, from.data, length);
  text[length] = '\0';
}

bool uk_sender_failures_add(struct uk_sender_failures *failures,
                            const struct uk_sender_record *record, enum uk_error error, int status,
                            struct uk_slice text)
{
  struct uk_sender_failure *failure = NULL;
  if (failures->count < UK_SENDER_FAILURES_MAX &&
      record->size <= UK_SENDER_FAILURE_BYTES_MAX - failures->bytes)
    failure = malloc(HEAD_SIZE + record->size);
  if (failure == NULL) {
    failures->dropped++;
    return false;
  }
  *failure = (struct uk_sender_failure){.error = error, .status = status};
  uk_sender_text_put(failure->text, text);
  memcpy((char *)failure + HEAD_SIZE, record, record->size);
  uk_list_add(&failures->list, &failure->link);
  failures->count++;
  failures->bytes += record->size;
  return true;
}

uint64_t uk_sender_failures_take(struct uk_sender_failures *failures, struct uk_list *taken)
{
  const uint64_t dropped = failures->dropped;
  uk_list_move(taken, &failures->list);
  failures->count = failures->bytes = 0;
  failures->dropped = 0;
  return dropped;
}
