#include "client/idempotency_key.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

/* A process number alone is not enough: the child of a child may get that of its grandparent. */
static atomic_uint forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
  atomic_fetch_add(&forks, 1);
}

static void watch_forks(void)
{
  pthread_atfork(NULL, NULL, count_fork);
}

static bool draw(unsigned char *bytes, size_t size)
{
  ssize_t got;
  do
    got = getrandom(bytes, size, 0);
  while (got < 0 && errno == EINTR);
  return got == (ssize_t)size;
}

static bool is_own(const struct uk_key_source *source, unsigned forked)
{
  return source->process == getpid() && source->forked == forked;
}

/* Draws a seed unless this process has drawn one. */
static bool prepare(struct uk_key_source *source)
{
  pthread_once(&once, watch_forks);
  const unsigned forked = atomic_load(&forks);
  if (is_own(source, forked))
    return true;
  *source = (struct uk_key_source){.process = 0};
  if (!draw(source->seed, sizeof source->seed))
    return false;
  source->process = getpid();
  source->forked = forked;
  return true;
}

bool uk_key_next(struct uk_key_source *source, char key[UK_KEY_SIZE])
{
  key[0] = '\0';
  if (!prepare(source))
    return false;
  for (int i = 0; i < UK_KEY_SEED_BYTES; i++)
    snprintf(key + 2 * i, 3, "%02x", source->seed[i]);
  snprintf(key + 2 * UK_KEY_SEED_BYTES, UK_KEY_SIZE - 2 * UK_KEY_SEED_BYTES, "-%" PRIu64,
           source->count++);
  return true;
}
