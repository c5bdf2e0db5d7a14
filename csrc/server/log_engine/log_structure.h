/* log_structure: whether LMDB can be trusted with a log's file. LMDB believes what its pages say:
 * on a damaged one it reads beyond the file or ends the process. So every page that it goes by is
 * looked at before it opens the file. */
#ifndef UK_LOG_STRUCTURE_H
#define UK_LOG_STRUCTURE_H

#include <stddef.h>

#include "common/error.h"

/* Looks at data.mdb in the open directory `folder`. What a file that is missing or empty means is
 * for others to say. UNAVAILABLE: it is damaged, and `message` names the first damaged page.
 * NO_MEMORY. Reads the pages of branches and leaves, and of larger values only a header. */
enum uk_error uk_log_structure_check(int folder, const char *directory, char *message, size_t size);

#endif
