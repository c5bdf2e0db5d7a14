/* standard_error: writes lines to standard error without ever blocking. */
#ifndef UK_STANDARD_ERROR_H
#define UK_STANDARD_ERROR_H

#include <stddef.h>

/* Writes one line, with its newline, at once. Drops it if the pipe is full or closed: a reader that
 * does not read must not stop the program. */
void uk_standard_error_write(const char *line, size_t length);

#endif
