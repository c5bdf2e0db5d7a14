#include "server/kafka_engine/fetch/kafka_fetch_private.h"

enum {
  FIRST_ALONE = 20,  /* milliseconds in which only the first partition is read */
  SETTLE = 50,       /* milliseconds after the first record to wait for other partitions */
  SILENCE = 10,      /* milliseconds until the handle is nudged, in case its threads sleep */
  LINE_RETRY = 100,  /* milliseconds between two tries to acquire a session */
  START_SLICE = 500, /* parts to start in one run, so that other tasks get the thread */
  PARKED_PARTS = 64  /* the most parts that a session may have to be parked */
};

static bool sleep_until(struct uk_kafka_fetch *fetch, int64_t time)
{
  uk_kafka_task_at(&fetch->task, time < fetch->limit ? time : fetch->limit);
  return false;
}

/* Starting. */

static bool any_unsure(const struct uk_kafka_fetch *fetch)
{
  for (size_t i = 0; i < fetch->count; i++) {
    if (fetch->positions[i].unsure)
      return true;
  }
  return false;
}

static bool acquire(struct uk_kafka_fetch *fetch, int64_t now)
{
  char text[UK_MESSAGE_SIZE] = "";
  switch (uk_kafka_consumer_pool_acquire(fetch->fetches->pool, fetch->positions, fetch->count,
                                         &fetch->waiter, &fetch->session, text, sizeof text)) {
  case UK_KAFKA_ACQUIRED:
    if (fetch->session->started == 0)
      fetch->session->first = uk_kafka_fetch_rotation(fetch);
    fetch->all_at = now + FIRST_ALONE;
    fetch->nudge_at = now + SILENCE;
    return uk_kafka_fetch_go(fetch, UK_FETCH_READING);
  case UK_KAFKA_ACQUIRE_BUSY: return sleep_until(fetch, now + LINE_RETRY);
  case UK_KAFKA_ACQUIRE_UNCONNECTED:
    uk_operation_fail(uk_kafka_fetch_operation_of(fetch), UK_E_UNAVAILABLE, "%s", text);
    return uk_kafka_fetch_end(fetch);
  case UK_KAFKA_ACQUIRE_NO_MEMORY: break;
  }
  return uk_kafka_fetch_fail_memory(fetch);
}

bool uk_kafka_fetch_start(struct uk_kafka_fetch *fetch, int64_t now)
{
  if (uk_kafka_fetch_may_not_wait(fetch))
    return uk_kafka_fetch_end(fetch);
  if (now < fetch->not_before && now < fetch->limit)
    return sleep_until(fetch, fetch->not_before);
  if (any_unsure(fetch))
    return uk_kafka_fetch_ask_watermarks(fetch);
  switch (uk_kafka_fetch_join_all(fetch, false)) {
  case UK_KAFKA_AT_PAST: break;
  case UK_KAFKA_AT_NOWHERE: return uk_kafka_fetch_fail_memory(fetch);
  default:
    uk_kafka_consumer_pool_leave(fetch->fetches->pool, &fetch->waiter);
    return uk_kafka_fetch_go(fetch, UK_FETCH_WAITING);
  }
  if (now >= fetch->limit)
    return uk_kafka_fetch_fail_late(fetch, 0, "could not be read in time");
  if (uk_kafka_fetch_is_down(fetch))
    return uk_kafka_fetch_end(fetch);
  return acquire(fetch, now);
}

/* Reading. Each returns true if there is more to read; otherwise the fetch is in another state. */

static bool take_record(struct uk_kafka_fetch *fetch, struct uk_kafka_part *part, int64_t now)
{
  struct uk_kafka_session *session = fetch->session;
  fetch->nudge_at = now + SILENCE;
  if (!fetch->any)
    fetch->answer_at = now + SETTLE;
  if (!uk_kafka_record_fill(&fetch->record, session->event.message)) {
    uk_kafka_fetch_fail_memory(fetch);
    return false;
  }
  if (uk_kafka_fetch_give(fetch, &fetch->record.record)) {
    uk_kafka_session_take(session, part);
    return true;
  }
  uk_kafka_fetch_rotate(fetch);
  uk_kafka_fetch_end(fetch);
  return false;
}

static bool take_code(struct uk_kafka_fetch *fetch, struct uk_kafka_part *part, int64_t now)
{
  rd_kafka_resp_err_t code = fetch->session->event.code;
  size_t index = (size_t)(part - fetch->session->parts);
  uk_kafka_session_take(fetch->session, part);
  if (uk_kafka_code_passes(code))
    return true;
  if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
    fetch->positions[index].unsure = true;
  if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || fetch->any) {
    uk_kafka_session_end(fetch->session, part);
    return true;
  }
  if (uk_kafka_error(code) != UK_E_NOT_FOUND) {
    uk_kafka_fetch_fail_at(fetch, index, code);
    return false;
  }
  uk_kafka_consumer_pool_retire(fetch->fetches->pool, fetch->session);
  uk_kafka_fetch_check_again(fetch, index, now);
  return false;
}

static bool read_all(struct uk_kafka_fetch *fetch, int64_t now)
{
  struct uk_kafka_part *part;
  for (;;) {
    switch (uk_kafka_session_read(fetch->session, &part)) {
    case UK_KAFKA_READ_NOTHING: return true;
    case UK_KAFKA_READ_END: break;
    case UK_KAFKA_READ_RECORD:
      if (!take_record(fetch, part, now))
        return false;
      break;
    case UK_KAFKA_READ_CODE:
      if (!take_code(fetch, part, now))
        return false;
      break;
    }
  }
}

/* Reads the first partition alone for a while, so that others do not fill the response before
 * it. */
static bool start_parts(struct uk_kafka_fetch *fetch, int64_t now)
{
  struct uk_kafka_session *session = fetch->session;
  bool all = session->parts[session->first].answered || now >= fetch->all_at;
  size_t upto = all ? session->count : 1;
  if (upto > session->started + START_SLICE)
    upto = session->started + START_SLICE;
  if (uk_kafka_session_start(session, fetch->positions, upto))
    return true;
  uk_kafka_fetch_fail_at(fetch, (session->first + session->started) % session->count,
                         rd_kafka_last_error());
  return false;
}

/* All partitions have ended. */
static bool use_ends(struct uk_kafka_fetch *fetch)
{
  if (fetch->any)
    return uk_kafka_fetch_end(fetch);
  for (size_t i = 0; i < fetch->count; i++) {
    if (!fetch->positions[i].past)
      fetch->positions[i].end = fetch->session->parts[i].next_offset;
  }
  return uk_kafka_fetch_stop_and_go(fetch,
                                    any_unsure(fetch) ? UK_FETCH_STARTING : UK_FETCH_JOINING);
}

static size_t find_silent(const struct uk_kafka_session *session)
{
  size_t i = 0;
  while (i + 1 < session->count && session->parts[i].ended)
    i++;
  return i;
}

bool uk_kafka_fetch_read(struct uk_kafka_fetch *fetch, int64_t now)
{
  struct uk_kafka_session *session = fetch->session;
  if (!start_parts(fetch, now) || !read_all(fetch, now))
    return true;
  if (session->ended == session->count)
    return use_ends(fetch);
  if (uk_kafka_fetch_may_not_wait(fetch) || (fetch->any && now >= fetch->answer_at))
    return uk_kafka_fetch_end(fetch);
  if (now >= fetch->limit)
    return fetch->any
             ? uk_kafka_fetch_end(fetch)
             : uk_kafka_fetch_fail_late(fetch, find_silent(session), "did not answer in time");
  if (session->started < session->count &&
      (session->parts[session->first].answered || now >= fetch->all_at)) {
    uk_kafka_task_wake(&fetch->task);
    return false;
  }
  if (session->taken > 0 && now >= fetch->nudge_at)
    uk_kafka_session_nudge(session);
  int64_t next = fetch->any ? fetch->answer_at : fetch->limit;
  if (session->taken > 0 && fetch->nudge_at < next)
    next = fetch->nudge_at;
  return sleep_until(fetch, session->started < session->count ? fetch->all_at : next);
}

/* Giving the session back. */

/* True if there is more to read, which the next fetch is likely to ask for. */
static bool may_park(struct uk_kafka_fetch *fetch)
{
  const struct uk_kafka_session *session = fetch->session;
  if (!fetch->any || session->ended == session->count || session->started < session->count ||
      session->stopped > 0 || session->count > PARKED_PARTS || uk_kafka_fetch_is_draining(fetch))
    return false;
  for (size_t i = 0; i < fetch->count; i++) {
    if (fetch->positions[i].past || fetch->positions[i].unsure)
      return false;
  }
  return true;
}

bool uk_kafka_fetch_stop(struct uk_kafka_fetch *fetch)
{
  if (fetch->session != NULL && may_park(fetch)) {
    uk_kafka_consumer_pool_park(fetch->fetches->pool, fetch->session);
  } else if (fetch->session != NULL) {
    if (!uk_kafka_session_stop(fetch->session, UK_KAFKA_STOP_SLICE)) {
      uk_kafka_task_wake(&fetch->task);
      return false;
    }
    uk_kafka_consumer_pool_release(fetch->fetches->pool, fetch->session);
  }
  fetch->session = NULL;
  return uk_kafka_fetch_go(fetch, fetch->after);
}
