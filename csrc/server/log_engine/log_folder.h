/* log_folder: whether what a data folder holds under the names of a log's files are files. */
#ifndef UK_LOG_FOLDER_H
#define UK_LOG_FOLDER_H

#include <stddef.h>

#include "common/error.h"

/* Opens nothing: to open a named pipe waits for its other end, without end. A file that is missing
 * passes, and so does a symbolic link to a regular file. `path` is the folder, `directory` its name
 * for the message. UNAVAILABLE: a file is not regular, and `message` names it. */
enum uk_error uk_log_folder_check(const char *path, const char *directory, char *message,
                                  size_t size);

#endif
