#include "server/kafka_engine/fetch/kafka_fetch_private.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
  END_MOVED = 10
}; /* milliseconds until another start, if an end has moved since it was read */

/* At the ends. */

void uk_kafka_fetch_leave_all(struct uk_kafka_fetch *fetch)
{
  for (size_t i = 0; i < fetch->count; i++)
    uk_kafka_end_watch_leave(fetch->fetches->watch, &fetch->positions[i].waiter);
}

/* The end that was seen may have changed. */
static void doubt(struct uk_kafka_position *position)
{
  position->past = false;
  position->unsure = uk_kafka_position_is_odd(position->offset);
}

enum uk_kafka_at uk_kafka_fetch_join_all(struct uk_kafka_fetch *fetch, bool seen)
{
  for (size_t i = 0; i < fetch->count; i++) {
    struct uk_kafka_position *at = &fetch->positions[i];
    /* There is nothing between the offset and the end that was seen. */
    int64_t offset = seen && at->end > at->offset ? at->end : at->offset;
    enum uk_kafka_at found =
      uk_kafka_end_watch_join(fetch->fetches->watch, &at->waiter, at->topic, at->partition, offset,
                              seen || at->past ? at->end : -1, &fetch->task);
    if (found == UK_KAFKA_AT_PAST || found == UK_KAFKA_AT_NOWHERE) {
      doubt(at);
      uk_kafka_fetch_leave_all(fetch);
      return found;
    }
  }
  return UK_KAFKA_AT_END;
}

bool uk_kafka_fetch_join(struct uk_kafka_fetch *fetch, int64_t now)
{
  enum uk_kafka_at found = uk_kafka_fetch_join_all(fetch, true);
  if (found == UK_KAFKA_AT_NOWHERE)
    return uk_kafka_fetch_fail_memory(fetch);
  if (found == UK_KAFKA_AT_END)
    return uk_kafka_fetch_go(fetch, UK_FETCH_WAITING);
  fetch->not_before = now + END_MOVED;
  return uk_kafka_fetch_go(fetch, UK_FETCH_STARTING);
}

static bool lost(struct uk_kafka_fetch *fetch, size_t index, int64_t now)
{
  rd_kafka_resp_err_t code = fetch->positions[index].waiter.code;
  uk_kafka_fetch_leave_all(fetch);
  for (size_t i = 0; i < fetch->count; i++)
    doubt(&fetch->positions[i]);
  if (uk_kafka_error(code) == UK_E_NOT_FOUND)
    return uk_kafka_fetch_check_again(fetch, index, now);
  if (code != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
    return uk_kafka_fetch_fail_at(fetch, index, code);
  fetch->not_before = now + UK_FETCH_AGAIN_AFTER;
  return uk_kafka_fetch_go(fetch, UK_FETCH_STARTING);
}

static void give_all(struct uk_kafka_fetch *fetch)
{
  size_t first = uk_kafka_fetch_rotation(fetch);
  for (size_t i = 0; !fetch->full && i < fetch->count; i++)
    uk_kafka_end_watch_each(fetch->fetches->watch,
                            &fetch->positions[(first + i) % fetch->count].waiter,
                            uk_kafka_fetch_give, fetch);
  if (fetch->full)
    uk_kafka_fetch_rotate(fetch);
}

bool uk_kafka_fetch_wait_there(struct uk_kafka_fetch *fetch, int64_t now)
{
  bool records = false;
  for (size_t i = 0; i < fetch->count; i++) {
    enum uk_kafka_at at =
      uk_kafka_end_watch_look(fetch->fetches->watch, &fetch->positions[i].waiter);
    if (at == UK_KAFKA_AT_LOST)
      return lost(fetch, i, now);
    if (at == UK_KAFKA_AT_PAST) {
      doubt(&fetch->positions[i]);
      uk_kafka_fetch_leave_all(fetch);
      return uk_kafka_fetch_go(fetch, UK_FETCH_STARTING);
    }
    records = records || at == UK_KAFKA_AT_RECORDS;
  }
  if (records)
    give_all(fetch);
  if (fetch->any || fetch->full || uk_kafka_fetch_may_not_wait(fetch))
    return uk_kafka_fetch_end(fetch);
  if (now >= uk_kafka_fetch_operation_of(fetch)->deadline)
    return uk_kafka_fetch_end_empty(fetch);
  uk_kafka_fetch_refresh(fetch);
  uk_kafka_task_at(&fetch->task, uk_kafka_fetch_operation_of(fetch)->deadline);
  return false;
}

/* The watermarks. */

/* The index of the unsure position that `n` others precede. */
static size_t nth_unsure(const struct uk_kafka_fetch *fetch, size_t n)
{
  for (size_t i = 0; i < fetch->count; i++) {
    if (fetch->positions[i].unsure && n-- == 0)
      return i;
  }
  return 0;
}

static void list_unsure(const struct uk_kafka_fetch *fetch, struct uk_topic_partition_offset *at)
{
  for (size_t i = 0; i < fetch->count; i++) {
    const struct uk_kafka_position *position = &fetch->positions[i];
    if (position->unsure)
      *at++ = (struct uk_topic_partition_offset){.topic = position->topic,
                                                 .partition = position->partition};
  }
}

bool uk_kafka_fetch_ask_watermarks(struct uk_kafka_fetch *fetch)
{
  size_t count = 0;
  for (size_t i = 0; i < fetch->count; i++)
    count += fetch->positions[i].unsure;
  struct uk_topic_partition_offset *first = calloc(2 * count, sizeof *first);
  if (first == NULL)
    return uk_kafka_fetch_fail_memory(fetch);
  list_unsure(fetch, first);
  list_unsure(fetch, first + count);
  fetch->watermarks.first = first;
  fetch->watermarks.end = first + count;
  fetch->watermarks.count = count;
  fetch->watermarks.work.query.deadline = fetch->limit;
  fetch->state = UK_FETCH_ASKING;
  uk_kafka_watermarks_ask(&fetch->watermarks, fetch->fetches->parts.blocking);
  return false;
}

/* False if the operation's offset is before the first one. */
static bool place(struct uk_kafka_fetch *fetch, struct uk_kafka_position *at, int64_t first,
                  int64_t end)
{
  at->unsure = false;
  at->end = end;
  at->past = at->offset >= end;
  if (at->offset >= first)
    return true;
  uk_operation_fail(uk_kafka_fetch_operation_of(fetch), UK_E_BAD_REQUEST,
                    "offset %" PRId64 " of topic \"%.*s\" partition %d is %s (range %" PRId64
                    " to %" PRId64 ")",
                    at->offset, (int)at->topic.length, at->topic.data, (int)at->partition,
                    at->offset < 0 ? "negative" : "below the first kept offset", first, end);
  return false;
}

static bool place_all(struct uk_kafka_fetch *fetch)
{
  size_t n = 0;
  for (size_t i = 0; i < fetch->count; i++) {
    if (!fetch->positions[i].unsure)
      continue;
    if (!place(fetch, &fetch->positions[i], fetch->watermarks.first[n].offset,
               fetch->watermarks.end[n].offset))
      return uk_kafka_fetch_end(fetch);
    n++;
  }
  return uk_kafka_fetch_go(fetch, UK_FETCH_STARTING);
}

static bool use_watermarks(struct uk_kafka_fetch *fetch, int64_t now)
{
  rd_kafka_resp_err_t code = fetch->watermarks.work.query.code;
  size_t failed = nth_unsure(fetch, fetch->watermarks.failed);
  if (uk_kafka_fetch_may_not_wait(fetch))
    return uk_kafka_fetch_end(fetch);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return place_all(fetch);
  if (uk_kafka_error(code) == UK_E_NOT_FOUND)
    return uk_kafka_fetch_check_again(fetch, failed, now);
  if (uk_kafka_error(code) == UK_E_GATEWAY_TIMEOUT)
    return uk_kafka_fetch_fail_late(fetch, failed, "did not answer in time");
  return uk_kafka_fetch_fail_at(fetch, failed, code);
}

bool uk_kafka_fetch_use_watermarks(struct uk_kafka_fetch *fetch, int64_t now)
{
  if (!uk_kafka_fetch_take_answer(fetch))
    return false;
  bool more = use_watermarks(fetch, now);
  free(fetch->watermarks.first);
  return more;
}
