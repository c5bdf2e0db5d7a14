#include "server/log_engine/log_keys.h"
#include "server/log_engine/log_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { OVERHEAD = 48 }; /* bytes that a key takes in both tables besides its rows */

void uk_log_keys_init(struct uk_log_keys *keys, int64_t window,
                      const struct uk_log_key_limits *limits)
{
  static const struct uk_log_key_limits defaults = {
    UK_LOG_KEYS_MAX, UK_LOG_KEY_BYTES_MAX, UK_LOG_USER_KEYS_MAX, UK_LOG_USER_KEY_BYTES_MAX};
  *keys = (struct uk_log_keys){.window = (uint64_t)window * 1000,
                               .limits = limits->keys > 0 ? *limits : defaults,
                               .first_end = UINT64_MAX,
                               .next_first_end = UINT64_MAX};
  uk_name_table_init(&keys->users, uk_name_table_seed());
}

/* Removes all users. */
static void forget_users(struct uk_log_keys *keys)
{
  struct uk_name_node *node;
  while ((node = uk_name_table_next(&keys->users, NULL)) != NULL) {
    uk_name_table_remove(&keys->users, node);
    free(node);
  }
  keys->touched = keys->cached = NULL;
}

void uk_log_keys_free(struct uk_log_keys *keys)
{
  forget_users(keys);
  uk_name_table_free(&keys->users);
}

/* The clock. */

uint64_t uk_log_keys_time(const struct uk_log_keys *keys, int64_t monotonic)
{
  return keys->base + (uint64_t)(monotonic - keys->began) * 1000;
}

uint64_t uk_log_keys_give_end(struct uk_log_keys *keys, uint64_t time)
{
  uint64_t end = time + keys->window;
  keys->last_end = end > keys->last_end ? end : keys->last_end + 1;
  return keys->last_end;
}

/* Users and sums. */

static struct uk_log_key_user *new_user(struct uk_log_keys *keys, struct uk_slice name)
{
  struct uk_log_key_user *user = calloc(1, sizeof *user + name.length + 1);
  if (user == NULL)
    return NULL;
  if (name.length > 0)
    memcpy(user->name, name.data, name.length);
  user->node.name = uk_slice_of(user->name, name.length);
  if (uk_name_table_add(&keys->users, &user->node))
    return user;
  free(user);
  return NULL;
}

/* NULL when memory is out. */
static struct uk_log_key_user *use_user(struct uk_log_keys *keys, struct uk_slice name)
{
  if (keys->cached == NULL || !uk_slice_equal(keys->cached->node.name, name))
    keys->cached = (struct uk_log_key_user *)uk_name_table_find(&keys->users, name);
  if (keys->cached == NULL)
    keys->cached = new_user(keys, name);
  return keys->cached;
}

static void touch(struct uk_log_keys *keys, struct uk_log_key_user *user)
{
  if (user->touched)
    return;
  user->touched = true;
  user->next = user->now;
  user->next_oldest = user->oldest;
  user->next_touched = keys->touched;
  keys->touched = user;
}

static uint64_t cost(struct uk_slice row, size_t answer)
{
  return 2 * row.length + answer + OVERHEAD;
}

static void add(struct uk_log_key_sum *sum, uint64_t bytes)
{
  sum->count++;
  sum->bytes += bytes;
}

static void take(struct uk_log_key_sum *sum, uint64_t bytes)
{
  sum->count -= sum->count > 0;
  sum->bytes -= bytes < sum->bytes ? bytes : sum->bytes;
}

/* The last key stays, however large its answer is. */
static bool is_over(const struct uk_log_key_sum *sum, uint64_t keys, uint64_t bytes)
{
  return sum->count > keys || (sum->count > 1 && sum->bytes > bytes);
}

static bool all_are_over(const struct uk_log_keys *keys, const struct uk_log_key_sum *sum)
{
  return is_over(sum, keys->limits.keys, keys->limits.bytes);
}

static bool user_is_over(const struct uk_log_keys *keys, const struct uk_log_key_sum *sum)
{
  return is_over(sum, keys->limits.user_keys, keys->limits.user_bytes);
}

/* Load. */

static bool count_row(void *argument, struct uk_slice row, size_t length, uint64_t end)
{
  struct uk_log_keys *keys = argument;
  struct uk_log_key_user *user = use_user(keys, uk_log_key_row_user(row));
  if (user == NULL)
    return false;
  add(&user->now, cost(row, length));
  add(&keys->now, cost(row, length));
  keys->damaged += end == 0;
  if (end > keys->last_written)
    uk_log_key_queue_find(&keys->queue, end, row);
  if (end > keys->last_end)
    keys->last_end = end;
  return true;
}

static void start_clock(struct uk_log_keys *keys, bool any, int64_t epoch, int64_t monotonic)
{
  if (any && keys->last_end > keys->window)
    keys->base = keys->last_end - keys->window;
  else
    keys->base = epoch > 0 ? (uint64_t)epoch * 1000 : 0;
  keys->began = monotonic;
  keys->started = true;
}

enum uk_log_status uk_log_keys_load(struct uk_log_keys *keys, struct uk_log_view *view,
                                    int64_t epoch, int64_t monotonic)
{
  forget_users(keys);
  uk_log_key_queue_clear(&keys->queue);
  keys->now = (struct uk_log_key_sum){0};
  keys->damaged = keys->last_written = 0;
  enum uk_log_status status = uk_log_view_last_expiry(view, &keys->last_written);
  if (status != UK_LOG_OK && status != UK_LOG_NOTHING)
    return status;
  if (keys->last_written > keys->last_end)
    keys->last_end = keys->last_written;
  bool any = status == UK_LOG_OK;
  status = uk_log_view_each_key(view, count_row, keys);
  if (status != UK_LOG_OK)
    return status;
  any = any || !uk_log_key_queue_is_empty(&keys->queue);
  if (!keys->started)
    start_clock(keys, any, epoch, monotonic);
  keys->first_end = any ? 0 : UINT64_MAX;
  uk_log_keys_drop(keys);
  return UK_LOG_OK;
}

/* A transaction. */

enum uk_log_status uk_log_keys_put(struct uk_log_keys *keys, struct uk_log_store *store,
                                   struct uk_slice row, struct uk_buffer *answer)
{
  size_t length = answer->length, replaced;
  struct uk_log_key_user *user = use_user(keys, uk_log_key_row_user(row));
  if (user == NULL)
    return UK_LOG_NO_MEMORY;
  enum uk_log_status status = UK_LOG_OK;
  if (uk_log_key_queue_has(&keys->queue, row)) /* and is replaced now */
    status = uk_log_key_queue_write(&keys->queue, store);
  if (status == UK_LOG_OK)
    status = uk_log_store_put_key(store, row, answer, &replaced);
  if (status == UK_LOG_OK)
    status =
      uk_log_key_queue_add(&keys->queue, store, uk_log_answer_ends(uk_buffer_slice(answer)), row);
  if (status != UK_LOG_OK)
    return status;
  touch(keys, user);
  if (replaced > 0) {
    take(&user->next, cost(row, replaced));
    take(&keys->next, cost(row, replaced));
  }
  add(&user->next, cost(row, length));
  add(&keys->next, cost(row, length));
  return UK_LOG_OK;
}

static enum uk_log_status remove_key(struct uk_log_keys *keys, struct uk_log_store *store,
                                     uint64_t time, uint64_t end, struct uk_slice row)
{
  size_t length;
  uint8_t bytes[UK_LOG_KEY_ROW_MAX];
  memcpy(bytes, row.data, row.length); /* the row moves */
  row.data = (const char *)bytes;
  struct uk_log_key_user *user = use_user(keys, uk_log_key_row_user(row));
  if (user == NULL)
    return UK_LOG_NO_MEMORY;
  enum uk_log_status status = uk_log_store_remove_key(store, end, row, &length);
  if (status != UK_LOG_OK || length == 0)
    return status;
  touch(keys, user);
  take(&user->next, cost(row, length));
  take(&keys->next, cost(row, length));
  if (end > time && end > keys->next_short_until)
    keys->next_short_until = end;
  return UK_LOG_OK;
}

static enum uk_log_status next_expiry(struct uk_log_keys *keys, struct uk_log_store *store,
                                      uint64_t from, uint64_t *end, struct uk_slice *row)
{
  enum uk_log_status status = uk_log_store_next_expiry(store, from, end, row);
  if (status != UK_LOG_NOTHING || uk_log_key_queue_is_empty(&keys->queue))
    return status;
  status = uk_log_key_queue_write(&keys->queue, store);
  return status == UK_LOG_OK ? uk_log_store_next_expiry(store, from, end, row) : status;
}

/* Removes the first keys of all. */
static enum uk_log_status trim_first(struct uk_log_keys *keys, struct uk_log_store *store,
                                     uint64_t time, unsigned *budget)
{
  enum uk_log_status status = UK_LOG_OK;
  struct uk_slice row;
  uint64_t end;
  for (; status == UK_LOG_OK && *budget > 0; --*budget) {
    status = next_expiry(keys, store, 0, &end, &row);
    if (status != UK_LOG_OK)
      break;
    keys->next_first_end = end;
    if (end > time && !all_are_over(keys, &keys->next))
      return UK_LOG_OK;
    status = remove_key(keys, store, time, end, row);
  }
  if (status != UK_LOG_NOTHING)
    return status;
  keys->next_first_end = UINT64_MAX;
  return UK_LOG_OK;
}

/* Removes the first keys of the user. Keys of others on the way are passed once. */
static enum uk_log_status trim_user(struct uk_log_keys *keys, struct uk_log_store *store,
                                    struct uk_log_key_user *user, uint64_t time, unsigned *budget)
{
  enum uk_log_status status = UK_LOG_OK;
  struct uk_slice row;
  uint64_t end;
  for (; *budget > 0 && user_is_over(keys, &user->next); --*budget) {
    status = next_expiry(keys, store, user->next_oldest, &end, &row);
    if (status == UK_LOG_OK && uk_slice_equal(uk_log_key_row_user(row), user->node.name))
      status = remove_key(keys, store, time, end, row);
    if (status != UK_LOG_OK)
      break;
    user->next_oldest = end + 1;
  }
  return status == UK_LOG_NOTHING ? UK_LOG_OK : status;
}

static void touch_users_over(struct uk_log_keys *keys)
{
  struct uk_name_node *node = NULL;
  while ((node = uk_name_table_next(&keys->users, node)) != NULL) {
    struct uk_log_key_user *user = (struct uk_log_key_user *)node;
    if (user_is_over(keys, &user->now))
      touch(keys, user);
  }
}

enum uk_log_status uk_log_keys_trim(struct uk_log_keys *keys, struct uk_log_store *store,
                                    uint64_t time, bool all, unsigned *budget)
{
  if (all)
    touch_users_over(keys);
  enum uk_log_status status = trim_first(keys, store, time, budget);
  for (struct uk_log_key_user *user = keys->touched; status == UK_LOG_OK && user != NULL;
       user = user->next_touched)
    status = trim_user(keys, store, user, time, budget);
  return status;
}

static void tell(struct uk_log_keys *keys, uint64_t time)
{
  char text[200];
  if (uk_log_keys_describe(keys, time, text, sizeof text))
    uk_alarm_raise(&keys->is_short, "%s", text);
}

void uk_log_keys_keep(struct uk_log_keys *keys, uint64_t time)
{
  for (struct uk_log_key_user *user = keys->touched; user != NULL; user = user->next_touched) {
    user->now = user->next;
    user->oldest = user->next_oldest;
  }
  keys->now = keys->next;
  keys->first_end = keys->next_first_end;
  uk_log_key_queue_keep(&keys->queue);
  if (keys->next_short_until > atomic_load(&keys->short_until)) {
    atomic_store(&keys->short_until, keys->next_short_until);
    tell(keys, time);
  }
  uk_log_keys_drop(keys);
}

void uk_log_keys_drop(struct uk_log_keys *keys)
{
  for (struct uk_log_key_user *user = keys->touched; user != NULL; user = user->next_touched)
    user->touched = false;
  keys->touched = NULL;
  uk_log_key_queue_drop(&keys->queue);
  keys->next = keys->now;
  keys->next_first_end = keys->first_end;
  keys->next_short_until = atomic_load(&keys->short_until);
}

/* Maintenance and health. */

static bool is_any_over(const struct uk_log_keys *keys)
{
  const struct uk_name_node *node = NULL;
  if (all_are_over(keys, &keys->now))
    return true;
  while ((node = uk_name_table_next(&keys->users, node)) != NULL) {
    if (user_is_over(keys, &((const struct uk_log_key_user *)node)->now))
      return true;
  }
  return false;
}

bool uk_log_keys_are_due(const struct uk_log_keys *keys, uint64_t time)
{
  return keys->first_end != UINT64_MAX && (keys->first_end <= time || is_any_over(keys));
}

bool uk_log_keys_will_be_due(const struct uk_log_keys *keys)
{
  return keys->first_end != UINT64_MAX;
}

void uk_log_keys_look(struct uk_log_keys *keys, uint64_t time)
{
  if (time >= atomic_load(&keys->short_until))
    uk_alarm_clear(&keys->is_short, "repeated requests are recognized for %" PRIu64 " s again",
                   keys->window / 1000000);
}

bool uk_log_keys_describe(const struct uk_log_keys *keys, uint64_t time, char *text, size_t size)
{
  uint64_t until = atomic_load(&keys->short_until);
  if (until <= time)
    return false;
  uint64_t missing = until - time;
  uint64_t rest = missing < keys->window ? keys->window - missing : 0;
  snprintf(text, size,
           "repeated requests are recognized for %" PRIu64 " s, not for %" PRIu64
           " s: there are more idempotency keys than fit",
           rest / 1000000, keys->window / 1000000);
  return true;
}
