#include "server/kafka_engine/group/kafka_missing_topics.h"

#include <stdio.h>

/* "GROUP" NUL "INSTANCE" NUL "TOPIC". */
struct key {
  size_t length;
  char bytes[2 * (UK_GROUP_NAME_MAX + 1) + UK_TOPIC_NAME_MAX];
};

static struct key key_of(const struct uk_kafka_group_member *member, const char *topic)
{
  struct key key;
  size_t prefix = member->node.name.length + 1, length = strlen(topic);
  memcpy(key.bytes, member->key, prefix);
  memcpy(key.bytes + prefix, topic, length);
  key.length = prefix + length;
  return key;
}

/* librdkafka: "Subscribed topic not available: TOPIC: Broker: Unknown topic or partition". */
static bool names(const char *text, const char *topic)
{
  char part[UK_TOPIC_NAME_MAX + 5];
  snprintf(part, sizeof part, ": %s: ", topic);
  return strstr(text, part) != NULL;
}

void uk_kafka_missing_topics_note(const struct uk_kafka_group_member *member, const char *text)
{
  for (size_t i = 0; i < member->subscription.count; i++) {
    const char *topic = member->subscription.topics[i].text;
    struct key key = key_of(member, topic);
    if (names(text, topic))
      (void)uk_name_set_add(&member->groups->missing, uk_slice_of(key.bytes, key.length));
  }
}

void uk_kafka_missing_topics_find(const struct uk_kafka_group_member *member,
                                  const rd_kafka_topic_partition_list_t *list,
                                  struct uk_name_set *found)
{
  for (int i = 0; i < list->cnt; i++) {
    struct key key = key_of(member, list->elems[i].topic);
    if (uk_name_set_has(&member->groups->missing, uk_slice_of(key.bytes, key.length)))
      (void)uk_name_set_add(found, uk_slice_text(list->elems[i].topic));
  }
}

void uk_kafka_missing_topics_forget(const struct uk_kafka_group_member *member,
                                    const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; i < list->cnt; i++) {
    struct key key = key_of(member, list->elems[i].topic);
    uk_name_set_remove(&member->groups->missing, uk_slice_of(key.bytes, key.length));
  }
}
