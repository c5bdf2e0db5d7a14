/* kafka_late_answer: an answer that may come after the task that waits for it has ended.
 *
 * Put one in the struct that holds a query and its answer. Two sides hold that struct: the task
 * that asked, and the side that answers. Each releases it once, in any order; the last one to do
 * so frees it. */
#ifndef UK_KAFKA_LATE_ANSWER_H
#define UK_KAFKA_LATE_ANSWER_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/kafka_engine/rd/kafka_executor.h"

struct uk_kafka_late_answer {
  pthread_mutex_t mutex;
  struct uk_kafka_task *asker; /* NULL: nobody waits; under the mutex */
  bool arrived;                /* under the mutex */
  atomic_int holders;
  void (*free)(struct uk_kafka_late_answer *answer);
};

/* `free` frees the struct and what is left in it, from any thread. */
void uk_kafka_late_answer_init(struct uk_kafka_late_answer *answer, struct uk_kafka_task *asker,
                               void (*free)(struct uk_kafka_late_answer *answer));

/* From the answering side, once the answer is in the struct. Wakes the asker and releases the
 * struct. */
void uk_kafka_late_answer_arrive(struct uk_kafka_late_answer *answer);

/* The rest is called by the asker, from its task. `slot` is where it keeps the answer that it waits
 * for; NULL: it waits for none. */

/* The answer once it has arrived, for the caller to release; the slot is then NULL. NULL before
 * that. */
struct uk_kafka_late_answer *uk_kafka_late_answer_take(struct uk_kafka_late_answer **slot);
void uk_kafka_late_answer_release(struct uk_kafka_late_answer *answer);

/* Stops waiting: the answer wakes no task. The slot is then NULL. */
void uk_kafka_late_answer_drop(struct uk_kafka_late_answer **slot);

#endif
