/* kafka_topics: the topics that the cluster has, and whether the cluster answers at all.
 *
 * One thread asks the cluster, once for all callers with the same query, and calls back. It
 * also checks the connection, every UK_KAFKA_CHECK_INTERVAL and after a connection was lost:
 * /health reports the result, and requests fail at once while the cluster is away. */
#ifndef UK_KAFKA_TOPICS_H
#define UK_KAFKA_TOPICS_H

#include "server/kafka_engine/rd/kafka_query.h"

enum { UK_KAFKA_CHECK_INTERVAL = 2000, UK_KAFKA_REFRESH = 5000 }; /* milliseconds */
enum { UK_KAFKA_BROKERS_MAX = 100 };

struct uk_kafka_topics;

/* `control` is a handle that must outlive it, that has errors as events, and that nobody else
 * polls. NULL when memory or threads run out. */
struct uk_kafka_topics *uk_kafka_topics_new(rd_kafka_t *control);
/* Ends the thread. Pending queries are answered with a code for UNAVAILABLE. */
void uk_kafka_topics_stop(struct uk_kafka_topics *topics);
void uk_kafka_topics_free(struct uk_kafka_topics *topics);

/* How many partitions the topic has, from memory; 0 if it is not known. Topics internal to Kafka
 * are never known. */
int32_t uk_kafka_topics_partitions(struct uk_kafka_topics *topics, struct uk_slice topic);

/* True if the partition had no leader when the cluster last reported the topic. */
bool uk_kafka_topics_leaderless(struct uk_kafka_topics *topics, struct uk_slice topic,
                                int32_t partition);

/* Asks about a topic in memory that the cluster has not reported for UK_KAFKA_REFRESH. Returns at
 * once. */
void uk_kafka_topics_refresh(struct uk_kafka_topics *topics, struct uk_slice topic);

/* Forgets the topic, because the cluster has shown that it is not as remembered. */
void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice topic);

/* The code is one that uk_kafka_error maps to NOT_FOUND, FORBIDDEN, UNAVAILABLE (no cluster) or
 * GATEWAY_TIMEOUT. */
struct uk_kafka_topic_query {
  struct uk_kafka_query query; /* the caller sets its deadline and `then` */
  struct uk_slice topic;       /* data NULL: all topics */
  int32_t partitions;          /* the answer for one topic */
};

/* Asks the cluster, even if memory has an answer. When all topics were asked for without error,
 * memory holds exactly those. */
void uk_kafka_topics_ask(struct uk_kafka_topics *topics, struct uk_kafka_topic_query *query);

/* True if the topic in memory was created again since this server has been running. That is known
 * if the cluster reported the topic, then that it had none of this name, and nothing else came
 * between. */
bool uk_kafka_topics_is_renewed(struct uk_kafka_topics *topics, struct uk_slice topic);

/* Calls `each` for each topic in memory, sorted by name, except those internal to Kafka. `each` may
 * not call functions of topics. False, with nothing called, when memory runs out. */
bool uk_kafka_topics_each(struct uk_kafka_topics *topics,
                          void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                          void *argument);

/* The numbers of the cluster's brokers, up to UK_KAFKA_BROKERS_MAX of them. Returns how many; 0
 * before the first answer. */
size_t uk_kafka_topics_brokers(struct uk_kafka_topics *topics, int32_t *brokers);

/* True while the cluster has no `__consumer_offsets` topic: no group exists and no broker is a
 * coordinator. */
bool uk_kafka_topics_groupless(struct uk_kafka_topics *topics);

/* UK_OK, or UNAVAILABLE with a text in `detail` (which may be NULL if `size` is 0) while the
 * cluster is away. Returns at once. */
enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size);

/* Stricter than uk_kafka_topics_health: also fails while a lost connection is being re-checked. Use
 * it before reporting "no records". */
enum uk_error uk_kafka_topics_contact(struct uk_kafka_topics *topics, char *detail, size_t size);

/* True once the cluster has answered. Before that it is unknown whether it is up, so requests
 * wait for it. */
bool uk_kafka_topics_has_answered(struct uk_kafka_topics *topics);

#endif
