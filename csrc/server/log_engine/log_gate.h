/* log_gate: a readers-writer lock in which a waiting writer goes before readers that come after it.
 *
 * POSIX leaves that order open. glibc (by default) and musl let readers overtake, so a steady
 * stream of readers could keep a writer out forever. A thread must not enter twice: its second
 * time could wait for a writer that waits for its first. */
#ifndef UK_LOG_GATE_H
#define UK_LOG_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct uk_log_gate {
  pthread_rwlock_t lock;
  pthread_mutex_t turnstile; /* held by the writer that waits for the lock */
  atomic_int writers;        /* writers that wait; while there is one, readers pass the turnstile */
};

/* False when a lock cannot be created; there is nothing to free then. */
bool uk_log_gate_init(struct uk_log_gate *gate);
void uk_log_gate_free(struct uk_log_gate *gate);

void uk_log_gate_enter(struct uk_log_gate *gate);
void uk_log_gate_enter_alone(struct uk_log_gate *gate);
/* Ends either kind of entry. */
void uk_log_gate_leave(struct uk_log_gate *gate);

#endif
