/* log_engine: the default engine: the embedded log, groups on top of it, and the notifier. */
#ifndef UK_LOG_ENGINE_H
#define UK_LOG_ENGINE_H

#include "server/engine/engine.h"

struct uk_log_engine_options {
  const char *directory;
  size_t map_bytes;
  int32_t partitions;
  bool auto_create;
  bool no_sync;
  int64_t idempotency_window; /* milliseconds for which the key of a produce is kept; 0: not */
};

/* Returns UK_OK and sets *engine, or returns an error and puts a text into `message`. */
enum uk_error uk_log_engine_open(struct uk_engine **engine,
                                 const struct uk_log_engine_options *options, char *message,
                                 size_t size);

#endif
