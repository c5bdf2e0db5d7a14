/* The rows of all tables but those of batches and times. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/log_engine/log_check_private.h"

static bool key_is(const MDB_val *key, const char *text)
{
  return key->mv_size == strlen(text) && memcmp(key->mv_data, text, key->mv_size) == 0;
}

/* Meta. Its rows come before "upgraded", which says whether there may be rows of format 1. */

static bool read_number(struct uk_check *check, const MDB_val *key, const MDB_val *value,
                        uint64_t *number)
{
  const struct uk_log_meta any = {.format = 1};
  check->has_old_numbers = check->has_old_numbers || value->mv_size == UK_LOG_NUMBER - 4;
  return uk_log_row_number(&any, key, value, number);
}

static void read_format(struct uk_check *check, const MDB_val *value)
{
  check->has_format = value->mv_size == 4;
  check->meta.format = check->has_format ? uk_load_u32(value->mv_data) : 0;
  if (!check->has_format)
    uk_check_damaged(check, UK_LOG_META, "the row \"format\" is damaged");
  else if (check->meta.format < 1 || check->meta.format > UK_LOG_FORMAT)
    uk_check_fail(check, UK_E_UNAVAILABLE,
                  "the log in %s has format %u, which this version does not know (expected %d)",
                  check->options->directory, (unsigned)check->meta.format, (int)UK_LOG_FORMAT);
}

static void read_need_of_keys(struct uk_check *check, const MDB_val *value)
{
  check->meta.has_keys = true;
  if (value->mv_size != 4)
    uk_check_damaged(check, UK_LOG_META, "the row \"needs keys\" is damaged");
  else if (uk_load_u32(value->mv_data) != UK_LOG_KEYS_VERSION)
    uk_check_fail(check, UK_E_UNAVAILABLE,
                  "the log in %s needs keys %u, which this version does not know",
                  check->options->directory, (unsigned)uk_load_u32(value->mv_data));
}

void uk_check_meta(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  uint64_t number = 0;
  bool whole = true;
  if (key_is(key, "format")) {
    read_format(check, value);
  } else if (key_is(key, "log")) {
    whole = check->has_id = uk_log_row_is_whole(key, value, UK_LOG_ID_BYTES + 4);
    if (whole)
      memcpy(check->meta.id, value->mv_data, UK_LOG_ID_BYTES);
  } else if (key_is(key, "next_topic")) {
    if ((whole = read_number(check, key, value, &number)))
      check->meta.next_topic = number;
  } else if (key_is(key, "upgraded")) {
    if ((whole = read_number(check, key, value, &number)))
      check->meta.upgraded = (int64_t)number;
  } else if (key_is(key, "needs keys")) {
    read_need_of_keys(check, value);
  } else if (key->mv_size > 6 && memcmp(key->mv_data, "needs ", 6) == 0) {
    uk_check_fail(check, UK_E_UNAVAILABLE,
                  "the log in %s needs %.*s, which this version does not "
                  "know",
                  check->options->directory, (int)key->mv_size - 6, (const char *)key->mv_data + 6);
  }
  if (!whole)
    uk_check_damaged(check, UK_LOG_META, "the row \"%.*s\" is damaged", (int)key->mv_size,
                     (const char *)key->mv_data);
}

/* Format 1 may have rows of either format: a log whose meta is lost is read as one. */
void uk_check_meta_end(struct uk_check *check)
{
  struct uk_log_meta *meta = &check->meta;
  if (!check->has_format)
    meta->format = 1;
  if (meta->format == UK_LOG_FORMAT && !check->has_id)
    uk_check_damaged(check, UK_LOG_META, "the row \"log\" is missing or damaged");
  if (check->has_old_numbers && meta->format == UK_LOG_FORMAT && meta->upgraded == INT64_MAX)
    uk_check_damaged(check, UK_LOG_META, "has a row of format 1");
  if (!check->has_identity)
    return;
  if (check->identity.topics > 1 && meta->next_topic <= 1 && !check->lost[UK_LOG_META])
    uk_check_damaged(check, UK_LOG_META, "the log held topics, and data.mdb holds none");
  if (check->has_id && memcmp(meta->id, check->identity.id, UK_LOG_ID_BYTES) != 0)
    uk_check_note(check, "data.mdb is of another log than the file identity: a restored copy");
}

void uk_check_life(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  uint32_t life = key->mv_size == 4 ? uk_load_u32(key->mv_data) : 0;
  if (key->mv_size != 4 || !uk_log_row_is_whole(key, value, UK_LOG_LIFE_ROW))
    uk_check_damaged(check, UK_LOG_LIVES, "the row of life %u is damaged", (unsigned)life);
  if (life > check->meta.life)
    check->meta.life = life;
}

void uk_check_purge(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  if (key->mv_size != 8 || value->mv_size != 0) {
    uk_check_damaged(check, UK_LOG_PURGES, "a row is damaged");
    return;
  }
  void *array = check->purges;
  if (uk_check_make_room(check, &array, check->purge_count, &check->purge_capacity,
                         sizeof *check->purges)) {
    check->purges = array;
    check->purges[check->purge_count++] = uk_load_u64(key->mv_data);
  }
}

/* Topics. */

static bool add_topic(struct uk_check *check, struct uk_log_topic *topic)
{
  void *array = check->topics;
  if (topic == NULL || !uk_check_make_room(check, &array, check->topic_count,
                                           &check->topic_capacity, sizeof *check->topics)) {
    free(topic);
    uk_check_fail(check, UK_E_NO_MEMORY, "out of memory while checking the log in %s",
                  check->options->directory);
    return false;
  }
  check->topics = (struct uk_log_topic **)array;
  check->topics[check->topic_count++] = topic;
  return true;
}

void uk_check_topic(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  const struct uk_slice name = uk_slice_of(key->mv_data, key->mv_size);
  if (!uk_topic_name_valid(name) || !uk_log_topic_row_is_whole(&check->meta, key, value)) {
    check->lost[UK_LOG_TOPICS] = true;
    uk_check_damaged(check, UK_LOG_TOPICS, "the row of topic \"%.*s\" is damaged", (int)name.length,
                     name.data);
    return;
  }
  struct uk_log_topic *topic =
    uk_log_topic_new(name, (int32_t)uk_load_u32((const uint8_t *)value->mv_data + 8));
  if (!add_topic(check, topic))
    return;
  uk_log_topic_row_read(topic, value);
  if (topic->id < check->meta.next_topic)
    return;
  if (check->has_format)
    uk_check_damaged(check, UK_LOG_TOPICS, "topic \"%s\" has an ID that was not given yet",
                     topic->name);
  check->meta.next_topic = topic->id + 1;
}

static int by_id(const void *a, const void *b)
{
  uint64_t left = (*(struct uk_log_topic *const *)a)->id;
  uint64_t right = (*(struct uk_log_topic *const *)b)->id;
  return left < right ? -1 : left > right;
}

static void begin_salvage(struct uk_check *check)
{
  const struct uk_log_meta *meta = &check->meta;
  struct uk_log_origin origin = {.has_id = check->has_id,
                                 .life = meta->life,
                                 .next_topic = meta->next_topic,
                                 .upgraded = meta->upgraded,
                                 .bytes = (size_t)check->result->bytes};
  memcpy(origin.id, check->has_id ? meta->id : check->identity.id, UK_LOG_ID_BYTES);
  origin.has_id = check->has_id || check->has_identity;
  if (check->has_identity && check->identity.life > origin.life)
    origin.life = check->identity.life;
  if (check->has_identity && check->identity.topics > origin.next_topic)
    origin.next_topic = check->identity.topics;
  check->error = uk_log_salvage_open(&check->salvage, check->options->salvage, &origin,
                                     check->message, check->message_size);
}

void uk_check_topics_end(struct uk_check *check)
{
  if (check->topic_count > 0)
    qsort(check->topics, check->topic_count, sizeof *check->topics, by_id);
  for (size_t i = 1; i < check->topic_count; i++) {
    if (check->topics[i - 1]->id == check->topics[i]->id)
      uk_check_damaged(check, UK_LOG_TOPICS, "topics \"%s\" and \"%s\" have the same ID",
                       check->topics[i - 1]->name, check->topics[i]->name);
  }
  check->result->topics = check->topic_count;
  if (check->options->salvage != NULL)
    begin_salvage(check);
}

static size_t place_of(const struct uk_check *check, uint64_t id)
{
  size_t low = 0, high = check->topic_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (check->topics[middle]->id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static struct uk_log_topic *find_topic(const struct uk_check *check, uint64_t id)
{
  size_t at = place_of(check, id);
  return at < check->topic_count && check->topics[at]->id == id ? check->topics[at] : NULL;
}

/* The topic with room for more partitions. NULL when memory is out. */
static struct uk_log_topic *grow_topic(struct uk_log_topic *topic, int32_t partitions)
{
  struct uk_log_topic *grown = uk_log_topic_new(uk_log_topic_name(topic), partitions);
  if (grown == NULL)
    return NULL;
  grown->id = topic->id;
  grown->created = topic->created;
  grown->damaged = true;
  for (int32_t i = 0; i < topic->partition_count; i++) {
    grown->partitions[i] = topic->partitions[i];
    grown->partitions[i].topic = grown;
  }
  free(topic);
  return grown;
}

/* A name that no other topic has, unless somebody chose it. */
static bool add_revived(struct uk_check *check, uint64_t id, int32_t partitions)
{
  char name[40];
  size_t at = place_of(check, id);
  snprintf(name, sizeof name, "salvaged-%" PRIu64, id);
  struct uk_log_topic *topic = uk_log_topic_new(uk_slice_text(name), partitions);
  if (!add_topic(check, topic))
    return false;
  topic->id = id;
  topic->damaged = true;
  topic->created = uk_clock_epoch();
  memmove(&check->topics[at + 1], &check->topics[at], (check->topic_count - 1 - at) * sizeof topic);
  check->topics[at] = topic;
  uk_check_note(check, "the name of the topic with the ID %" PRIu64 " is lost: it becomes \"%s\"",
                id, name);
  return true;
}

struct uk_log_topic *uk_check_revive(struct uk_check *check, uint64_t topic_id, int32_t partition)
{
  if (find_topic(check, topic_id) == NULL && !add_revived(check, topic_id, partition + 1))
    return NULL;
  size_t at = place_of(check, topic_id);
  if (check->topics[at]->partition_count > partition)
    return check->topics[at];
  struct uk_log_topic *grown = grow_topic(check->topics[at], partition + 1);
  if (grown == NULL)
    uk_check_fail(check, UK_E_NO_MEMORY, "out of memory while checking the log in %s",
                  check->options->directory);
  else
    check->topics[at] = grown;
  return grown;
}

static int compare_ids(const void *a, const void *b)
{
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return left < right ? -1 : left > right;
}

enum uk_check_owner uk_check_owner(const struct uk_check *check, uint64_t topic_id,
                                   struct uk_log_topic **topic)
{
  *topic = find_topic(check, topic_id);
  if (*topic != NULL)
    return UK_CHECK_TOPIC;
  bool purged = check->purge_count > 0 && bsearch(&topic_id, check->purges, check->purge_count,
                                                  sizeof topic_id, compare_ids) != NULL;
  return check->lost[UK_LOG_TOPICS] && !purged ? UK_CHECK_LOST : UK_CHECK_DELETED;
}

/* Committed offsets. */

/* Behind lost batches, a committed offset may be the only trace of an end. One that is farther off
 * than a lost page can reach is no trace. */
static bool is_beyond(const struct uk_check_partition *partition, int64_t offset)
{
  int64_t end = partition == NULL ? 0 : partition->least_end;
  if (partition == NULL || !partition->uncertain)
    return offset > end;
  return offset - end > UINT32_MAX;
}

static void keep_committed(struct uk_check *check, struct uk_log_topic *topic, int32_t index,
                           struct uk_slice group, int64_t offset)
{
  struct uk_check_partition *partition = uk_check_find_partition(check, topic->id, index);
  if (check->lost[UK_LOG_BATCHES] && partition == NULL &&
      (partition = uk_check_use_partition(check, topic->id, index)) == NULL)
    return;
  if (is_beyond(partition, offset)) {
    if (check->salvage != NULL)
      uk_check_note(check,
                    "topic \"%s\" partition %d: the committed offset %" PRId64
                    " of group \"%.*s\" lies beyond the end, and is not copied",
                    topic->name, (int)index, offset, (int)group.length, group.data);
    return;
  }
  if (partition != NULL && offset > partition->least_end)
    partition->least_end = offset;
  if (check->salvage == NULL)
    return;
  if (partition != NULL)
    uk_log_salvage_end(check->salvage, &topic->partitions[index], partition->least_end);
  uk_log_salvage_committed(check->salvage, &topic->partitions[index], group, offset);
}

void uk_check_committed(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  struct uk_log_topic *topic;
  uint64_t offset;
  if (key->mv_size <= UK_LOG_PREFIX || key->mv_size > UK_LOG_KEY_MAX) {
    uk_check_damaged(check, UK_LOG_COMMITTED, "a row has an impossible key");
    return;
  }
  const uint8_t *bytes = key->mv_data;
  const uint64_t topic_id = uk_load_u64(bytes);
  const uint32_t index = uk_load_u32(bytes + 8);
  const struct uk_slice group =
    uk_slice_of((const char *)bytes + UK_LOG_PREFIX, key->mv_size - UK_LOG_PREFIX);
  enum uk_check_owner owner = uk_check_owner(check, topic_id, &topic);
  if (!uk_log_row_number(&check->meta, key, value, &offset) || offset > INT64_MAX) {
    uk_check_damaged_in(check, UK_LOG_COMMITTED, topic_id, (int32_t)index,
                        "group \"%.*s\": the row is damaged", (int)group.length, group.data);
  } else if (owner != UK_CHECK_TOPIC) {
    check->orphans++;
  } else if (index >= (uint32_t)topic->partition_count) {
    uk_check_damaged_in(check, UK_LOG_COMMITTED, topic_id, (int32_t)index,
                        "group \"%.*s\": there is no such partition", (int)group.length,
                        group.data);
  } else {
    check->result->committed++;
    keep_committed(check, topic, (int32_t)index, group, (int64_t)offset);
  }
}

void uk_check_committed_end(struct uk_check *check)
{
  if (check->orphans > 0)
    uk_check_note(check, "%" PRIu64 " rows are left of topics that do not exist (any more)",
                  check->orphans);
  for (size_t i = 0; check->salvage != NULL && i < check->topic_count; i++)
    uk_log_salvage_topic(check->salvage, check->topics[i]);
}
