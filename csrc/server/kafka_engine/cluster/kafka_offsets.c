#include "server/kafka_engine/cluster/kafka_offsets.h"

#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum {
  BATCH = 500, /* librdkafka compares each partition of a request with every other */
  PAUSE = 50   /* milliseconds before a request is sent again */
};

/* Asking. */

static rd_kafka_topic_partition_list_t *
make_list(int64_t timestamp, const struct uk_topic_partition_offset *at, size_t count)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
  for (size_t i = 0; i < count; i++) {
    struct uk_kafka_name name = uk_kafka_name(at[i].topic);
    rd_kafka_topic_partition_list_add(list, name.text, at[i].partition)->offset = timestamp;
  }
  return list;
}

/* The first error is the error of all: partitions without an answer still hold the timestamp. */
static rd_kafka_resp_err_t ask_once(rd_kafka_t *control, int64_t timestamp,
                                    struct uk_topic_partition_offset *at, size_t count,
                                    int64_t deadline, size_t *failed)
{
  rd_kafka_topic_partition_list_t *list = make_list(timestamp, at, count);
  rd_kafka_resp_err_t code =
    rd_kafka_offsets_for_times(control, list, uk_kafka_time_left(deadline));
  *failed = 0;
  for (size_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < count; i++) {
    code = list->elems[i].err;
    *failed = i;
  }
  /* The partition exists, as the check has shown: librdkafka reports one without a leader like
   * this. */
  if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
    code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
  for (size_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < count; i++)
    at[i].offset = list->elems[i].offset;
  rd_kafka_topic_partition_list_destroy(list);
  return code;
}

static void sleep_before_next(void)
{
  const struct timespec pause = {0, PAUSE * 1000000};
  nanosleep(&pause, NULL);
}

/* Asks again while a leader moves. */
static rd_kafka_resp_err_t ask(rd_kafka_t *control, int64_t timestamp,
                               struct uk_topic_partition_offset *at, size_t count, int64_t deadline,
                               size_t *failed)
{
  rd_kafka_resp_err_t failure = RD_KAFKA_RESP_ERR__TIMED_OUT;
  for (;;) {
    rd_kafka_resp_err_t code = ask_once(control, timestamp, at, count, deadline, failed);
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
      return failure;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || !uk_kafka_code_passes(code) ||
        deadline - uk_clock_monotonic() <= PAUSE)
      return code;
    failure = code;
    sleep_before_next();
  }
}

rd_kafka_resp_err_t uk_kafka_offsets_ask(rd_kafka_t *control, int64_t timestamp,
                                         struct uk_topic_partition_offset *at, size_t count,
                                         int64_t deadline, size_t *failed)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  for (size_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < count; i += BATCH) {
    size_t size = count - i < BATCH ? count - i : BATCH;
    code = ask(control, timestamp, at + i, size, deadline, failed);
    *failed += i;
    /* librdkafka does not say which partition the code is about. */
    for (size_t j = i; size > 1 && code != RD_KAFKA_RESP_ERR_NO_ERROR && j < i + size; j++) {
      size_t none;
      if (uk_kafka_code_passes(code) ||
          ask_once(control, timestamp, at + j, 1, deadline, &none) == code) {
        *failed = j;
        break;
      }
    }
  }
  return code;
}

/* The operation. */

struct offsets {
  struct uk_kafka_work work;
  struct uk_kafka_check check;
  struct uk_offsets *operation;
  rd_kafka_t *control;
  struct uk_kafka_topics *topics;
  struct uk_kafka_blocking *blocking;
  size_t failed; /* the index of the partition that an error is about */
  bool again;    /* a broker did not know a topic that exists */
};

static void finish(struct offsets *offsets)
{
  struct uk_operation *operation = &offsets->operation->operation;
  free(offsets);
  operation->done(operation);
}

static void fail(struct offsets *offsets, rd_kafka_resp_err_t code, size_t failed)
{
  const struct uk_topic_partition_offset *at = &offsets->operation->offsets[failed];
  char place[UK_KAFKA_PLACE_SIZE];
  uk_kafka_fail(&offsets->operation->operation, code,
                uk_kafka_place(place, sizeof place, at->topic, at->partition));
  if (uk_kafka_error(code) == UK_E_NOT_FOUND || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
    uk_kafka_topics_forget(offsets->topics, at->topic);
}

/* If no record is that late, the offset is the end. */
static rd_kafka_resp_err_t fill_ends(struct offsets *offsets, size_t *failed)
{
  struct uk_offsets *operation = offsets->operation;
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  size_t i = 0;
  while (code == RD_KAFKA_RESP_ERR_NO_ERROR && i < operation->count) {
    size_t end = i;
    while (end < operation->count && operation->offsets[end].offset == UK_KAFKA_NO_OFFSET)
      end++;
    if (end == i) {
      i++;
      continue;
    }
    code = uk_kafka_offsets_ask(offsets->control, UK_TIMESTAMP_LATEST, operation->offsets + i,
                                end - i, offsets->work.query.deadline, failed);
    *failed += i;
    i = end;
  }
  return code;
}

static void run(struct uk_kafka_work *work)
{
  struct offsets *offsets = (struct offsets *)work;
  struct uk_offsets *operation = offsets->operation;
  if (offsets->again)
    sleep_before_next();
  rd_kafka_resp_err_t code =
    uk_kafka_offsets_ask(offsets->control, operation->timestamp, operation->offsets,
                         operation->count, work->query.deadline, &offsets->failed);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    code = fill_ends(offsets, &offsets->failed);
  work->query.code = code;
}

/* A topic that was just created, perhaps once more, is not known to every broker yet, and
 * librdkafka may not have noticed it either. True: it is asked whether the topic exists. */
static bool check_again(struct offsets *offsets)
{
  struct uk_kafka_query *query = &offsets->work.query;
  if (uk_kafka_error(query->code) != UK_E_NOT_FOUND)
    return false;
  if (query->deadline - uk_clock_monotonic() <= PAUSE) {
    query->code = offsets->again ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE : query->code;
    return false;
  }
  offsets->again = true;
  uk_kafka_topics_forget(offsets->topics, offsets->operation->offsets[offsets->failed].topic);
  uk_kafka_topics_check(offsets->topics, &offsets->check);
  return true;
}

static void answered(struct uk_kafka_query *query)
{
  struct offsets *offsets = (struct offsets *)query;
  if (check_again(offsets))
    return;
  if (query->code != RD_KAFKA_RESP_ERR_NO_ERROR)
    fail(offsets, query->code, offsets->failed);
  finish(offsets);
}

static void checked(struct uk_kafka_check *check)
{
  struct offsets *offsets = (struct offsets *)((char *)check - offsetof(struct offsets, check));
  if (check->operation->error == UK_OK)
    uk_kafka_blocking_submit(offsets->blocking, &offsets->work);
  else
    finish(offsets);
}

void uk_kafka_offsets_run(struct uk_offsets *operation, rd_kafka_t *control,
                          struct uk_kafka_topics *topics, struct uk_kafka_blocking *blocking)
{
  struct offsets *offsets = calloc(1, sizeof *offsets);
  if (offsets == NULL) {
    uk_operation_fail(&operation->operation, UK_E_NO_MEMORY, "%s", "");
    operation->operation.done(&operation->operation);
    return;
  }
  *offsets = (struct offsets){
    .work = {.query = {.deadline = operation->operation.deadline, .then = answered}, .run = run},
    .check = {.operation = &operation->operation,
              .places = uk_kafka_places_of_offsets(operation->offsets, operation->count),
              .then = checked},
    .operation = operation,
    .control = control,
    .topics = topics,
    .blocking = blocking,
  };
  uk_kafka_topics_check(topics, &offsets->check);
}
