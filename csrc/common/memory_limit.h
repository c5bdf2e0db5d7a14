/* memory_limit: how much memory the processes of this machine or container may use. */
#ifndef UK_MEMORY_LIMIT_H
#define UK_MEMORY_LIMIT_H

#include <stddef.h>

/* The smallest of the machine's memory and the limits of the process's control groups, version 1
 * and 2, in bytes. A limit that cannot be read does not count. `root` is put before the paths of
 * /proc and /sys: "" except in tests. */
size_t uk_memory_limit(const char *root);

#endif
