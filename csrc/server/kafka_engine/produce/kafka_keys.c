#include "server/kafka_engine/produce/kafka_keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/produce/kafka_key_topic.h"
#include "server/kafka_engine/produce/kafka_keyed_produce.h"

struct uk_kafka_keys {
  struct uk_kafka_keyed_parts keyed;
  struct uk_kafka_key_topic *topic;
  int64_t window;
};

static void on_ready(void *context, struct uk_produce *operation)
{
  const struct uk_kafka_keys *keys = context;
  uk_kafka_keyed_produce(&keys->keyed, operation);
}

static void on_kept(void *context, const struct uk_produce *operation)
{
  const struct uk_kafka_keys *keys = context;
  uk_kafka_key_topic_share(keys->topic, operation);
}

void uk_kafka_keys_produce(struct uk_kafka_keys *keys, struct uk_produce *operation)
{
  if (uk_kafka_key_topic_await(keys->topic, operation))
    uk_kafka_keyed_produce(&keys->keyed, operation);
}

void uk_kafka_keys_note(struct uk_kafka_keys *keys, char *text, size_t size)
{
  int64_t window = uk_produce_keys_window(keys->keyed.keys, uk_clock_monotonic());
  if (window < keys->window)
    snprintf(text, size,
             "repeated requests are recognized for %lld s, not for %lld s: there are more "
             "idempotency keys than fit",
             (long long)(window / 1000), (long long)(keys->window / 1000));
  else if (uk_kafka_key_topic_is_shared(keys->topic, text, size))
    text[0] = '\0';
}

static void open_parts(struct uk_kafka_keys *keys, const struct uk_kafka_keys_parts *parts)
{
  const struct uk_produce_keys_limits limits = {.window = parts->window,
                                                .keys = UK_KAFKA_KEYS_MAX,
                                                .bytes = UK_KAFKA_KEYS_BYTES_MAX,
                                                .user_keys = UK_KAFKA_USER_KEYS_MAX,
                                                .user_bytes = UK_KAFKA_USER_KEYS_BYTES_MAX};
  struct uk_kafka_key_topic_parts topic = {.settings = parts->settings,
                                           .control = parts->control,
                                           .executor = parts->executor,
                                           .blocking = parts->blocking,
                                           .reaper = parts->reaper,
                                           .producer = parts->producer,
                                           .window = parts->window,
                                           .create = parts->create,
                                           .ready = on_ready,
                                           .context = keys};
  keys->window = parts->window;
  keys->keyed = (struct uk_kafka_keyed_parts){.keys = uk_produce_keys_new(&limits),
                                              .producer = parts->producer,
                                              .kept = on_kept,
                                              .context = keys};
  topic.keys = keys->keyed.keys;
  if (topic.keys != NULL)
    keys->topic = uk_kafka_key_topic_new(&topic);
}

struct uk_kafka_keys *uk_kafka_keys_new(const struct uk_kafka_keys_parts *parts)
{
  struct uk_kafka_keys *keys = calloc(1, sizeof *keys);
  if (keys == NULL)
    return NULL;
  open_parts(keys, parts);
  if (keys->topic != NULL)
    return keys;
  uk_kafka_keys_free(keys);
  return NULL;
}

void uk_kafka_keys_free(struct uk_kafka_keys *keys)
{
  if (keys->topic != NULL)
    uk_kafka_key_topic_free(keys->topic);
  if (keys->keyed.keys != NULL)
    uk_produce_keys_free(keys->keyed.keys);
  free(keys);
}
