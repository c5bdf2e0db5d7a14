/* directory: creates directories that survive a power cut. */
#ifndef UK_DIRECTORY_H
#define UK_DIRECTORY_H

/* Creates the directory and its parents, with mode 0700, where they do not exist yet, and syncs the
 * entry of each level into the level above it: an earlier run may have created it and then lost its
 * power. Returns 0 or an errno. */
int uk_directory_make(const char *path);

/* Syncs the entries of a directory. Returns 0 or an errno; 0 too where it is impossible: on some
 * file systems, and without the permission to read the directory. */
int uk_directory_sync(const char *path);

#endif
