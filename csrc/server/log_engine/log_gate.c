#include "server/log_engine/log_gate.h"

bool uk_log_gate_init(struct uk_log_gate *gate)
{
  atomic_init(&gate->writers, 0);
  if (pthread_rwlock_init(&gate->lock, NULL) != 0)
    return false;
  if (pthread_mutex_init(&gate->turnstile, NULL) == 0)
    return true;
  pthread_rwlock_destroy(&gate->lock);
  return false;
}

void uk_log_gate_free(struct uk_log_gate *gate)
{
  pthread_rwlock_destroy(&gate->lock);
  pthread_mutex_destroy(&gate->turnstile);
}

void uk_log_gate_enter(struct uk_log_gate *gate)
{
  if (atomic_load(&gate->writers) > 0) {
    pthread_mutex_lock(&gate->turnstile);
    pthread_mutex_unlock(&gate->turnstile);
  }
  pthread_rwlock_rdlock(&gate->lock);
}

void uk_log_gate_enter_alone(struct uk_log_gate *gate)
{
  atomic_fetch_add(&gate->writers, 1);
  pthread_mutex_lock(&gate->turnstile);
  pthread_rwlock_wrlock(&gate->lock);
  pthread_mutex_unlock(&gate->turnstile);
  atomic_fetch_sub(&gate->writers, 1);
}

void uk_log_gate_leave(struct uk_log_gate *gate)
{
  pthread_rwlock_unlock(&gate->lock);
}
