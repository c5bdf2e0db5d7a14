#include <stdarg.h>
#include <stdio.h>

#include "server/engine.h"

void uk_operation_fail(struct uk_operation *operation, enum uk_error error, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(operation->message, sizeof operation->message, format, arguments);
  va_end(arguments);
  operation->error = error;
}
