#include "common/memory_limit.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = PATH_MAX + 256 };

/* Where a version of control groups keeps its limits. */
struct hierarchy {
  const char *controllers; /* in the second field of /proc/self/cgroup */
  const char *mount, *file;
};

static const struct hierarchy hierarchies[] = {
  {"", "/sys/fs/cgroup", "memory.max"},
  {"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
};

static size_t machine_memory(void)
{
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0)
    return SIZE_MAX;
  return (size_t)pages > SIZE_MAX / (size_t)page ? SIZE_MAX : (size_t)pages * (size_t)page;
}

/* The number in a file; SIZE_MAX if it cannot be read, or says "max". */
static size_t read_limit(const char *path)
{
  uintmax_t limit = 0;
  FILE *file = fopen(path, "re");
  const bool found = file != NULL && fscanf(file, "%" SCNuMAX, &limit) == 1;
  if (file != NULL)
    fclose(file);
  return found && limit > 0 && limit < SIZE_MAX ? (size_t)limit : SIZE_MAX;
}

static size_t smaller(size_t a, size_t b)
{
  return a < b ? a : b;
}

/* The smallest limit of a group and those around it. `group` is cut on the way. In a container the
 * path may be that of the host; the mounted root is then the container's own group. */
static size_t group_limit(const char *root, const struct hierarchy *hierarchy, char *group)
{
  char path[2 * LINE_SIZE];
  size_t limit = SIZE_MAX;
  for (;;) {
    snprintf(path, sizeof path, "%s%s%s/%s", root, hierarchy->mount, group, hierarchy->file);
    limit = smaller(limit, read_limit(path));
    char *slash = strrchr(group, '/');
    if (slash == NULL)
      return limit;
    *slash = '\0';
  }
}

static bool has_word(const char *list, size_t length, const char *word)
{
  const size_t word_length = strlen(word);
  if (word_length == 0)
    return length == 0;
  for (const char *at = list; at < list + length;) {
    const size_t item = strcspn(at, ",:");
    if (item == word_length && memcmp(at, word, item) == 0)
      return true;
    at += item + 1;
  }
  return false;
}

/* Reads a line of /proc/self/cgroup: "number:controllers:path". */
static size_t line_limit(const char *root, char *line)
{
  size_t limit = SIZE_MAX;
  line[strcspn(line, "\n")] = '\0';
  const char *controllers = strchr(line, ':');
  char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
  if (path == NULL)
    return limit;
  controllers++;
  for (size_t i = 0; i < sizeof hierarchies / sizeof *hierarchies; i++) {
    if (has_word(controllers, (size_t)(path - controllers), hierarchies[i].controllers))
      limit = smaller(limit, group_limit(root, &hierarchies[i], path + 1));
  }
  return limit;
}

size_t uk_memory_limit(const char *root)
{
  char line[LINE_SIZE];
  size_t limit = machine_memory();
  snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
  FILE *file = fopen(line, "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    limit = smaller(limit, line_limit(root, line));
  if (file != NULL)
    fclose(file);
  return limit;
}
