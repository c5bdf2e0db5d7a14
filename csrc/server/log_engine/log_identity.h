/* log_identity: the file `identity` of a data folder. It says which log the folder holds and how
 * far that log had come, and stays when data.mdb is cut, emptied, removed or replaced by a copy.
 *
 *   upstash-kafka log 2
 *   id 0123456789abcdef0123456789abcdef     of the log: 128 random bits, for ever
 *   life 3                                  the number of the log's life (log_store.h)
 *   transaction 4711                        the newest transaction that this file knows of
 *   topics 1001                             topics may have had every id below; 1: there was none
 *   checksum 89abcdef                       CRC-32C of everything above
 *
 * The file is replaced as a whole: a crash leaves the old one or the new one. To change it: the
 * first line's number is that of the log's format (log_store.h). */
#ifndef UK_LOG_IDENTITY_H
#define UK_LOG_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UK_LOG_ID_BYTES = 16 };

struct uk_log_identity {
  uint8_t id[UK_LOG_ID_BYTES];
  uint32_t life;
  uint64_t transaction;
  uint64_t topics;
};

enum uk_log_identity_result {
  UK_LOG_IDENTITY_OK,
  UK_LOG_IDENTITY_MISSING,
  UK_LOG_IDENTITY_DAMAGED,
  UK_LOG_IDENTITY_FAILED /* errno says why */
};

/* Reads the file in the open directory `folder`. */
enum uk_log_identity_result uk_log_identity_read(int folder, struct uk_log_identity *identity);

/* Replaces the file; with `sync` it is on the disk afterwards. 0 or an errno, and then the old file
 * stays. */
int uk_log_identity_write(int folder, const struct uk_log_identity *identity, bool sync);

#endif
