/* log_reserve: bytes of the disk that are kept back, in the file `reserve` of the log's directory, so that deletions,
 * retention and commits go on when the disk is full: an environment needs new pages to free old ones. */
#ifndef UK_LOG_RESERVE_H
#define UK_LOG_RESERVE_H

#include <stddef.h>

/* Opens the file, made with mode 0600 when it is missing, and keeps what it can. Returns a descriptor for the calls
 * below and close, or -1: they do nothing with that. */
int uk_log_reserve_open(const char *directory, size_t bytes);

/* Takes back what the disk still has, `bytes` at most. */
void uk_log_reserve_fill(int reserve, size_t bytes);

/* Gives all of it to the disk. */
void uk_log_reserve_release(int reserve);

#endif
