/* log_check_rig: shared by the tests of log_check: a small log in rig_directory(), what a check
 * tells of it, and what a salvage makes of it. */
#ifndef LOG_CHECK_RIG_H
#define LOG_CHECK_RIG_H

#include "server/log_engine/log.h"
#include "server/log_engine/log_check.h"

/* What the last check told, each line with its end. */
extern struct checked {
  char told[8000], notes[4000], message[600];
  struct uk_log_check_result result;
  uint64_t pages, all;     /* of the last progress */
  void (*meanwhile)(void); /* called with each progress, unless NULL */
  char target[500];        /* the folder of a salvage */
} checked;

/* A closed log. Topic "a": in partition 0 three batches of 2, 1 and 3 records, with the timestamps
 * 1000, 2000 and 3000; in partition 1 one record. Topic "b": one record. The IDs are 1 and 2. The
 * group "readers" has committed the ends of "a". */
void checked_write_log(void);

/* Checks the log; `salvage` may be NULL. */
enum uk_error checked_into(const char *salvage);
/* The same of another folder, without progress. */
enum uk_error checked_folder(const char *directory, const char *salvage);
/* A check tells exactly these lines of damage. */
void checked_tells(const char *lines);

/* The folder beside rig_directory() that a salvage makes. */
const char *checked_target(void);
void checked_salvage(void);
struct uk_log *checked_open_target(void);
void checked_remove_target(void);

/* The partition has these bounds and values. */
void checked_log(struct uk_log *log, const char *topic, int32_t partition, int64_t want_first,
                 int64_t want_end, const char *text);
/* What "readers" have committed. */
int64_t checked_committed(struct uk_log *log, const char *topic, int32_t partition);

#endif
