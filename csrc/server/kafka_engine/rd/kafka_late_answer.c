#include "server/kafka_engine/rd/kafka_late_answer.h"

void uk_kafka_late_answer_init(struct uk_kafka_late_answer *answer, struct uk_kafka_task *asker,
                               void (*free_)(struct uk_kafka_late_answer *answer))
{
  pthread_mutex_init(&answer->mutex, NULL);
  answer->asker = asker;
  answer->arrived = false;
  atomic_init(&answer->holders, 2);
  answer->free = free_;
}

void uk_kafka_late_answer_release(struct uk_kafka_late_answer *answer)
{
  if (atomic_fetch_sub(&answer->holders, 1) > 1)
    return;
  pthread_mutex_destroy(&answer->mutex);
  answer->free(answer);
}

/* Holds the mutex while it wakes the task, so that the task cannot drop the answer and end
 * before. */
void uk_kafka_late_answer_arrive(struct uk_kafka_late_answer *answer)
{
  pthread_mutex_lock(&answer->mutex);
  answer->arrived = true;
  if (answer->asker != NULL)
    uk_kafka_task_wake(answer->asker);
  pthread_mutex_unlock(&answer->mutex);
  uk_kafka_late_answer_release(answer);
}

struct uk_kafka_late_answer *uk_kafka_late_answer_take(struct uk_kafka_late_answer **slot)
{
  struct uk_kafka_late_answer *answer = *slot;
  if (answer == NULL)
    return NULL;
  pthread_mutex_lock(&answer->mutex);
  bool arrived = answer->arrived;
  pthread_mutex_unlock(&answer->mutex);
  if (!arrived)
    return NULL;
  *slot = NULL;
  return answer;
}

void uk_kafka_late_answer_drop(struct uk_kafka_late_answer **slot)
{
  struct uk_kafka_late_answer *answer = *slot;
  if (answer == NULL)
    return;
  *slot = NULL;
  pthread_mutex_lock(&answer->mutex);
  answer->asker = NULL;
  pthread_mutex_unlock(&answer->mutex);
  uk_kafka_late_answer_release(answer);
}
