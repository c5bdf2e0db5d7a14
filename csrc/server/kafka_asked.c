#include "server/kafka_asked.h"

#include <stdlib.h>

enum { ASKED_MAX = 100000 }; /* names kept; then they are forgotten, and asked about once more */

struct topic {
  struct uk_name_node node;
  char name[];
};

void uk_kafka_asked_init(struct uk_kafka_asked *asked)
{
  pthread_mutex_init(&asked->mutex, NULL);
  uk_name_table_init(&asked->table, uk_name_table_seed());
}

/* The mutex is held. */
static void clear(struct uk_kafka_asked *asked)
{
  struct uk_name_node *node;
  while ((node = uk_name_table_next(&asked->table, NULL)) != NULL) {
    uk_name_table_remove(&asked->table, node);
    free(node);
  }
}

/* Whether the topic was named before. The mutex is held. Without memory it is not kept. */
static bool note(struct uk_kafka_asked *asked, struct uk_slice name)
{
  if (uk_name_table_find(&asked->table, name) != NULL)
    return true;
  if (asked->table.count >= ASKED_MAX)
    clear(asked);
  struct topic *topic = calloc(1, sizeof *topic + name.length);
  if (topic == NULL)
    return false;
  memcpy(topic->name, name.data, name.length);
  topic->node.name = uk_slice_of(topic->name, name.length);
  if (!uk_name_table_add(&asked->table, &topic->node))
    free(topic);
  return false;
}

void uk_kafka_ask_about(struct uk_kafka_asked *asked, rd_kafka_t *producer, struct uk_slice topic)
{
  const rd_kafka_metadata_t *said = NULL;
  pthread_mutex_lock(&asked->mutex);
  bool known = note(asked, topic);
  pthread_mutex_unlock(&asked->mutex);
  if (known)
    return;
  struct uk_kafka_name name = uk_kafka_name(topic);
  rd_kafka_topic_t *handle = rd_kafka_topic_new(producer, name.text, NULL);
  if (handle == NULL)
    return;
  if (rd_kafka_metadata(producer, 0, handle, &said, 0) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(said);
  rd_kafka_topic_destroy(handle);
}

void uk_kafka_asked_clear(struct uk_kafka_asked *asked)
{
  pthread_mutex_lock(&asked->mutex);
  clear(asked);
  pthread_mutex_unlock(&asked->mutex);
}

void uk_kafka_asked_free(struct uk_kafka_asked *asked)
{
  clear(asked);
  uk_name_table_free(&asked->table);
  pthread_mutex_destroy(&asked->mutex);
}
