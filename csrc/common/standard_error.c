#include "common/standard_error.h"

#include <poll.h>
#include <unistd.h>

void uk_standard_error_write(const char *line, size_t length)
{
  struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
  if (poll(&out, 1, 0) == 1 && write(STDERR_FILENO, line, length) < 0)
    return;
}
