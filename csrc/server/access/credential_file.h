/* credential_file: reads the file of credentials: one JSON object a line.
 *
 *   {"user": String, "secrets": [String], "permission": "full"|"produce"|"consume"|"monitor",
 *    "topics": [String], "groups"?: [String]}
 *
 * Empty lines are ignored. Nothing else is: a file that means something else than its owner thinks
 * must not be used. */
#ifndef UK_CREDENTIAL_FILE_H
#define UK_CREDENTIAL_FILE_H

#include "server/access/credentials.h"

enum {
  UK_CREDENTIAL_FILE_MAX = 64 << 20, /* bytes */
  UK_CREDENTIAL_LINE_MAX = 1 << 20
};

/* Identifies a version of a file. */
struct uk_file_version {
  uint64_t device, inode, size;
  int64_t seconds, nanoseconds; /* of its last change, also of its mode */
  int error;                    /* an errno if there is none */
};

void uk_file_version_read(struct uk_file_version *version, const char *path);
bool uk_file_version_equal(const struct uk_file_version *a, const struct uk_file_version *b);

/* Adds the credentials of the text, which it changes, to the set. On an error the set may have some
 * of them, and `message` names the line and the field, but never shows a value of "secrets". */
enum uk_error uk_credential_file_parse(struct uk_credentials *credentials, char *text,
                                       size_t length, char *message, size_t size);

/* The same for a file. Also BAD_REQUEST if somebody but its owner (this user or root) may write it,
 * or somebody but its owner and its group may read it. */
enum uk_error uk_credential_file_read(struct uk_credentials *credentials, const char *path,
                                      char *message, size_t size);

#endif
