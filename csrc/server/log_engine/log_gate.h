/* log_gate: a lock for many readers or one writer, in which a waiting writer goes before readers that come after it.
 *
 * POSIX leaves that order open. glibc by default and musl always let readers overtake, so a stream of readers without a
 * gap would keep a writer out for ever. A thread must not enter twice: the second time it could wait for a writer that
 * waits for the first. */
#ifndef UK_LOG_GATE_H
#define UK_LOG_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct uk_log_gate {
  pthread_rwlock_t lock;
  pthread_mutex_t turnstile; /* held by the writer that waits for the lock */
  atomic_int writers;        /* that wait; while there is one, readers go through the turnstile */
};

/* False when a lock cannot be made; nothing is to be freed then. */
bool uk_log_gate_init(struct uk_log_gate *gate);
void uk_log_gate_free(struct uk_log_gate *gate);

void uk_log_gate_enter(struct uk_log_gate *gate);
void uk_log_gate_enter_alone(struct uk_log_gate *gate);
/* After either. */
void uk_log_gate_leave(struct uk_log_gate *gate);

#endif
