/* kafka_executor: the threads that run what has something to do: a task for each consumer instance, fetch, and so on.
 *
 * A task runs on one thread at a time, so that what it owns needs no lock. Anybody may wake it, from any thread, also
 * from librdkafka's callbacks; it runs once more after the last wake. A task that waits holds no thread. */
#ifndef UK_KAFKA_EXECUTOR_H
#define UK_KAFKA_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "server/engine/timer.h"
#include "server/kafka_engine/rd/kafka_rd.h"

struct uk_kafka_executor;

struct uk_kafka_task {
  struct uk_kafka_executor *executor;
  void (*run)(struct uk_kafka_task *task, int64_t now); /* now: uk_clock_monotonic */
  void (*free)(struct uk_kafka_task *task);             /* after uk_kafka_task_end; NULL: nothing */
  /* The executor's, under its lock. */
  struct uk_timer timer;
  struct uk_kafka_task *next; /* in the line */
  enum {
    UK_TASK_IDLE,
    UK_TASK_IN_LINE,
    UK_TASK_RUNNING,
    UK_TASK_RUNNING_WOKEN,
    UK_TASK_ENDED
  } state;
};

/* NULL when memory or threads are out. */
struct uk_kafka_executor *uk_kafka_executor_new(unsigned threads);
/* Joins the threads. Every task must have ended, or never run again. */
void uk_kafka_executor_free(struct uk_kafka_executor *executor);

void uk_kafka_task_init(struct uk_kafka_task *task, struct uk_kafka_executor *executor,
                        void (*run)(struct uk_kafka_task *task, int64_t now),
                        void (*free)(struct uk_kafka_task *task));

/* Runs the task soon. From any thread, until the task has ended. */
void uk_kafka_task_wake(struct uk_kafka_task *task);

/* From `run`: runs it again at that time (the last call counts), UK_TIMER_NEVER: only when it is woken. */
void uk_kafka_task_at(struct uk_kafka_task *task, int64_t time);

/* From `run`: it was the last one. The caller has seen to it that nobody wakes the task any more. `free` is called when
 * `run` returns. */
void uk_kafka_task_end(struct uk_kafka_task *task);

/* Wakes the task whenever the queue gets something; `uk_kafka_queue_unwatch` before the task ends. What is in the queue
 * already wakes nobody. */
void uk_kafka_queue_watch(rd_kafka_queue_t *queue, struct uk_kafka_task *task);
void uk_kafka_queue_unwatch(rd_kafka_queue_t *queue);

#endif
