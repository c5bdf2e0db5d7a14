#include "server/http/http_pool.h"

#include "common/thread.h"

/* The first job of the user; NULL if the user has none. Under the mutex, like those below. */
static struct uk_pool_job *find_first(const struct uk_pool *pool, struct uk_slice user)
{
  struct uk_pool_job *job = UK_LIST_FIRST(&pool->turns, struct uk_pool_job, link);
  while (job != NULL && !uk_slice_equal(job->user, user))
    job = UK_LIST_NEXT(&pool->turns, job, struct uk_pool_job, link);
  return job;
}

/* Takes the job whose turn it is. The user's next one goes behind those of all others. */
static struct uk_pool_job *take(struct uk_pool *pool)
{
  struct uk_pool_job *job = UK_LIST_TAKE(&pool->turns, struct uk_pool_job, link);
  struct uk_pool_job *next = UK_LIST_TAKE(&job->behind, struct uk_pool_job, link);
  pool->waiting--;
  if (next == NULL)
    return job;
  uk_list_move(&next->behind, &job->behind);
  next->behind_count = job->behind_count - 1;
  uk_list_add(&pool->turns, &next->link);
  return job;
}

static void *work(void *argument)
{
  struct uk_pool *pool = argument;
  pthread_mutex_lock(&pool->mutex);
  for (;;) {
    while (pool->waiting == 0 && !pool->stopping)
      pthread_cond_wait(&pool->changed, &pool->mutex);
    if (pool->waiting == 0)
      break;
    struct uk_pool_job *job = take(pool);
    pthread_mutex_unlock(&pool->mutex);
    job->run(job);
    pthread_mutex_lock(&pool->mutex);
  }
  pthread_mutex_unlock(&pool->mutex);
  return NULL;
}

bool uk_pool_start(struct uk_pool *pool, unsigned threads)
{
  const unsigned wanted = threads < UK_POOL_THREADS_MAX ? threads : UK_POOL_THREADS_MAX;
  *pool = (struct uk_pool){.initialized = true};
  /* These cannot fail on Linux with default attributes. */
  (void)pthread_mutex_init(&pool->mutex, NULL);
  (void)pthread_cond_init(&pool->changed, NULL);
  while (pool->count < wanted && uk_thread_start(&pool->threads[pool->count], work, pool))
    pool->count++;
  return pool->count == wanted;
}

void uk_pool_stop(struct uk_pool *pool)
{
  if (!pool->initialized)
    return;
  pthread_mutex_lock(&pool->mutex);
  pool->stopping = true;
  pthread_cond_broadcast(&pool->changed);
  pthread_mutex_unlock(&pool->mutex);
  for (unsigned i = 0; i < pool->count; i++)
    pthread_join(pool->threads[i], NULL);
  pthread_mutex_destroy(&pool->mutex);
  pthread_cond_destroy(&pool->changed);
  *pool = (struct uk_pool){.initialized = false};
}

static bool add(struct uk_pool *pool, struct uk_pool_job *job)
{
  struct uk_pool_job *first = find_first(pool, job->user);
  const size_t own = first != NULL ? first->behind_count + 1 : 0;
  if (pool->waiting == UK_POOL_JOBS || own == UK_POOL_USER_JOBS)
    return false;
  job->link = (struct uk_link){.next = NULL};
  job->behind = (struct uk_list){.head = {NULL, NULL}};
  job->behind_count = 0;
  uk_list_add(first != NULL ? &first->behind : &pool->turns, &job->link);
  if (first != NULL)
    first->behind_count++;
  pool->waiting++;
  return true;
}

bool uk_pool_add(struct uk_pool *pool, struct uk_pool_job *job)
{
  pthread_mutex_lock(&pool->mutex);
  const bool added = add(pool, job);
  if (added)
    pthread_cond_signal(&pool->changed);
  pthread_mutex_unlock(&pool->mutex);
  return added;
}
