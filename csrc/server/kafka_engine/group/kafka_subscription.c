#include "server/kafka_engine/group/kafka_subscription.h"

#include <stdlib.h>

bool uk_kafka_subscription_has(const struct uk_kafka_subscription *subscription,
                               struct uk_slice topic)
{
  for (size_t i = 0; i < subscription->count; i++) {
    if (uk_slice_is(topic, subscription->topics[i].text))
      return true;
  }
  return false;
}

/* No name occurs twice in either. */
static bool is_same(const struct uk_kafka_subscription *subscription, const struct uk_slice *topics,
                    size_t count)
{
  if (!subscription->active || subscription->count != count)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (!uk_kafka_subscription_has(subscription, topics[i]))
      return false;
  }
  return true;
}

bool uk_kafka_subscription_keep(struct uk_kafka_group_member *member, const struct uk_slice *topics,
                                size_t count)
{
  struct uk_kafka_name *names = calloc(count + 1, sizeof *names);
  if (names == NULL)
    return false;
  for (size_t i = 0; i < count; i++)
    names[i] = uk_kafka_name(topics[i]);
  pthread_mutex_lock(&member->groups->mutex);
  free(member->subscription.topics);
  member->subscription.topics = names;
  member->subscription.count = count;
  pthread_mutex_unlock(&member->groups->mutex);
  return true;
}

rd_kafka_resp_err_t uk_kafka_subscription_start(struct uk_kafka_group_member *member)
{
  struct uk_kafka_subscription *subscription = &member->subscription;
  rd_kafka_topic_partition_list_t *list =
    rd_kafka_topic_partition_list_new((int)subscription->count);
  for (size_t i = 0; i < subscription->count; i++)
    rd_kafka_topic_partition_list_add(list, subscription->topics[i].text, RD_KAFKA_PARTITION_UA);
  rd_kafka_resp_err_t code = rd_kafka_subscribe(member->handle, list);
  rd_kafka_topic_partition_list_destroy(list);
  subscription->active = code == RD_KAFKA_RESP_ERR_NO_ERROR;
  return code;
}

bool uk_kafka_subscription_change(struct uk_kafka_group_member *member,
                                  const struct uk_slice *topics, size_t count,
                                  rd_kafka_resp_err_t *code)
{
  *code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (is_same(&member->subscription, topics, count))
    return true;
  if (!uk_kafka_subscription_keep(member, topics, count))
    return false;
  *code = uk_kafka_subscription_start(member);
  return member->subscription.active;
}

void uk_kafka_subscription_forget_topics(const struct uk_kafka_group_member *member)
{
  for (size_t i = 0; i < member->subscription.count; i++)
    uk_kafka_topics_forget(member->groups->parts.topics,
                           uk_slice_text(member->subscription.topics[i].text));
}

void uk_kafka_subscription_free(struct uk_kafka_subscription *subscription)
{
  free(subscription->topics);
}
