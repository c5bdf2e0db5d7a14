#include "server/kafka_engine/group/kafka_group_limits.h"

static bool is_named(const struct uk_consume *consume, const char *topic)
{
  for (size_t i = 0; i < consume->topic_count; i++) {
    if (uk_slice_is(consume->topics[i], topic))
      return true;
  }
  return false;
}

/* The partitions of the topics that the consume and the instances of its group name; `live` counts
 * these instances. */
static int64_t count_partitions(struct uk_kafka_groups *groups, const struct uk_consume *consume,
                                int64_t *live)
{
  struct uk_kafka_topics *topics = groups->parts.topics;
  int64_t partitions = 0;
  *live = 0;
  for (size_t i = 0; i < consume->topic_count; i++)
    partitions += uk_kafka_topics_partitions(topics, consume->topics[i]);
  for (struct uk_name_node *node = uk_name_table_next(&groups->table, NULL); node != NULL;
       node = uk_name_table_next(&groups->table, node)) {
    const struct uk_kafka_group_member *other = (const struct uk_kafka_group_member *)node;
    if (other->is_takeover || !uk_slice_equal(other->group, consume->group))
      continue;
    ++*live;
    for (size_t i = 0; i < other->subscription.count; i++) {
      const char *topic = other->subscription.topics[i].text;
      if (!is_named(consume, topic))
        partitions += uk_kafka_topics_partitions(topics, uk_slice_text(topic));
    }
  }
  return partitions;
}

static bool has_room(const struct uk_kafka_groups *groups)
{
  return (int64_t)(groups->count + 1) * groups->parts.prefetch_bytes <=
         groups->parts.prefetch_budget;
}

enum uk_error uk_kafka_group_limits_check(struct uk_kafka_groups *groups,
                                          struct uk_consume *consume)
{
  struct uk_operation *operation = &consume->operation;
  struct uk_slice group = consume->group;
  int64_t live, partitions = count_partitions(groups, consume, &live);
  if (partitions == 0) /* forgotten since they were checked */
    uk_operation_fail(operation, UK_E_UNAVAILABLE, "group \"%.*s\": its topics are being looked up",
                      (int)group.length, group.data);
  else if (live >= partitions)
    uk_operation_fail(operation, UK_E_TOO_MANY,
                      "group \"%.*s\" has %lld consumer instance%s already: the limit is %lld, the "
                      "partitions of its topics",
                      (int)group.length, group.data, (long long)live, live == 1 ? "" : "s",
                      (long long)partitions);
  else if (!has_room(groups))
    uk_operation_fail(operation, UK_E_TOO_MANY,
                      "no room for an instance of group \"%.*s\": %zu read ahead for %lld bytes "
                      "each, and prefetch_budget is %lld",
                      (int)group.length, group.data, groups->count,
                      (long long)groups->parts.prefetch_bytes,
                      (long long)groups->parts.prefetch_budget);
  return operation->error;
}
