#include "server/kafka_engine/cluster/kafka_catalog.h"

#include <stdlib.h>

#include "common/clock.h"

static const char OFFSETS_TOPIC[] = "__consumer_offsets";

void uk_kafka_catalog_init(struct uk_kafka_catalog *catalog)
{
  *catalog = (struct uk_kafka_catalog){.looks = 0};
  uk_name_table_init(&catalog->table, uk_name_table_seed());
  uk_name_set_init(&catalog->forgotten);
  uk_name_set_init(&catalog->gone);
}

static void forget(struct uk_kafka_catalog *catalog, struct uk_kafka_topic *topic)
{
  uk_name_table_remove(&catalog->table, &topic->node);
  free(topic->leaderless);
  free(topic);
}

void uk_kafka_catalog_free(struct uk_kafka_catalog *catalog)
{
  struct uk_name_node *node;
  while ((node = uk_name_table_next(&catalog->table, NULL)) != NULL)
    forget(catalog, (struct uk_kafka_topic *)node);
  uk_name_table_free(&catalog->table);
  uk_name_set_free(&catalog->forgotten);
  uk_name_set_free(&catalog->gone);
}

struct uk_kafka_topic *uk_kafka_catalog_find(const struct uk_kafka_catalog *catalog,
                                             struct uk_slice name)
{
  return (struct uk_kafka_topic *)uk_name_table_find(&catalog->table, name);
}

struct uk_kafka_topic *uk_kafka_catalog_keep(struct uk_kafka_catalog *catalog, struct uk_slice name,
                                             int32_t partitions)
{
  struct uk_kafka_topic *topic = uk_kafka_catalog_find(catalog, name);
  if (topic == NULL) {
    topic = calloc(1, sizeof *topic + name.length);
    if (topic == NULL)
      return NULL;
    memcpy(topic->name, name.data, name.length);
    topic->node.name = uk_slice_of(topic->name, name.length);
    if (!uk_name_table_add(&catalog->table, &topic->node)) {
      free(topic);
      return NULL;
    }
  }
  topic->partitions = partitions;
  topic->seen = catalog->looks;
  return topic;
}

void uk_kafka_catalog_forget(struct uk_kafka_catalog *catalog, struct uk_slice name)
{
  struct uk_kafka_topic *topic = uk_kafka_catalog_find(catalog, name);
  if (topic == NULL)
    return;
  (void)uk_name_set_add(&catalog->forgotten, name);
  forget(catalog, topic);
}

bool uk_kafka_catalog_is_renewed(struct uk_kafka_catalog *catalog, struct uk_slice name)
{
  return uk_name_set_has(&catalog->gone, name);
}

/* Learning. */

/* The cluster has no such topic. */
static void note_gone(struct uk_kafka_catalog *catalog, struct uk_slice name)
{
  struct uk_kafka_name copy = uk_kafka_name(name); /* the name may be the topic's own */
  struct uk_slice topic = uk_slice_text(copy.text);
  uk_kafka_catalog_forget(catalog, topic);
  if (uk_name_set_has(&catalog->forgotten, topic))
    (void)uk_name_set_add(&catalog->gone, topic);
  uk_name_set_remove(&catalog->forgotten, topic);
}

static void keep_leaderless(struct uk_kafka_topic *topic, const rd_kafka_metadata_topic_t *reported)
{
  topic->reported_at = uk_clock_monotonic();
  topic->leaderless_count = 0;
  free(topic->leaderless);
  topic->leaderless = NULL;
  for (int i = 0; i < reported->partition_cnt; i++) {
    if (reported->partitions[i].leader >= 0)
      continue;
    if (topic->leaderless == NULL)
      topic->leaderless = calloc((size_t)reported->partition_cnt, sizeof *topic->leaderless);
    if (topic->leaderless != NULL)
      topic->leaderless[topic->leaderless_count++] = reported->partitions[i].id;
  }
}

static void forget_unseen(struct uk_kafka_catalog *catalog)
{
  struct uk_name_node *node = uk_name_table_next(&catalog->table, NULL);
  while (node != NULL) {
    struct uk_kafka_topic *topic = (struct uk_kafka_topic *)node;
    node = uk_name_table_next(&catalog->table, node);
    if (topic->seen != catalog->looks)
      note_gone(catalog, topic->node.name);
  }
}

rd_kafka_resp_err_t uk_kafka_catalog_learn(struct uk_kafka_catalog *catalog,
                                           const rd_kafka_metadata_topic_t *reported,
                                           int32_t *partitions)
{
  struct uk_slice name = uk_slice_text(reported->topic);
  enum uk_error error = uk_kafka_error(reported->err);
  *partitions = reported->partition_cnt;
  if (uk_topic_name_internal(name) || error == UK_E_BAD_REQUEST)
    error = UK_E_NOT_FOUND;
  if (reported->partition_cnt > 0 && (error == UK_OK || error == UK_E_UNAVAILABLE)) {
    struct uk_kafka_topic *kept = uk_kafka_catalog_keep(catalog, name, reported->partition_cnt);
    uk_name_set_remove(&catalog->forgotten, name);
    if (kept != NULL)
      keep_leaderless(kept, reported);
    return RD_KAFKA_RESP_ERR_NO_ERROR; /* a moving leader does not end the topic */
  }
  if (error == UK_E_NOT_FOUND) {
    note_gone(catalog, name);
    return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  }
  return error == UK_OK ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE : reported->err;
}

void uk_kafka_catalog_learn_all(struct uk_kafka_catalog *catalog,
                                const rd_kafka_metadata_t *reported)
{
  int32_t partitions;
  catalog->looks++;
  catalog->groupless = true;
  for (int i = 0; i < reported->topic_cnt; i++) {
    uk_kafka_catalog_learn(catalog, &reported->topics[i], &partitions);
    if (strcmp(reported->topics[i].topic, OFFSETS_TOPIC) == 0)
      catalog->groupless = false;
  }
  forget_unseen(catalog);
}

void uk_kafka_catalog_learn_brokers(struct uk_kafka_catalog *catalog,
                                    const rd_kafka_metadata_t *reported)
{
  int count =
    reported->broker_cnt < UK_KAFKA_BROKERS_MAX ? reported->broker_cnt : UK_KAFKA_BROKERS_MAX;
  for (int i = 0; i < count; i++)
    catalog->brokers[i] = reported->brokers[i].id;
  catalog->broker_count = (size_t)count;
}

/* Reporting. */

bool uk_kafka_topic_leaderless(const struct uk_kafka_topic *topic, int32_t partition)
{
  for (int i = 0; i < topic->leaderless_count; i++) {
    if (topic->leaderless[i] == partition)
      return true;
  }
  return false;
}

static int by_name(const void *a, const void *b)
{
  return uk_name_order((*(struct uk_kafka_topic *const *)a)->node.name,
                       (*(struct uk_kafka_topic *const *)b)->node.name);
}

bool uk_kafka_catalog_each(struct uk_kafka_catalog *catalog,
                           void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                           void *argument)
{
  size_t count = 0;
  struct uk_kafka_topic **sorted = calloc(catalog->table.count + 1, sizeof *sorted);
  struct uk_name_node *node = uk_name_table_next(&catalog->table, NULL);
  for (; sorted != NULL && node != NULL; node = uk_name_table_next(&catalog->table, node))
    sorted[count++] = (struct uk_kafka_topic *)node;
  if (count > 0)
    qsort(sorted, count, sizeof *sorted, by_name);
  for (size_t i = 0; i < count; i++)
    each(argument, sorted[i]->node.name, sorted[i]->partitions);
  free(sorted);
  return sorted != NULL;
}
