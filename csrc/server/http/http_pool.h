/* http_pool: threads that read large bodies, so that the HTTP library's threads stay free for all
 * other requests.
 *
 * The users that have jobs take turns: a user's first job waits for at most one job of each other
 * user, however many they have. Jobs belong to the caller; nothing is allocated for them. */
#ifndef UK_HTTP_POOL_H
#define UK_HTTP_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/list.h"
#include "common/slice.h"

enum {
  UK_POOL_JOBS = 256,     /* that wait, of all users */
  UK_POOL_USER_JOBS = 64, /* and of one */
  UK_POOL_THREADS_MAX = 8
};

struct uk_pool_job {
  void (*run)(struct uk_pool_job *job); /* on a thread of the pool; the job is its caller's again */
  void *owner;                          /* for `run` */
  struct uk_slice user;                 /* lives as long as the job */

  /* The pool's own, under its mutex. */
  struct uk_link link;   /* in the turns if it is its user's first, else in that one's `behind` */
  struct uk_list behind; /* the first's: the other jobs of the user, in their order */
  size_t behind_count;
};

struct uk_pool {
  unsigned count;
  pthread_t threads[UK_POOL_THREADS_MAX];
  pthread_mutex_t mutex; /* guards the rest */
  pthread_cond_t changed;
  struct uk_list turns; /* the first job of each user that has any */
  size_t waiting;       /* jobs */
  bool initialized, stopping;
};

/* Starts at most UK_POOL_THREADS_MAX threads. False: the system has no resources for them;
 * uk_pool_stop frees what there is. */
bool uk_pool_start(struct uk_pool *pool, unsigned threads);

/* Runs what waits, and ends the threads. Precondition: nothing is added any more. A zeroed struct
 * is allowed. */
void uk_pool_stop(struct uk_pool *pool);

/* False: too many jobs wait, of this user or of all. Otherwise the job may have run by now. */
bool uk_pool_add(struct uk_pool *pool, struct uk_pool_job *job);

#endif
