#include "server/groups/group_deferred.h"

#include "server/groups/group_assignment.h"
#include "server/groups/group_commit.h"
#include "server/groups/group_read.h"

/* What one thread has taken off the lists. */
struct work {
  struct uk_list to_read;
  struct uk_list finished;
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

/* Rebalances, takes what is listed, and releases the lock. */
static void release(struct uk_groups *groups, struct work *work)
{
  uk_group_rebalance(groups);
  uk_list_move(&work->to_read, &groups->to_read);
  uk_list_move(&work->finished, &groups->finished);
  if (!uk_list_is_empty(&groups->to_submit) && !groups->submitting)
    work->submit = groups->submitting = true;
  pthread_mutex_unlock(&groups->lock);
}

static void call_done(struct work *work)
{
  struct uk_operation *operation;
  while ((operation = UK_LIST_TAKE(&work->finished, struct uk_operation, link)) != NULL)
    operation->done(operation);
}

/* The log is done with a commit, on any thread. */
static void committed(void *argument, enum uk_error error, const char *message)
{
  struct uk_group_commit *commit = argument;
  struct uk_groups *groups = commit->groups;
  uk_group_enter(groups, INT64_MIN);
  uk_group_commit_end(commit, error, message);
  uk_group_leave(groups);
}

static void submit(struct uk_groups *groups, struct work *work)
{
  const struct uk_groups_log *log = &groups->log;
  work->submit = false;
  for (;;) {
    pthread_mutex_lock(&groups->lock);
    struct uk_group_commit *commit =
      UK_LIST_TAKE(&groups->to_submit, struct uk_group_commit, to_submit);
    groups->submitting = commit != NULL;
    pthread_mutex_unlock(&groups->lock);
    if (commit == NULL)
      return;
    log->commit(log->context, commit->group->node.name, commit->offsets, commit->count,
                commit->forward, committed, commit);
  }
}

static void read_for_one(struct uk_groups *groups, struct work *work)
{
  struct uk_group_instance *instance =
    UK_LIST_TAKE(&work->to_read, struct uk_group_instance, to_read);
  pthread_mutex_lock(&groups->lock);
  uk_group_read(groups, instance);
  release(groups, work);
}

void uk_group_leave(struct uk_groups *groups)
{
  struct work work = {0};
  release(groups, &work);
  while (!uk_list_is_empty(&work.finished) || work.submit || !uk_list_is_empty(&work.to_read)) {
    call_done(&work);
    if (work.submit)
      submit(groups, &work);
    if (!uk_list_is_empty(&work.to_read))
      read_for_one(groups, &work);
  }
}
