#include "server/kafka_engine/fetch/kafka_readers_private.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/clock.h"

enum {
  BROKER_WAIT = 5,  /* milliseconds until a broker says that there is nothing new */
  LOANS_BEFORE = 4, /* of one handle, before another one is made */
  WOKEN = 4         /* of the line, when something was given back */
};

/* With the mutex held. */

static void wake_line(struct uk_kafka_readers *readers, size_t count)
{
  for (; readers->line != NULL && count > 0; count--) {
    struct uk_kafka_turn *turn = readers->line;
    readers->line = turn->next;
    if (readers->line != NULL)
      readers->line->link = &readers->line;
    else
      readers->line_end = &readers->line;
    turn->link = NULL;
    uk_kafka_task_wake(turn->task);
  }
}

static void line_up(struct uk_kafka_readers *readers, struct uk_kafka_turn *turn)
{
  turn->next = NULL;
  turn->link = readers->line_end;
  *readers->line_end = turn;
  readers->line_end = &turn->next;
}

static void leave_line(struct uk_kafka_readers *readers, struct uk_kafka_turn *turn)
{
  if (turn->link == NULL)
    return;
  *turn->link = turn->next;
  if (turn->next != NULL)
    turn->next->link = turn->link;
  else
    readers->line_end = turn->link;
  turn->link = NULL;
}

void uk_kafka_readers_take_kept(struct uk_kafka_readers *readers, struct uk_kafka_loan **link)
{
  struct uk_kafka_loan *loan = *link;
  *link = loan->next;
  if (*link == NULL)
    readers->kept_end = link;
  loan->next = NULL;
  loan->kept = false;
  readers->kept_count--;
}

static struct uk_kafka_loan *take_fitting(struct uk_kafka_readers *readers,
                                          const struct uk_kafka_position *positions, size_t count)
{
  struct uk_kafka_loan **link = &readers->kept;
  while (*link != NULL && ((*link)->reader->retired || (*link)->expires == 0 ||
                           !uk_kafka_loan_fits(*link, positions, count)))
    link = &(*link)->next;
  struct uk_kafka_loan *loan = *link;
  if (loan != NULL)
    uk_kafka_readers_take_kept(readers, link);
  return loan;
}

/* A loan of the reader that has one of the partitions; one of a hash that is the same by chance counts as well. */
static struct uk_kafka_loan *who_has(const struct uk_kafka_readers *readers,
                                     const struct uk_kafka_reader *reader,
                                     const struct uk_kafka_loan *loan)
{
  for (size_t i = 0; i < loan->count; i++) {
    uint64_t hash = loan->parts[i].hash;
    struct uk_kafka_part *part = readers->buckets[hash % UK_KAFKA_PART_BUCKETS];
    for (; part != NULL; part = part->next) {
      if (part->hash == hash && part->loan->reader == reader)
        return part->loan;
    }
  }
  return NULL;
}

static bool may_lend(const struct uk_kafka_reader *reader)
{
  return reader->handle != NULL && !reader->retired;
}

/* The reader with the fewest loans that has none of the partitions, or NULL. `in_the_way` is the oldest kept loan that
 * could make room. */
static struct uk_kafka_reader *choose(struct uk_kafka_readers *readers,
                                      const struct uk_kafka_loan *loan,
                                      const struct uk_kafka_loan **in_the_way)
{
  struct uk_kafka_reader *best = NULL;
  *in_the_way = NULL;
  for (size_t i = 0; i < UK_KAFKA_READERS; i++) {
    struct uk_kafka_reader *reader = &readers->readers[i];
    if (!may_lend(reader) || reader->loans >= UK_KAFKA_LOANS_EACH)
      continue;
    const struct uk_kafka_loan *other = who_has(readers, reader, loan);
    if (other == NULL && (best == NULL || reader->loans < best->loans))
      best = reader;
    if (other != NULL && other->kept &&
        (*in_the_way == NULL || other->expires < (*in_the_way)->expires))
      *in_the_way = other;
  }
  return best;
}

static struct uk_kafka_reader *free_place(struct uk_kafka_readers *readers)
{
  for (size_t i = 0; i < UK_KAFKA_READERS; i++) {
    if (readers->readers[i].handle == NULL)
      return &readers->readers[i];
  }
  return NULL;
}

static void attach(struct uk_kafka_readers *readers, struct uk_kafka_reader *reader,
                   struct uk_kafka_loan *loan, struct uk_kafka_task *task)
{
  loan->reader = reader;
  loan->handle = reader->handle;
  loan->settings = readers->settings;
  reader->loans++;
  for (size_t i = 0; i < loan->count; i++) {
    struct uk_kafka_part *part = &loan->parts[i];
    part->link = &readers->buckets[part->hash % UK_KAFKA_PART_BUCKETS];
    part->next = *part->link;
    if (part->next != NULL)
      part->next->link = &part->next;
    *part->link = part;
  }
  loan->queue = rd_kafka_queue_new(loan->handle);
  uk_kafka_queue_watch(loan->queue, task);
}

static void detach(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan)
{
  for (size_t i = 0; i < loan->count; i++) {
    struct uk_kafka_part *part = &loan->parts[i];
    *part->link = part->next;
    if (part->next != NULL)
      part->next->link = part->link;
  }
  loan->reader->loans--;
  loan->reader->idle_since = uk_clock_monotonic();
  if (loan->reader->loans == 0)
    uk_kafka_task_wake(&readers->task);
  wake_line(readers, WOKEN);
}

/* Makes a handle while the mutex is let go. NULL with a text when there is none to be had. */
static struct uk_kafka_reader *make_reader(struct uk_kafka_readers *readers, char *text,
                                           size_t size)
{
  readers->making = true;
  pthread_mutex_unlock(&readers->mutex);
  rd_kafka_t *handle = uk_kafka_handle_new(readers->settings, BROKER_WAIT, text, size);
  pthread_mutex_lock(&readers->mutex);
  readers->making = false;
  wake_line(readers, SIZE_MAX);
  if (handle == NULL)
    return NULL;
  struct uk_kafka_reader *reader = free_place(readers); /* no other could take it meanwhile */
  *reader = (struct uk_kafka_reader){.handle = handle};
  return reader;
}

/* The mutex is let go while the kept loan stops. */
static void stop_kept(struct uk_kafka_readers *readers, const struct uk_kafka_loan *in_the_way)
{
  struct uk_kafka_loan **link = &readers->kept;
  while (*link != in_the_way)
    link = &(*link)->next;
  struct uk_kafka_loan *loan = *link;
  uk_kafka_readers_take_kept(readers, link);
  pthread_mutex_unlock(&readers->mutex);
  uk_kafka_loan_stop(loan, SIZE_MAX);
  uk_kafka_readers_return(readers, loan);
  pthread_mutex_lock(&readers->mutex);
}

static enum uk_kafka_lent find_reader(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan,
                                      struct uk_kafka_turn *turn, char *text, size_t size)
{
  for (;;) {
    const struct uk_kafka_loan *in_the_way;
    struct uk_kafka_reader *reader = choose(readers, loan, &in_the_way);
    bool may_make = !readers->making && free_place(readers) != NULL;
    if (may_make && (reader == NULL || reader->loans >= LOANS_BEFORE)) {
      reader = make_reader(readers, text, size);
      if (reader == NULL)
        return UK_KAFKA_UNCONNECTED;
    }
    if (reader != NULL) {
      attach(readers, reader, loan, turn->task);
      return UK_KAFKA_LENT;
    }
    if (in_the_way == NULL || readers->making) {
      line_up(readers, turn);
      return UK_KAFKA_BUSY;
    }
    stop_kept(readers, in_the_way);
  }
}

/* For fetches. */

enum uk_kafka_lent uk_kafka_readers_lend(struct uk_kafka_readers *readers,
                                         const struct uk_kafka_position *positions, size_t count,
                                         struct uk_kafka_turn *turn, struct uk_kafka_loan **loan,
                                         char *text, size_t size)
{
  struct uk_kafka_loan *made = uk_kafka_loan_new(positions, count);
  enum uk_kafka_lent lent = UK_KAFKA_UNLENT;
  if (made == NULL)
    return lent;
  pthread_mutex_lock(&readers->mutex);
  leave_line(readers, turn);
  *loan = take_fitting(readers, positions, count);
  if (*loan != NULL) {
    uk_kafka_queue_watch((*loan)->queue, turn->task);
    lent = UK_KAFKA_LENT;
  } else {
    lent = find_reader(readers, made, turn, text, size);
    if (lent == UK_KAFKA_LENT)
      *loan = made;
  }
  pthread_mutex_unlock(&readers->mutex);
  if (*loan != made)
    free(made);
  return lent;
}

void uk_kafka_readers_leave(struct uk_kafka_readers *readers, struct uk_kafka_turn *turn)
{
  pthread_mutex_lock(&readers->mutex);
  leave_line(readers, turn);
  pthread_mutex_unlock(&readers->mutex);
}

void uk_kafka_readers_return(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan)
{
  pthread_mutex_lock(&readers->mutex);
  detach(readers, loan);
  pthread_mutex_unlock(&readers->mutex);
  free(loan);
}

void uk_kafka_readers_keep(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan)
{
  uk_kafka_queue_unwatch(loan->queue);
  pthread_mutex_lock(&readers->mutex);
  loan->expires = uk_clock_monotonic() + UK_KAFKA_KEEP;
  loan->kept = true;
  *readers->kept_end = loan;
  readers->kept_end = &loan->next;
  readers->kept_count++;
  uk_kafka_task_wake(&readers->task);
  pthread_mutex_unlock(&readers->mutex);
}

void uk_kafka_readers_retire(struct uk_kafka_readers *readers, struct uk_kafka_loan *loan)
{
  pthread_mutex_lock(&readers->mutex);
  loan->reader->retired = true;
  pthread_mutex_unlock(&readers->mutex);
}

static bool reads(const struct uk_kafka_loan *loan, struct uk_slice topic)
{
  for (size_t i = 0; i < loan->count; i++) {
    const rd_kafka_topic_t *its = loan->parts[i].topic;
    if (its != NULL && uk_slice_is(topic, rd_kafka_topic_name(its)))
      return true;
  }
  return false;
}

void uk_kafka_readers_forget(struct uk_kafka_readers *readers, struct uk_slice topic)
{
  pthread_mutex_lock(&readers->mutex);
  for (struct uk_kafka_loan *loan = readers->kept; loan != NULL; loan = loan->next) {
    if (reads(loan, topic))
      loan->expires = 0;
  }
  uk_kafka_task_wake(&readers->task);
  pthread_mutex_unlock(&readers->mutex);
}

/* Life. */

/* From the executor, after the task's last run: nothing may be touched once the mutex is let go. */
static void gone(struct uk_kafka_task *task)
{
  struct uk_kafka_readers *readers = (struct uk_kafka_readers *)task;
  pthread_mutex_lock(&readers->mutex);
  readers->ended = true;
  pthread_cond_signal(&readers->gone);
  pthread_mutex_unlock(&readers->mutex);
}

struct uk_kafka_readers *uk_kafka_readers_new(const struct uk_kafka_settings *settings,
                                              struct uk_kafka_executor *executor,
                                              struct uk_kafka_reaper *reaper)
{
  struct uk_kafka_readers *readers = calloc(1, sizeof *readers);
  if (readers == NULL)
    return NULL;
  readers->buckets = calloc(UK_KAFKA_PART_BUCKETS, sizeof(struct uk_kafka_part *));
  if (readers->buckets == NULL) {
    free(readers);
    return NULL;
  }
  readers->settings = settings;
  readers->reaper = reaper;
  readers->kept_end = &readers->kept;
  readers->line_end = &readers->line;
  pthread_mutex_init(&readers->mutex, NULL);
  pthread_cond_init(&readers->gone, NULL);
  uk_kafka_task_init(&readers->task, executor, uk_kafka_readers_run, gone);
  return readers;
}

void uk_kafka_readers_free(struct uk_kafka_readers *readers)
{
  pthread_mutex_lock(&readers->mutex);
  readers->closing = true;
  uk_kafka_task_wake(&readers->task);
  while (!readers->ended)
    pthread_cond_wait(&readers->gone, &readers->mutex);
  pthread_mutex_unlock(&readers->mutex);
  pthread_cond_destroy(&readers->gone);
  pthread_mutex_destroy(&readers->mutex);
  free(readers->buckets);
  free(readers);
}
