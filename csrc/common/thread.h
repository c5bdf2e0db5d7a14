/* thread: threads that leave signals to the program, and conditions that wait until a time of
 * uk_clock_monotonic. */
#ifndef UK_THREAD_H
#define UK_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A thread with every signal blocked. False: there is none to be had. */
bool uk_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument);
/* The same, of one that nobody joins. */
bool uk_thread_start_alone(void *(*run)(void *argument), void *argument);

/* A condition for uk_condition_wait. It cannot fail where it is: on Linux. */
void uk_condition_init(pthread_cond_t *condition);

/* As pthread_cond_wait, but no longer than until that time; INT64_MAX: as long as it takes. */
void uk_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until);

#endif
