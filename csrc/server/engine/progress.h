/* progress: how far one consumer instance is in one partition. The at-least-once promise, for every
 * engine; pure: no lock, no I/O.
 *
 *        committed       delivered        position
 *   -----------|---------------|----------------|----------->
 *                to be committed    in flight     not read yet
 *
 * What is in flight belongs to the instance's outstanding batch (deliveries.h), and counts as
 * delivered when the batch is acknowledged or ends. Only delivered records are committed, so an
 * owner that starts at the committed offset repeats records, but misses none.
 *
 *   delivered <= position, and one is unknown exactly when the other is.
 *
 * Each function names its precondition, if it has one; none can fail. */
#ifndef UK_PROGRESS_H
#define UK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define UK_OFFSET_UNKNOWN INT64_C(-1)

struct uk_progress {
  int64_t position;   /* the next offset to deliver */
  int64_t delivered;  /* the client has every record before this offset */
  int64_t committed;  /* the last `delivered` that was sent to be committed, or that an explicit
                        commit stands for; unknown when nothing was, or when it was refused */
  int64_t forwarded;  /* the highest offset of a forward commit since the last explicit one; unknown
                        when there was none. No auto-commit goes below it. */
  int64_t redelivery; /* where the records in flight start that the client may still need: from
                         `delivered` up to `position`, if any are in flight */
  bool committable;   /* `delivered` says more than the committed offset and the reset policy would:
                        records were read, or `latest` chose the position */
  bool overridden;    /* the last commit was an explicit one of another offset than `delivered` */
};

/* Nothing is known: the offset has to be looked up. */
void uk_progress_forget(struct uk_progress *progress);

/* Starts at an offset that a later look-up would find again: the group's committed offset, or the
 * one that `earliest` chose. There is nothing to commit. */
void uk_progress_start(struct uk_progress *progress, int64_t offset);

/* Starts at an offset that a later look-up would not find again, as `latest` chooses it. It is to
 * be committed although no record was read, or the records that come until then would be lost. */
void uk_progress_pin(struct uk_progress *progress, int64_t offset);

/* Continues where another server stopped: it had delivered up to `position`, and committed less. */
void uk_progress_resume(struct uk_progress *progress, int64_t position, int64_t committed);

/* Records from offset `from` up to before `next` are on their way to the client. Precondition: the
 * position is unknown, or at most `from`. */
static inline void uk_progress_advance(struct uk_progress *progress, int64_t from, int64_t next)
{
  if (progress->delivered == progress->position)
    progress->redelivery = from;
  if (progress->delivered == UK_OFFSET_UNKNOWN)
    progress->delivered = from;
  progress->position = next;
  progress->committable = true;
}

/* The batch is acknowledged, or ends: everything in flight is delivered. */
void uk_progress_acknowledge(struct uk_progress *progress);

/* The owner ends: everything in flight must be delivered to the next one. */
void uk_progress_take_back(struct uk_progress *progress);

/* The commit point: returns the offset to commit, and counts it as committed from now on.
 * Precondition: committable. */
int64_t uk_progress_commit(struct uk_progress *progress);

/* The commit was refused: the next one tries again. */
void uk_progress_refused(struct uk_progress *progress);

/* An explicit commit of `offset`: this is what counts, until more is delivered. Precondition: the
 * position is known. It does not move: the client keeps reading where it was. */
void uk_progress_override(struct uk_progress *progress, int64_t offset);

/* The group has committed `offset` while records may be in flight: the client needs none below it
 * again. A forward commit never says less than the one before. */
void uk_progress_cover(struct uk_progress *progress, int64_t offset, bool forward);

/* A commit that moves none back has reached `offset`, at least. */
void uk_progress_forward(struct uk_progress *progress, int64_t offset);

static inline bool uk_progress_is_known(const struct uk_progress *progress)
{
  return progress->position != UK_OFFSET_UNKNOWN;
}

static inline bool uk_progress_in_flight(const struct uk_progress *progress)
{
  return progress->position != progress->delivered;
}

/* An auto-commit has something to commit. */
static inline bool uk_progress_is_dirty(const struct uk_progress *progress)
{
  return progress->committable && progress->delivered != progress->committed &&
         progress->delivered > progress->forwarded;
}

/* The next owner may continue at `delivered`, without a look-up of the committed offset. */
static inline bool uk_progress_continues(const struct uk_progress *progress)
{
  return uk_progress_is_known(progress) && !progress->overridden &&
         progress->delivered >= progress->forwarded;
}

#endif
