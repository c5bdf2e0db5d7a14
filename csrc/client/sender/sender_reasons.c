#include "client/sender/sender_reasons.h"

#include <string.h>

#include "client/sender/sender_failures.h"

const struct uk_sender_reason *uk_sender_reasons_last(const struct uk_sender_reasons *reasons)
{
  return reasons->count > 0 ? &reasons->rows[reasons->count - 1] : NULL;
}

static bool same_reason(const struct uk_sender_reason *a, const struct uk_sender_reason *b)
{
  return a->error == b->error && a->status == b->status && strcmp(a->text, b->text) == 0;
}

void uk_sender_reasons_add(struct uk_sender_reasons *reasons, uint64_t number, enum uk_error error,
                           int status, struct uk_slice text)
{
  struct uk_sender_reason reason = {.number = number, .error = error, .status = status};
  struct uk_sender_reason *rows = reasons->rows;
  uk_sender_text_put(reason.text, text.length > 0 ? text : uk_slice_text(uk_error_text(error)));
  if (reasons->count > 0 && same_reason(&rows[reasons->count - 1], &reason)) {
    rows[reasons->count - 1].number = number;
    return;
  }
  if (reasons->count == UK_SENDER_REASONS_MAX) {
    reasons->count--;
    memmove(rows, rows + 1, reasons->count * sizeof *rows);
  }
  rows[reasons->count++] = reason;
}

const struct uk_sender_reason *uk_sender_reasons_after(const struct uk_sender_reasons *reasons,
                                                       uint64_t number)
{
  for (unsigned i = 0; i < reasons->count; i++)
    if (reasons->rows[i].number > number)
      return &reasons->rows[i];
  return NULL;
}
