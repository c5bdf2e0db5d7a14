/* call_log: what fakes were called for, as one text. */
#ifndef CALL_LOG_H
#define CALL_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Appends to the log, a text in `size` bytes, what fits. */
__attribute__((format(printf, 3, 4))) static inline void call_log_add(char *log, size_t size,
                                                                      const char *format, ...)
{
  size_t length = strlen(log);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(log + length, size - length, format, arguments);
  va_end(arguments);
}

#endif
