#include "hang_rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "server/log_engine/log_private.h"

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t moved;
  bool hangs, hung; /* the next sync waits; waits */
  int failures;     /* the next syncs fail */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

int hang_rig_sync(int fd)
{
  pthread_mutex_lock(&disk.mutex);
  disk.hung = disk.hangs;
  pthread_cond_broadcast(&disk.moved);
  while (disk.hangs)
    pthread_cond_wait(&disk.moved, &disk.mutex);
  bool fails = disk.failures > 0;
  disk.failures -= fails;
  pthread_mutex_unlock(&disk.mutex);
  if (!fails)
    return (int)syscall(SYS_fdatasync, fd);
  errno = EIO;
  return -1;
}

void hang_next(void)
{
  pthread_mutex_lock(&disk.mutex);
  disk.hangs = true;
  disk.hung = false;
  pthread_mutex_unlock(&disk.mutex);
}

void wait_until_hung(void)
{
  pthread_mutex_lock(&disk.mutex);
  while (!disk.hung)
    pthread_cond_wait(&disk.moved, &disk.mutex);
  pthread_mutex_unlock(&disk.mutex);
}

void hang_for_long(void)
{
  atomic_store(&uk_log_hang_ms, 1);
}

void answer_again(void)
{
  atomic_store(&uk_log_hang_ms, UK_LOG_HANG_MS);
  pthread_mutex_lock(&disk.mutex);
  disk.hangs = false;
  pthread_cond_broadcast(&disk.moved);
  pthread_mutex_unlock(&disk.mutex);
}

void fail_next(void)
{
  pthread_mutex_lock(&disk.mutex);
  disk.failures = 1;
  pthread_mutex_unlock(&disk.mutex);
}

bool is_failing(void)
{
  pthread_mutex_lock(&disk.mutex);
  bool fails = disk.failures > 0;
  pthread_mutex_unlock(&disk.mutex);
  return fails;
}

/* Operations that end on other threads. */

void note_late(struct uk_operation *operation, const char *message)
{
  struct asked *asked = (struct asked *)operation;
  snprintf(asked->late_text, sizeof asked->late_text, "%s", message);
  atomic_fetch_add(&asked->lates, 1);
}

static void note_end(struct uk_operation *operation)
{
  atomic_fetch_add(&((struct asked *)operation)->ends, 1);
}

struct asked *new_asked(void)
{
  struct asked *asked = calloc(1, sizeof *asked);
  if (asked == NULL)
    abort();
  asked->operation.done = note_end;
  asked->operation.late = note_late;
  asked->at = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, 1};
  return asked;
}

const char *without_seconds(const char *text)
{
  static char copy[UK_MESSAGE_SIZE];
  static const char before[] = "the disk has not answered for ";
  const char *number = strstr(text, before);
  if (number == NULL)
    return text;
  number += strlen(before);
  snprintf(copy, sizeof copy, "%.*s0%s", (int)(number - text), text,
           number + strspn(number, "0123456789"));
  return copy;
}

void check_end_of(struct asked *asked, enum uk_error error, const char *message)
{
  CHECK_EVENTUALLY(atomic_load(&asked->ends) > 0);
  CHECK_EQ_INT(atomic_load(&asked->ends), 1);
  CHECK_EQ_INT(asked->operation.error, error);
  CHECK_EQ_STR(without_seconds(asked->operation.message), message);
  memset(asked, 0x5a, sizeof *asked);
  free(asked);
}
