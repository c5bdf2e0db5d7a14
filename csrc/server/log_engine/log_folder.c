#include "server/log_engine/log_folder.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

/* What cannot be looked at passes: the open that follows says why. */
static bool is_other_kind(const char *path, const char *name)
{
  char file[PATH_MAX];
  struct stat status;
  return snprintf(file, sizeof file, "%s/%s", path, name) < (int)sizeof file &&
         stat(file, &status) == 0 && !S_ISREG(status.st_mode);
}

enum uk_error uk_log_folder_check(const char *path, const char *directory, char *message,
                                  size_t size)
{
  static const char *const names[] = {"server.lock", "identity", "identity.new",
                                      "data.mdb",    "lock.mdb", "reserve"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (is_other_kind(path, names[i])) {
      snprintf(message, size, "%s/%s is not a regular file", directory, names[i]);
      return UK_E_UNAVAILABLE;
    }
  }
  return UK_OK;
}
