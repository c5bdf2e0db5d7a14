/* kafka_endpoints: the requests that the tests of a failing cluster make, each of one topic and one
 * group. */
#ifndef KAFKA_ENDPOINTS_H
#define KAFKA_ENDPOINTS_H

#include "kafka_rig.h"

/* $T stands for the topic, $G for the group, $M for the timeout. */
struct kafka_endpoint {
  enum uk_method method;
  const char *path, *body;
  bool of_member;       /* the group's instance must exist before */
  bool returns_records; /* a 200 without any hides a failure */
};

extern const struct kafka_endpoint kafka_produce, kafka_produce_one, kafka_batch, kafka_webhook,
  kafka_consume, kafka_consume_on, kafka_commit, kafka_committed, kafka_leave, kafka_fetch,
  kafka_wait, kafka_offsets, kafka_topics, kafka_consumers, kafka_health;

struct kafka_place {
  char topic[32], group[32];
  int timeout; /* milliseconds */
};

/* Creates the topic, with one partition that broker 1 leads, and names the group, both after the
 * number. */
bool kafka_place_make(struct kafka_place *place, struct kafka_rig *rig, size_t number);

void kafka_ask(struct kafka_rig *rig, const struct kafka_endpoint *endpoint,
               const struct kafka_place *place, struct kafka_answer *answer);

/* Whether the answer is a 200 with all available records. */
bool kafka_is_good(const struct kafka_endpoint *endpoint, const struct kafka_answer *answer);

/* Repeats the request until the answer is good; false if it is not within half a minute. */
bool kafka_settle(struct kafka_rig *rig, const struct kafka_endpoint *endpoint,
                  const struct kafka_place *place, struct kafka_answer *answer);

#endif
