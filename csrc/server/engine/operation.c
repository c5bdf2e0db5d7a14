#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "server/engine/engine.h"

void uk_operation_fail(struct uk_operation *operation, enum uk_error error, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(operation->message, sizeof operation->message, format, arguments);
  va_end(arguments);
  operation->error = error;
}

bool uk_create_topic_fits(struct uk_create_topic *operation, int32_t partitions,
                          int64_t retention_ms, int64_t retention_bytes)
{
  const struct {
    const char *name;
    bool asked;
    int64_t want, have;
  } settings[] = {
    {"partitions", operation->partitions != -1, operation->partitions, partitions},
    {"retention_ms", operation->has_retention_ms, operation->retention_ms, retention_ms},
    {"retention_bytes", operation->has_retention_bytes, operation->retention_bytes,
     retention_bytes},
  };
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
    if (settings[i].asked && settings[i].want != settings[i].have) {
      uk_operation_fail(&operation->operation, UK_E_CONFLICT,
                        "topic \"%.*s\" exists with %s %" PRId64 ", not %" PRId64,
                        (int)operation->topic.length, operation->topic.data, settings[i].name,
                        settings[i].have, settings[i].want);
      return false;
    }
  }
  return true;
}
