/* log_engine: the default engine: the embedded log, groups over it, and the waiting. */
#ifndef UK_LOG_ENGINE_H
#define UK_LOG_ENGINE_H

#include "server/engine/engine.h"

struct uk_log_engine_options {
  const char *directory;
  size_t map_bytes;
  int32_t partitions;
  bool auto_create;
  bool no_sync;
};

/* UK_OK and *engine, or an error and a text in `message`. */
enum uk_error uk_log_engine_open(struct uk_engine **engine,
                                 const struct uk_log_engine_options *options, char *message,
                                 size_t size);

#endif
