#include "common/error.h"

#include <stddef.h>
#include <string.h>

struct error_row {
  const char *word;
  int status;
  bool retriable;
  const char *text;
};

static const struct error_row rows[UK_ERROR_COUNT] = {[UK_OK] = {"ok", 200, false, "done"},
#define UK_ERROR_ROW(name, word, status, retriable, text)                                          \
  [UK_E_##name] = {word, status, retriable, text},
                                                      UK_ERRORS(UK_ERROR_ROW)
#undef UK_ERROR_ROW
};

static const struct error_row *row_of(enum uk_error error)
{
  size_t index = (size_t)error;
  return &rows[index < UK_ERROR_COUNT ? index : UK_OK];
}

const char *uk_error_word(enum uk_error error)
{
  return row_of(error)->word;
}

int uk_error_status(enum uk_error error)
{
  return row_of(error)->status;
}

bool uk_error_retriable(enum uk_error error)
{
  return row_of(error)->retriable;
}

const char *uk_error_text(enum uk_error error)
{
  return row_of(error)->text;
}

enum uk_error uk_error_from_status(int status)
{
  if (status < 400 || status > 599)
    return UK_E_BAD_RESPONSE;
  for (size_t i = UK_OK + 1; i < UK_ERROR_COUNT; i++) {
    if (rows[i].status == status)
      return (enum uk_error)i;
  }
  if (status == 502)
    return UK_E_UNAVAILABLE;
  return status < 500 ? UK_E_BAD_REQUEST : UK_E_INTERNAL;
}

enum uk_error uk_error_from_word(const char *word)
{
  for (size_t i = UK_OK + 1; i < UK_ERROR_COUNT; i++)
    if (strcmp(rows[i].word, word) == 0)
      return (enum uk_error)i;
  return UK_OK;
}
