#include "server/kafka_engine/fetch/kafka_readers_private.h"

#include <stdint.h>

static bool is_over(const struct uk_kafka_readers *readers, const struct uk_kafka_loan *loan,
                    int64_t now)
{
  return loan->expires <= now || readers->closing || loan->reader->retired ||
         readers->kept_count > UK_KAFKA_KEPT;
}

/* A kept loan whose time is over, NULL when there is none. The mutex is held. */
static struct uk_kafka_loan *take_over(struct uk_kafka_readers *readers, int64_t now)
{
  struct uk_kafka_loan **link = &readers->kept;
  while (*link != NULL && !is_over(readers, *link, now))
    link = &(*link)->next;
  struct uk_kafka_loan *loan = *link;
  if (loan != NULL)
    uk_kafka_readers_take_kept(readers, link);
  return loan;
}

/* The handle of a reader that nobody needs, NULL when there is none; when the next might be one. The mutex is held. */
static rd_kafka_t *take_idle(struct uk_kafka_readers *readers, int64_t now, int64_t *next)
{
  for (size_t i = 0; i < UK_KAFKA_READERS; i++) {
    struct uk_kafka_reader *reader = &readers->readers[i];
    int64_t end = reader->idle_since + UK_KAFKA_READER_IDLE;
    if (reader->handle == NULL || reader->loans > 0)
      continue;
    if (end <= now || reader->retired || readers->closing) {
      rd_kafka_t *handle = reader->handle;
      *reader = (struct uk_kafka_reader){.handle = NULL};
      return handle;
    }
    *next = end < *next ? end : *next;
  }
  return NULL;
}

void uk_kafka_readers_run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_readers *readers = (struct uk_kafka_readers *)task;
  struct uk_kafka_loan *loan;
  rd_kafka_t *handle;
  int64_t next = UK_TIMER_NEVER;
  pthread_mutex_lock(&readers->mutex);
  while ((loan = take_over(readers, now)) != NULL) {
    pthread_mutex_unlock(&readers->mutex);
    uk_kafka_loan_stop(loan, SIZE_MAX);
    uk_kafka_readers_return(readers, loan);
    pthread_mutex_lock(&readers->mutex);
  }
  while ((handle = take_idle(readers, now, &next)) != NULL) {
    pthread_mutex_unlock(&readers->mutex);
    uk_kafka_reap(readers->reaper, handle, NULL, NULL);
    pthread_mutex_lock(&readers->mutex);
  }
  for (loan = readers->kept; loan != NULL; loan = loan->next)
    next = loan->expires < next ? loan->expires : next;
  bool closing = readers->closing;
  pthread_mutex_unlock(&readers->mutex);
  uk_kafka_task_at(task, next);
  if (closing)
    uk_kafka_task_end(task);
}
