/* secret_file: a file with a secret in its first line, which nobody but its owner may read. */
#ifndef UK_SECRET_FILE_H
#define UK_SECRET_FILE_H

#include <stddef.h>

enum uk_secret { UK_SECRET_READ, UK_SECRET_NONE, UK_SECRET_REFUSED };

/* Reads the first line, without its newline, as a string. NONE: there is no file. REFUSED: the file
 * or its folder is another user's (a folder of root is fine), others may read or change it, it is a
 * symbolic link or no regular file, or the line does not fit; `message` says which, and what to do.
 * A folder that everybody may write counts as safe if it has the sticky bit. */
enum uk_secret uk_secret_read(char *secret, size_t secret_size, const char *path, char *message,
                              size_t size);

/* Creates the file with mode 0600; never changes an existing one (EEXIST). It writes a temporary
 * file, then links it: a reader sees all of the file or none, even after a crash. Returns 0 or an
 * errno. */
int uk_secret_write(const char *path, const char *text, size_t length);

#endif
