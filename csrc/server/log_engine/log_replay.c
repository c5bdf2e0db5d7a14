/* Idempotency keys in a transaction: a command with a known key is answered as before, and the
 * answers of the others are kept. */
#include "common/clock.h"
#include "server/log_engine/log_answer.h"
#include "server/log_engine/log_private.h"

enum { TRIM_MORE = 16 }; /* rows looked at besides two for each new key */

#define ANOTHER_REQUEST "the idempotency key belongs to another request"
#define DAMAGED_KEY                                                                                \
  "what is stored of this idempotency key is damaged: whether the request was carried out is not " \
  "known"

void uk_log_init_keys(struct uk_log *log, int64_t window, const struct uk_log_key_limits *limits)
{
  uk_log_answer_init(&log->answer);
  uk_buffer_init(&log->places, SIZE_MAX / 2);
  uk_log_keys_init(&log->keys, window, limits);
  log->held = &log->key_sets[0];
  log->doubtful = &log->key_sets[1];
}

void uk_log_free_keys(struct uk_log *log)
{
  uk_log_answer_free(&log->answer);
  uk_buffer_free(&log->places);
  uk_log_keys_free(&log->keys);
}

static uint64_t time_now(const struct uk_log *log)
{
  return uk_log_keys_time(&log->keys, uk_clock_monotonic());
}

const struct uk_produce_key *uk_log_key_of(const struct uk_log *log,
                                           const struct uk_operation *operation)
{
  if (log->keys.window == 0 || uk_log_kind(operation) != UK_LOG_PRODUCE)
    return NULL;
  const struct uk_produce_key *key = &((const struct uk_produce *)operation)->key;
  return key->key.length > 0 ? key : NULL;
}

/* Look-up. */

struct replay {
  struct uk_log *log;
  struct uk_produce *produce;
  int64_t timestamp;
  bool is_gone; /* a record that the answer names */
};

/* An answer about offsets that its partition does not have yet is of another copy of the log, or
 * lost its records to damage. A topic that was deleted since keeps its answers. */
static bool check_place(void *argument, size_t index, const struct uk_log_answer_place *place)
{
  struct replay *replay = argument;
  if (!place->is_first)
    return true;
  const struct uk_log_topic *topic =
    uk_log_topics_find(&replay->log->topics, replay->produce->records[index].topic);
  if (topic == NULL || topic->id != place->topic_id || place->partition >= topic->partition_count)
    return true;
  const struct uk_log_partition *partition = &topic->partitions[place->partition];
  replay->is_gone = !partition->damaged && place->offset >= partition->end;
  return !replay->is_gone;
}

static bool fill_in(void *argument, size_t index, const struct uk_log_answer_place *place)
{
  const struct replay *replay = argument;
  struct uk_record *record = &replay->produce->records[index];
  record->partition = place->partition;
  record->offset = place->offset;
  if (record->timestamp == -1)
    record->timestamp = replay->timestamp;
  return true;
}

static enum uk_log_status read_answer(struct replay *replay, struct uk_slice answer)
{
  struct uk_produce *produce = replay->produce;
  struct uk_buffer *places = &replay->log->places;
  replay->timestamp = uk_log_answer_timestamp(answer);
  enum uk_log_answer_result result =
    uk_log_answer_read(answer, produce->count, places, check_place, replay);
  if (result == UK_LOG_ANSWER_OK && !replay->is_gone)
    result = uk_log_answer_read(answer, produce->count, places, fill_in, replay);
  if (places->capacity > UK_LOG_ANSWER_KEEP || places->error != UK_OK)
    uk_buffer_free(places);
  if (result == UK_LOG_ANSWER_NO_MEMORY)
    return UK_LOG_NO_MEMORY;
  if (replay->is_gone)
    return UK_LOG_NOTHING;
  return result == UK_LOG_ANSWER_OK ? UK_LOG_OK : UK_LOG_DAMAGED;
}

/* Answers the command from the row. NOTHING when the row says nothing (any more). */
static enum uk_log_status answer_from(struct uk_log *log, struct uk_produce *produce,
                                      struct uk_slice answer)
{
  struct replay replay = {.log = log, .produce = produce};
  if (uk_log_answer_ends(answer) <= time_now(log))
    return UK_LOG_NOTHING;
  if (!uk_log_answer_is_to(answer, produce->key.fingerprint)) {
    uk_operation_fail(&produce->operation, UK_E_UNPROCESSABLE, ANOTHER_REQUEST);
    return UK_LOG_OK;
  }
  enum uk_log_status status = read_answer(&replay, answer);
  produce->replayed = status == UK_LOG_OK;
  return status;
}

enum uk_log_status uk_log_look_up(struct uk_log *log, struct uk_operation *operation, bool *known)
{
  uint8_t bytes[UK_LOG_KEY_ROW_MAX];
  struct uk_slice answer;
  struct uk_produce *produce = (struct uk_produce *)operation;
  const struct uk_produce_key *key = uk_log_key_of(log, operation);
  *known = key != NULL && produce->replayed;
  if (key == NULL || *known)
    return UK_LOG_OK;
  operation->error = UK_OK;
  operation->message[0] = '\0';
  size_t length = uk_log_key_row(bytes, key);
  *known = length == 0;
  if (*known) {
    uk_operation_fail(operation, UK_E_BAD_REQUEST, "the idempotency key is longer than %d bytes",
                      (int)UK_IDEMPOTENCY_KEY_MAX);
    return UK_LOG_OK;
  }
  const struct uk_slice row = uk_slice_of((const char *)bytes, length);
  enum uk_log_status status = uk_log_store_find_key(log->store, row, &answer);
  if (status == UK_LOG_OK)
    status = answer_from(log, produce, answer);
  if (status == UK_LOG_DAMAGED)
    uk_operation_fail(operation, UK_E_INTERNAL, DAMAGED_KEY);
  *known = status == UK_LOG_OK || status == UK_LOG_DAMAGED;
  return *known || status == UK_LOG_NOTHING ? UK_LOG_OK : status;
}

/* What is kept. */

static enum uk_log_status keep_answer(struct uk_log *log, const struct uk_produce *produce,
                                      const struct uk_log_staged *staged)
{
  uint8_t bytes[UK_LOG_KEY_ROW_MAX];
  size_t length = uk_log_key_row(bytes, &produce->key);
  uint64_t end = uk_log_keys_give_end(&log->keys, time_now(log));
  uk_log_answer_begin(&log->answer, produce->key.fingerprint, end, log->stage.now);
  for (size_t i = 0; i < produce->count; i++)
    uk_log_answer_add(&log->answer, &staged[i]);
  struct uk_buffer *answer = uk_log_answer_end(&log->answer);
  if (answer == NULL)
    return UK_LOG_NO_MEMORY;
  return uk_log_keys_put(&log->keys, log->store, uk_slice_of((const char *)bytes, length), answer);
}

static bool is_staged(const struct uk_operation *command)
{
  return uk_log_kind(command) == UK_LOG_PRODUCE && command->error == UK_OK &&
         !((const struct uk_produce *)command)->replayed;
}

enum uk_log_status uk_log_keep_answers(struct uk_log *log, const struct uk_list *commands)
{
  enum uk_log_status status = UK_LOG_OK;
  const struct uk_log_staged *staged = log->stage.records;
  unsigned kept = 0;
  struct uk_operation *command = NULL;
  while (status == UK_LOG_OK && (command = uk_log_next(commands, command)) != NULL) {
    if (!is_staged(command))
      continue;
    const struct uk_produce *produce = (const struct uk_produce *)command;
    if (uk_log_key_of(log, command) != NULL) {
      status = keep_answer(log, produce, staged);
      kept++;
    }
    staged += produce->count;
  }
  unsigned budget = 2 * kept + TRIM_MORE;
  if (status == UK_LOG_OK && kept > 0)
    status = uk_log_keys_trim(&log->keys, log->store, time_now(log), false, &budget);
  return status;
}

/* Keys whose fate is not known. */

bool uk_log_is_doubtful(const struct uk_log *log, const struct uk_operation *operation)
{
  const struct uk_produce_key *key = uk_log_key_of(log, operation);
  return key != NULL && (uk_log_key_set_has(log->doubtful, key) ||
                         (!uk_list_is_empty(&log->hand) && uk_log_key_set_has(log->held, key)));
}

void uk_log_doubt_keys(struct uk_log *log)
{
  pthread_mutex_lock(&log->mutex);
  struct uk_log_key_set *held = log->held;
  log->held = log->doubtful;
  log->doubtful = held;
  pthread_mutex_unlock(&log->mutex);
}

void uk_log_trust_keys(struct uk_log *log)
{
  pthread_mutex_lock(&log->mutex);
  uk_log_key_set_clear(log->doubtful);
  pthread_mutex_unlock(&log->mutex);
}
