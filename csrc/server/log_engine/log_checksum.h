/* log_checksum: CRC-32C (Castagnoli). LMDB's pages have no checksum. */
#ifndef UK_LOG_CHECKSUM_H
#define UK_LOG_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Extends `checksum` (0 for no bytes) by these bytes. Uses the processor's instruction where there
 * is one. */
uint32_t uk_log_checksum(uint32_t checksum, const void *data, size_t length);

/* The same without the instruction: for processors that lack it, and for tests. */
uint32_t uk_log_checksum_portable(uint32_t checksum, const void *data, size_t length);

#endif
