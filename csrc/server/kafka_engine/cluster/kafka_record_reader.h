/* kafka_record_reader: reads single records, to see whether they are still in their places.
 *
 * A task reads for all callers, through one consumer handle without a group. It reads a partition
 * for one query at a time. */
#ifndef UK_KAFKA_RECORD_READER_H
#define UK_KAFKA_RECORD_READER_H

#include "server/engine/record_mark.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_query.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

struct uk_kafka_record_reader;

/* Where to read, and what is there. */
struct uk_kafka_record_place {
  struct uk_kafka_name topic; /* the caller sets these three */
  int32_t partition;
  int64_t offset; /* >= 0 */
  /* The answer. With NO_ERROR: the first record at or after the offset, or where the partition
   * ends; neither if the offset is out of range. The range is not set. */
  rd_kafka_resp_err_t code;
  struct uk_record_sighting seen;
  int32_t broker; /* that the record came from; -1: there is none */
  /* The reader's own. */
  struct uk_kafka_record_query *query;
  rd_kafka_topic_t *reads; /* NULL: it is not being read */
  struct uk_link link;
};

/* The code is NO_ERROR; each place has its own. A place that is not read by the deadline has
 * __TIMED_OUT. */
struct uk_kafka_record_query {
  struct uk_kafka_query query; /* the caller sets its deadline and `then` */
  struct uk_kafka_record_place *places;
  size_t count;
  size_t left; /* the reader's own: places without an answer */
};

/* NULL when memory runs out. */
struct uk_kafka_record_reader *uk_kafka_record_reader_new(const struct uk_kafka_settings *settings,
                                                          struct uk_kafka_executor *executor,
                                                          struct uk_kafka_reaper *reaper);

void uk_kafka_record_reader_ask(struct uk_kafka_record_reader *reader,
                                struct uk_kafka_record_query *query);

/* Answers what is pending with __DESTROY. Precondition: nobody asks any more; the executor runs. */
void uk_kafka_record_reader_free(struct uk_kafka_record_reader *reader);

#endif
