#include "server/log_engine/log_structure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log_engine/pages/page_walk.h"

struct finding {
  const char *directory;
  char *message;
  size_t size;
  uint64_t count;
  bool is_foreign; /* of another version of LMDB, which LMDB refuses by name */
};

/* The first damage is told; the check finds the others. */
static void on_damage(void *context, uint64_t page, struct uk_slice table, const char *text)
{
  struct finding *finding = context;
  if (page == 0 && strcmp(text, "is of another version of LMDB") == 0)
    finding->is_foreign = true;
  if (finding->count++ > 0)
    return;
  snprintf(finding->message, finding->size,
           "the log in %s is damaged: page %" PRIu64 "%s%.*s %s; run upstash-kafka check %s",
           finding->directory, page, table.length > 0 ? " of the table " : "", (int)table.length,
           table.data, text, finding->directory);
}

enum uk_error uk_log_structure_check(int folder, const char *directory, char *message, size_t size)
{
  struct finding finding = {.directory = directory, .message = message, .size = size};
  const struct uk_page_visitor visitor = {.context = &finding, .damaged = on_damage};
  struct stat status;
  int file = openat(folder, "data.mdb", O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT)
    return UK_OK;
  if (file < 0 || fstat(file, &status) != 0) {
    snprintf(message, size, "cannot read %s/data.mdb: %s", directory, strerror(errno));
    if (file >= 0)
      close(file);
    return UK_E_UNAVAILABLE;
  }
  enum uk_error error = UK_OK;
  if (S_ISREG(status.st_mode) && status.st_size > 0)
    error = uk_page_walk(file, &visitor);
  close(file);
  if (finding.is_foreign)
    return UK_OK;
  if (error == UK_E_NO_MEMORY)
    snprintf(message, size, "out of memory while opening the log in %s", directory);
  else if (finding.count > 0)
    error = UK_E_UNAVAILABLE;
  return error;
}
