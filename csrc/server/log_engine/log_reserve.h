/* log_reserve: disk space that the file `reserve` in the log's directory holds back, so that
 * deletions, retention and commits still work when the disk is full: LMDB needs new pages to free
 * old ones. */
#ifndef UK_LOG_RESERVE_H
#define UK_LOG_RESERVE_H

#include <stddef.h>

/* The maximum size of this process's files, beyond which SIGXFSZ would end it; SIZE_MAX without a
 * limit. */
size_t uk_log_largest_file(void);

/* Opens the file (created with mode 0600 if missing) and reserves what the disk has. Returns a file
 * descriptor for the calls below and for close, or -1, with which they do nothing. */
int uk_log_reserve_open(const char *directory, size_t bytes);

/* Reserves what the disk has now, `bytes` at most. */
void uk_log_reserve_fill(int reserve, size_t bytes);

/* Gives all of it back to the disk. */
void uk_log_reserve_release(int reserve);

#endif
