/* kafka_query: the base struct of every query to the cluster. A kind of query puts one first in its
 * struct, and adds fields for what it asks and for the answer. */
#ifndef UK_KAFKA_QUERY_H
#define UK_KAFKA_QUERY_H

#include "common/list.h"
#include "server/kafka_engine/rd/kafka_rd.h"

struct uk_kafka_query {
  int64_t deadline; /* monotonic milliseconds */
  /* Called once, from any thread, when the answer has arrived; the query is then the asker's again.
   * Until then the query must stay where it is. */
  void (*then)(struct uk_kafka_query *query);
  rd_kafka_resp_err_t code; /* the answer; with NO_ERROR what the kind adds is set too */
  struct uk_link link;      /* the answering side's */
};

/* The milliseconds until the deadline as a timeout for librdkafka: at least 1. */
int uk_kafka_time_left(int64_t deadline);

#endif
