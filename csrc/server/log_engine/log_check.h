/* log_check: looks at every page and every row of a log's folder, without LMDB and without the
 * server, and copies out what is whole. It believes nothing that it reads, and changes nothing in
 * the folder that it checks. */
#ifndef UK_LOG_CHECK_H
#define UK_LOG_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct uk_log_check {
  const char *directory;
  const char *salvage; /* NULL, or the folder to make for what is whole; it may not exist */
  void *context;
  /* A line for each damage: "TABLE: topic "NAME" partition N offsets A to B: what". */
  void (*damaged)(void *context, const char *line);
  /* A line for what is worth knowing, and is no damage. */
  void (*note)(void *context, const char *line);
  /* From time to time: pages looked at, and all pages. May be NULL. */
  void (*progress)(void *context, uint64_t pages, uint64_t all);
};

/* What was found whole, and the number of lines of damage. */
struct uk_log_check_result {
  uint64_t bytes; /* of the file */
  uint64_t topics, batches, records, committed;
  uint64_t damaged;
};

/* Takes the folder's lock for as long as it runs, where the folder has the file. UK_OK when it came
 * to its end, whatever it found. Otherwise a text is in `message`, and `salvage` does not exist:
 * UNAVAILABLE: the folder is in use, is not one of a log, or cannot be read; NO_MEMORY. Memory: 1
 * to 3 bytes for each batch. */
enum uk_error uk_log_check(const struct uk_log_check *check, struct uk_log_check_result *result,
                           char *message, size_t size);

#endif
