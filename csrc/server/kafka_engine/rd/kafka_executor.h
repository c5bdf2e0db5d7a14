/* kafka_executor: the threads that run tasks: one for each consumer instance, each fetch, and so
 * on.
 *
 * A task runs on one thread at a time, so what it owns needs no lock. Any thread may wake a task,
 * librdkafka's callbacks included; the task runs once more after the last wake. A task that waits
 * holds no thread.
 *
 * An executor without threads runs its tasks when its owner calls uk_kafka_executor_run, at the
 * time that the owner names: with it a test owns the clock. */
#ifndef UK_KAFKA_EXECUTOR_H
#define UK_KAFKA_EXECUTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "server/engine/timer.h"
#include "server/kafka_engine/rd/kafka_rd.h"

struct uk_kafka_executor;

struct uk_kafka_task {
  struct uk_kafka_executor *executor;
  void (*run)(struct uk_kafka_task *task, int64_t now); /* now: uk_clock_monotonic */
  void (*free)(struct uk_kafka_task *task);             /* after uk_kafka_task_end; may be NULL */
  /* The executor's, under its lock. */
  struct uk_timer timer;
  struct uk_link link; /* in the queue of tasks that are ready */
  enum { UK_TASK_IDLE, UK_TASK_READY, UK_TASK_RUNNING, UK_TASK_RUNNING_WOKEN, UK_TASK_ENDED } state;
  bool joining; /* uk_kafka_task_join waits */
  bool last;    /* in the run that uk_kafka_task_join waits for */
};

/* NULL when memory or threads run out. */
struct uk_kafka_executor *uk_kafka_executor_new(unsigned threads);
/* Joins the threads. Precondition: every task has ended, or is never woken again. */
void uk_kafka_executor_free(struct uk_kafka_executor *executor);

/* For an executor without threads: runs each task that is ready or due at `now`, until none is. */
void uk_kafka_executor_run(struct uk_kafka_executor *executor, int64_t now);

void uk_kafka_task_init(struct uk_kafka_task *task, struct uk_kafka_executor *executor,
                        void (*run)(struct uk_kafka_task *task, int64_t now),
                        void (*free)(struct uk_kafka_task *task));

/* Runs the task soon. From any thread, until the task has ended. */
void uk_kafka_task_wake(struct uk_kafka_task *task);

/* From `run`: runs the task again at that time; the last call counts. UK_TIMER_NEVER: only when it
 * is woken. */
void uk_kafka_task_at(struct uk_kafka_task *task, int64_t time);

/* From `run`: this run is the last one. Precondition: the task is never woken again. `free` is
 * called when `run` returns. */
void uk_kafka_task_end(struct uk_kafka_task *task);

/* Runs the task once more, as its last run, and returns when it has ended. Not from a thread of the
 * executor. Precondition: no other thread wakes the task any more; its `free` is NULL. */
void uk_kafka_task_join(struct uk_kafka_task *task);

/* From `run`: true in the run that uk_kafka_task_join waits for. */
bool uk_kafka_task_is_last(const struct uk_kafka_task *task);

/* Wakes the task whenever something is added to the queue; what is in the queue already wakes
 * nobody. Call uk_kafka_queue_unwatch before the task ends. */
void uk_kafka_queue_watch(rd_kafka_queue_t *queue, struct uk_kafka_task *task);
void uk_kafka_queue_unwatch(rd_kafka_queue_t *queue);

#endif
