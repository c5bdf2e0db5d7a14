/* kafka_topics: which topics there are, as the cluster last said, and whether the cluster answers at all.
 *
 * One thread asks the cluster, for all who want to know at once; whoever asks is called back. It also looks, every
 * UK_KAFKA_CHECK_INTERVAL and when a connection is lost, whether the cluster is there, which is what /health tells and what lets a
 * request fail at once while it is not. */
#ifndef UK_KAFKA_TOPICS_H
#define UK_KAFKA_TOPICS_H

#include "server/kafka_engine/rd/kafka_query.h"

enum { UK_KAFKA_CHECK_INTERVAL = 2000, UK_KAFKA_REFRESH = 5000 }; /* milliseconds */
enum { UK_KAFKA_BROKERS_MAX = 100 };

struct uk_kafka_topics;

/* `control` is a handle that must outlive it, has errors as events, and is polled by nobody else. NULL: memory or threads
 * are out. */
struct uk_kafka_topics *uk_kafka_topics_new(rd_kafka_t *control);
/* Ends the thread; lookups under way are called back with UNAVAILABLE. */
void uk_kafka_topics_stop(struct uk_kafka_topics *topics);
void uk_kafka_topics_free(struct uk_kafka_topics *topics);

/* How many partitions the topic has, from memory; 0 = not known. Kafka's internal topics are never known. */
int32_t uk_kafka_topics_partitions(struct uk_kafka_topics *topics, struct uk_slice topic);

/* Whether the partition had no leader when the cluster last spoke of the topic. */
bool uk_kafka_topics_leaderless(struct uk_kafka_topics *topics, struct uk_slice topic,
                                int32_t partition);

/* Asks about a topic in memory that the cluster has not spoken of for UK_KAFKA_REFRESH; nobody waits for the answer. */
void uk_kafka_topics_refresh(struct uk_kafka_topics *topics, struct uk_slice topic);

/* What was said of the topic is forgotten: the cluster showed that it is otherwise. */
void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice topic);

/* Codes for whatever uk_kafka_error calls NOT_FOUND, FORBIDDEN, UNAVAILABLE (no cluster) and GATEWAY_TIMEOUT. */
struct uk_kafka_topic_query {
  struct uk_kafka_query query; /* the caller sets its deadline and `then` */
  struct uk_slice topic;       /* data NULL: all topics */
  int32_t partitions;          /* the answer for one topic */
};

/* Asks the cluster, also where memory has an answer. With UK_OK of all topics, memory holds exactly them. */
void uk_kafka_topics_ask(struct uk_kafka_topics *topics, struct uk_kafka_topic_query *query);

/* Each topic in memory, sorted by name; not Kafka's internal ones. `each` may not call back into topics. False, with
 * nothing called: memory is out. */
bool uk_kafka_topics_each(struct uk_kafka_topics *topics,
                          void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                          void *argument);

/* The numbers of the cluster's brokers as last said, up to UK_KAFKA_BROKERS_MAX of them. Returns how many; 0 when nothing
 * was said yet. */
size_t uk_kafka_topics_brokers(struct uk_kafka_topics *topics, int32_t *brokers);

/* Whether the cluster was seen to have had no group yet: the first one makes the topic of their offsets, and until then
 * no broker coordinates any. */
bool uk_kafka_topics_groupless(struct uk_kafka_topics *topics);

/* UK_OK or, when the cluster is away, UNAVAILABLE with a text in `detail` (NULL with size 0: none). From memory, at once. */
enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size);

/* The same, and UNAVAILABLE already when the connections were lost a moment ago and no broker could be reached since: for
 * who waited for something that did not come, and would take it for nothing. */
enum uk_error uk_kafka_topics_contact(struct uk_kafka_topics *topics, char *detail, size_t size);

/* Whether the cluster has ever answered. Until then nobody knows whether it is there, and requests wait for it. */
bool uk_kafka_topics_has_answered(struct uk_kafka_topics *topics);

#endif
