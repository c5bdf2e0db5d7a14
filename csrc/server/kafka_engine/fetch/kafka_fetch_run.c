#include "server/kafka_engine/fetch/kafka_fetch_private.h"

static bool use_check(struct uk_kafka_fetch *fetch)
{
  if (!uk_kafka_fetch_take_answer(fetch))
    return false;
  return uk_kafka_fetch_go(fetch, uk_kafka_fetch_operation_of(fetch)->error == UK_OK
                                    ? UK_FETCH_STARTING
                                    : UK_FETCH_ENDING);
}

static bool check_again(struct uk_kafka_fetch *fetch)
{
  fetch->state = UK_FETCH_CHECKING;
  uk_kafka_fetch_check(fetch);
  return false;
}

/* If records were taken they are the answer, whatever happened to the rest. After `done`, nothing
 * of the fetches may be touched. */
static bool finish(struct uk_kafka_fetch *fetch)
{
  struct uk_operation *operation = uk_kafka_fetch_operation_of(fetch);
  uk_kafka_fetch_leave_all(fetch);
  uk_kafka_consumer_pool_leave(fetch->fetches->pool, &fetch->waiter);
  uk_kafka_fetch_remove_running(fetch);
  if (fetch->any) {
    operation->error = UK_OK;
    operation->message[0] = '\0';
  }
  uk_kafka_task_end(&fetch->task);
  operation->done(operation);
  return false;
}

static bool step(struct uk_kafka_fetch *fetch, int64_t now)
{
  switch (fetch->state) {
  case UK_FETCH_CHECKING: return use_check(fetch);
  case UK_FETCH_RECHECKING: return check_again(fetch);
  case UK_FETCH_STARTING: return uk_kafka_fetch_start(fetch, now);
  case UK_FETCH_READING: return uk_kafka_fetch_read(fetch, now);
  case UK_FETCH_STOPPING: return uk_kafka_fetch_stop(fetch);
  case UK_FETCH_ASKING: return uk_kafka_fetch_use_watermarks(fetch, now);
  case UK_FETCH_JOINING: return uk_kafka_fetch_join(fetch, now);
  case UK_FETCH_WAITING: return uk_kafka_fetch_wait_there(fetch, now);
  case UK_FETCH_ENDING: break;
  }
  return finish(fetch);
}

void uk_kafka_fetch_run(struct uk_kafka_task *task, int64_t now)
{
  while (step((struct uk_kafka_fetch *)task, now))
    continue;
}
