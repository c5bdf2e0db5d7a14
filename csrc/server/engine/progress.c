#include "server/engine/progress.h"

void uk_progress_forget(struct uk_progress *progress)
{
  *progress = (struct uk_progress){.position = UK_OFFSET_UNKNOWN,
                                   .delivered = UK_OFFSET_UNKNOWN,
                                   .committed = UK_OFFSET_UNKNOWN,
                                   .forwarded = UK_OFFSET_UNKNOWN};
}

void uk_progress_start(struct uk_progress *progress, int64_t offset)
{
  *progress = (struct uk_progress){
    .position = offset, .delivered = offset, .committed = offset, .forwarded = UK_OFFSET_UNKNOWN};
}

void uk_progress_pin(struct uk_progress *progress, int64_t offset)
{
  uk_progress_resume(progress, offset, UK_OFFSET_UNKNOWN);
}

void uk_progress_resume(struct uk_progress *progress, int64_t position, int64_t committed)
{
  *progress = (struct uk_progress){.position = position,
                                   .delivered = position,
                                   .committed = committed,
                                   .forwarded = UK_OFFSET_UNKNOWN,
                                   .committable = true};
}

void uk_progress_acknowledge(struct uk_progress *progress)
{
  progress->delivered = progress->position;
}

void uk_progress_take_back(struct uk_progress *progress)
{
  progress->position = progress->delivered;
}

int64_t uk_progress_commit(struct uk_progress *progress)
{
  progress->committed = progress->delivered;
  progress->overridden = false;
  return progress->delivered;
}

void uk_progress_refused(struct uk_progress *progress)
{
  progress->committed = UK_OFFSET_UNKNOWN;
}

void uk_progress_override(struct uk_progress *progress, int64_t offset)
{
  progress->committed = progress->delivered;
  progress->overridden = offset != progress->delivered;
  progress->forwarded = UK_OFFSET_UNKNOWN;
}

void uk_progress_cover(struct uk_progress *progress, int64_t offset, bool forward)
{
  int64_t least = forward ? progress->redelivery : progress->delivered;
  if (offset > progress->position)
    offset = progress->position;
  progress->redelivery = offset < least ? least : offset;
}

void uk_progress_forward(struct uk_progress *progress, int64_t offset)
{
  if (progress->forwarded < offset)
    progress->forwarded = offset;
}
