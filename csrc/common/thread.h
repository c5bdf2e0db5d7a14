/* thread: threads that leave signals to the program, and conditions that wait until a time of
 * uk_clock_monotonic. */
#ifndef UK_THREAD_H
#define UK_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a thread with the signals of uk_thread_signals blocked. False when the system has no
 * resources for it. */
bool uk_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument);
/* The same, detached. */
bool uk_thread_start_alone(void *(*run)(void *argument), void *argument);

/* Initializes a condition for uk_condition_wait. Cannot fail on Linux. */
void uk_condition_init(pthread_cond_t *condition);

/* Like pthread_cond_wait, at most until that time; INT64_MAX = no limit. */
void uk_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until);

/* The signals that our threads block: all but those that their own faults raise. A fault whose
 * signal is blocked ends the process, even if somebody handles it. */
void uk_thread_signals(sigset_t *set);

#endif
