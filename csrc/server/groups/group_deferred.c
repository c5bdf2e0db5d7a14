#include "server/groups/group_deferred.h"

#include "server/groups/group_commit.h"
#include "server/groups/group_read.h"
#include "server/groups/group_assignment.h"

/* What one thread took out of the lock with it. */
struct work {
  struct uk_group_instance *reading, *last_reading;
  struct uk_operation *finished, *last_finished;
  bool submit;
};

void uk_group_enter(struct uk_groups *groups, int64_t now)
{
  pthread_mutex_lock(&groups->lock);
  if (now > groups->now)
    groups->now = now;
  struct uk_timer *timer;
  while ((timer = groups->timers.first) != NULL && timer->time <= groups->now) {
    uk_timer_set(&groups->timers, timer, UK_TIMER_NEVER);
    timer->due(groups, timer);
  }
}

void uk_group_finish(struct uk_groups *groups, struct uk_operation *operation, enum uk_error error)
{
  operation->error = error;
  operation->next = NULL;
  if (groups->last_finished != NULL)
    groups->last_finished->next = operation;
  else
    groups->finished = operation;
  groups->last_finished = operation;
}

void uk_group_queue_read(struct uk_groups *groups, struct uk_group_instance *instance)
{
  uk_timer_set(&groups->timers, &instance->first->timer, UK_TIMER_NEVER);
  instance->activity = UK_GROUP_READING;
  instance->reading_next = NULL;
  if (groups->last_reading != NULL)
    groups->last_reading->reading_next = instance;
  else
    groups->reading = instance;
  groups->last_reading = instance;
}

void uk_group_queue_commit(struct uk_groups *groups, struct uk_group_commit *commit)
{
  commit->outbox_next = NULL;
  if (groups->last_outbox != NULL)
    groups->last_outbox->outbox_next = commit;
  else
    groups->outbox = commit;
  groups->last_outbox = commit;
}

/* Moves what was listed into `work` and releases the lock. */
static void release(struct uk_groups *groups, struct work *work)
{
  uk_group_rebalance(groups);
  if (groups->reading != NULL) {
    if (work->reading != NULL)
      work->last_reading->reading_next = groups->reading;
    else
      work->reading = groups->reading;
    work->last_reading = groups->last_reading;
    groups->reading = groups->last_reading = NULL;
  }
  if (groups->finished != NULL) {
    if (work->finished != NULL)
      work->last_finished->next = groups->finished;
    else
      work->finished = groups->finished;
    work->last_finished = groups->last_finished;
    groups->finished = groups->last_finished = NULL;
  }
  if (groups->outbox != NULL && !groups->submitting)
    work->submit = groups->submitting = true;
  pthread_mutex_unlock(&groups->lock);
}

static void call_done(struct work *work)
{
  while (work->finished != NULL) {
    struct uk_operation *operation = work->finished;
    work->finished = operation->next;
    operation->done(operation);
  }
}

static void submit(struct uk_groups *groups, struct work *work)
{
  work->submit = false;
  for (;;) {
    pthread_mutex_lock(&groups->lock);
    struct uk_group_commit *commit = groups->outbox;
    groups->submitting = commit != NULL;
    if (commit != NULL && (groups->outbox = commit->outbox_next) == NULL)
      groups->last_outbox = NULL;
    pthread_mutex_unlock(&groups->lock);
    if (commit == NULL)
      return;
    uk_group_commit_submit(commit);
  }
}

static void read_one(struct uk_groups *groups, struct work *work)
{
  struct uk_group_instance *instance = work->reading;
  work->reading = instance->reading_next;
  pthread_mutex_lock(&groups->lock);
  uk_group_read(groups, instance);
  release(groups, work);
}

void uk_group_leave(struct uk_groups *groups)
{
  struct work work = {0};
  release(groups, &work);
  while (work.finished != NULL || work.submit || work.reading != NULL) {
    call_done(&work);
    if (work.submit)
      submit(groups, &work);
    if (work.reading != NULL)
      read_one(groups, &work);
  }
}
