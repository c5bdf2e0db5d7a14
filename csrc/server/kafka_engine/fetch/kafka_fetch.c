#include "server/kafka_engine/fetch/kafka_fetch_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/cluster/kafka_offsets.h"

enum { GRACE = 500 }; /* milliseconds after the deadline for answers that need no waiting */

/* The check. */

/* Wakes the task under the mutex: another event may run the task to its end, and it must
 * take the mutex before that. */
static void answered(struct uk_kafka_fetch *fetch)
{
  struct uk_kafka_fetches *fetches = fetch->fetches;
  pthread_mutex_lock(&fetches->mutex);
  __atomic_store_n(&fetch->answered, true, __ATOMIC_RELEASE);
  uk_kafka_task_wake(&fetch->task);
  pthread_mutex_unlock(&fetches->mutex);
}

static void checked(struct uk_kafka_check *check)
{
  answered((struct uk_kafka_fetch *)((char *)check - offsetof(struct uk_kafka_fetch, check)));
}

void uk_kafka_fetch_check(struct uk_kafka_fetch *fetch)
{
  const struct uk_fetch *operation = fetch->operation;
  fetch->check = (struct uk_kafka_check){
    .operation = &fetch->operation->operation,
    .places = uk_kafka_places_of_offsets(operation->positions, operation->count),
    .then = checked};
  uk_kafka_topics_check(fetch->fetches->parts.topics, &fetch->check);
}

static void watermarks_answered(struct uk_kafka_query *query)
{
  answered((struct uk_kafka_fetch *)((char *)query - offsetof(struct uk_kafka_fetch, watermarks)));
}

/* Running fetches. */

static void free_fetch(struct uk_kafka_task *task)
{
  struct uk_kafka_fetch *fetch = (struct uk_kafka_fetch *)task;
  uk_kafka_record_free(&fetch->record);
  free(fetch);
}

static void add_running(struct uk_kafka_fetches *fetches, struct uk_kafka_fetch *fetch)
{
  pthread_mutex_lock(&fetches->mutex);
  uk_list_add(&fetches->running, &fetch->link);
  pthread_mutex_unlock(&fetches->mutex);
}

void uk_kafka_fetch_remove_running(struct uk_kafka_fetch *fetch)
{
  pthread_mutex_lock(&fetch->fetches->mutex);
  uk_list_remove(&fetch->link);
  pthread_mutex_unlock(&fetch->fetches->mutex);
}

static struct uk_kafka_fetch *new_fetch(struct uk_kafka_fetches *fetches,
                                        struct uk_fetch *operation)
{
  struct uk_kafka_fetch *fetch =
    calloc(1, sizeof *fetch + operation->count * sizeof fetch->positions[0]);
  if (fetch == NULL)
    return NULL;
  uk_kafka_task_init(&fetch->task, fetches->parts.executor, uk_kafka_fetch_run, free_fetch);
  fetch->fetches = fetches;
  fetch->operation = operation;
  fetch->waiter.task = &fetch->task;
  fetch->limit = operation->operation.deadline + GRACE;
  fetch->count = uk_kafka_positions_fill(fetch->positions, operation);
  fetch->watermarks = (struct uk_kafka_watermarks){.work.query.then = watermarks_answered,
                                                   .control = fetches->parts.control};
  return fetch;
}

void uk_kafka_fetches_fetch(struct uk_kafka_fetches *fetches, struct uk_fetch *operation)
{
  struct uk_kafka_fetch *fetch = new_fetch(fetches, operation);
  if (fetch == NULL) {
    uk_operation_fail(&operation->operation, UK_E_NO_MEMORY, "%s", "");
    operation->operation.done(&operation->operation);
    return;
  }
  add_running(fetches, fetch);
  uk_kafka_fetch_check(fetch);
}

void uk_kafka_fetches_offsets(struct uk_kafka_fetches *fetches, struct uk_offsets *operation)
{
  const struct uk_kafka_fetch_parts *parts = &fetches->parts;
  uk_kafka_offsets_run(operation, parts->control, parts->topics, parts->blocking);
}

void uk_kafka_fetches_forget(struct uk_kafka_fetches *fetches, struct uk_slice topic)
{
  uk_kafka_consumer_pool_forget(fetches->pool, topic);
  uk_kafka_end_watch_forget(fetches->watch, topic);
}

void uk_kafka_fetches_expired(struct uk_kafka_fetches *fetches, struct uk_fetch *operation)
{
  pthread_mutex_lock(&fetches->mutex);
  struct uk_kafka_fetch *fetch = UK_LIST_FIRST(&fetches->running, struct uk_kafka_fetch, link);
  while (fetch != NULL && fetch->operation != operation)
    fetch = UK_LIST_NEXT(&fetches->running, fetch, struct uk_kafka_fetch, link);
  if (fetch != NULL)
    uk_kafka_task_wake(&fetch->task);
  pthread_mutex_unlock(&fetches->mutex);
}

void uk_kafka_fetches_drain(struct uk_kafka_fetches *fetches)
{
  __atomic_store_n(&fetches->draining, true, __ATOMIC_RELEASE);
  pthread_mutex_lock(&fetches->mutex);
  struct uk_kafka_fetch *fetch = UK_LIST_FIRST(&fetches->running, struct uk_kafka_fetch, link);
  for (; fetch != NULL; fetch = UK_LIST_NEXT(&fetches->running, fetch, struct uk_kafka_fetch, link))
    uk_kafka_task_wake(&fetch->task);
  pthread_mutex_unlock(&fetches->mutex);
}

/* Life. */

struct uk_kafka_fetches *uk_kafka_fetches_new(const struct uk_kafka_fetch_parts *parts)
{
  struct uk_kafka_fetches *fetches = calloc(1, sizeof *fetches);
  if (fetches == NULL)
    return NULL;
  fetches->parts = *parts;
  pthread_mutex_init(&fetches->mutex, NULL);
  fetches->pool = uk_kafka_consumer_pool_new(parts->settings, parts->executor, parts->reaper);
  fetches->watch = uk_kafka_end_watch_new(parts->settings, parts->executor, parts->reaper);
  if (fetches->pool != NULL && fetches->watch != NULL)
    return fetches;
  uk_kafka_fetches_free(fetches);
  return NULL;
}

void uk_kafka_fetches_free(struct uk_kafka_fetches *fetches)
{
  if (fetches->watch != NULL)
    uk_kafka_end_watch_free(fetches->watch);
  if (fetches->pool != NULL)
    uk_kafka_consumer_pool_free(fetches->pool);
  pthread_mutex_destroy(&fetches->mutex);
  free(fetches);
}
