/* fake_log: a log in memory for tests of groups. A record is its offset. Nothing here allocates;
 * any thread may call. */
#ifndef FAKE_LOG_H
#define FAKE_LOG_H

#include "server/groups/groups.h"

enum { FAKE_PARTITIONS = 1024, FAKE_NAME = 300 };

void fake_log_reset(void);
struct uk_groups_log fake_log(void);

/* Makes the topic, under a new id, or changes its number of partitions; 0 deletes it. Wakes
 * nobody. */
void fake_topic(const char *topic, int32_t partitions);
/* Appends records, and returns the offset of the first one. */
int64_t fake_produce(const char *topic, int32_t partition, int64_t count);
/* Removes the records before `first`. */
void fake_retain(const char *topic, int32_t partition, int64_t first);

/* Holds commits until fake_finish, which ends `most` of them, in order, with the error. Returns how
 * many it ended. */
void fake_hold_commits(bool hold);
int fake_finish(int most, enum uk_error error, const char *message);
int fake_commits(void);             /* calls of commit */
const char *fake_last_commit(void); /* the offsets of the last one */
int64_t fake_committed(const char *group, const char *topic, int32_t partition);

/* The next look-ups of committed offsets fail. The next read fails, with a message of its own
 * unless that is NULL. */
void fake_fail_committed(enum uk_error error, int times);
void fake_fail_read(enum uk_error error, const char *message);
/* The next read ends after so many records, as before damage. */
void fake_read_most(int64_t records);
/* Called at the end of the next read, on its thread. */
void fake_during_read(void (*call)(void));
/* Called at the start of the next commit, on its thread. */
void fake_during_commit(void (*call)(void));

#endif
