/* The rows of `keys` and `expiries`. */
#include <inttypes.h>

#include "server/log_engine/log_answer.h"
#include "server/log_engine/log_check_private.h"

/* Before the first row of either table. */
static void note_need(struct uk_check *check, enum uk_log_table table)
{
  if (check->keys + check->expiries == 0 && check->has_format && !check->meta.has_keys)
    uk_check_damaged(check, table, "has rows, but the row \"needs keys\" is missing");
}

void uk_check_key(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  struct uk_slice answer;
  const struct uk_slice row = uk_slice_of(key->mv_data, key->mv_size);
  const struct uk_slice user = uk_log_key_row_user(row);
  note_need(check, UK_LOG_KEYS);
  check->keys++;
  if (uk_log_key_row_read(key, value, &answer)) {
    if (check->salvage != NULL)
      uk_log_salvage_key(check->salvage, row, answer);
    return;
  }
  uk_check_damaged(check, UK_LOG_KEYS,
                   "a row of user \"%.*s\" is damaged: a repeat of that request is not recognized",
                   (int)user.length, user.data);
}

void uk_check_expiry(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  struct uk_slice row;
  note_need(check, UK_LOG_EXPIRIES);
  check->expiries++;
  if (!uk_log_expiry_row_read(key, value, &row))
    uk_check_damaged(check, UK_LOG_EXPIRIES, "a row is damaged: its key is kept too long");
}

void uk_check_expiries_end(struct uk_check *check)
{
  bool fits = check->expiries <= check->keys && check->keys - check->expiries <= UK_LOG_KEYS_QUEUED;
  if (!fits && !check->lost[UK_LOG_KEYS] && !check->lost[UK_LOG_EXPIRIES])
    uk_check_damaged(check, UK_LOG_EXPIRIES, "%" PRIu64 " rows for %" PRIu64 " keys",
                     check->expiries, check->keys);
}
