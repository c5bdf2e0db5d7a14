/* fake_log: a log in memory for tests of groups. A record is its offset. Nothing here allocates; any thread may call. */
#ifndef FAKE_LOG_H
#define FAKE_LOG_H

#include "server/groups/groups.h"

enum { FAKE_PARTITIONS = 1024, FAKE_NAME = 300 };

void fake_log_reset(void);
struct uk_groups_log fake_log(void);

/* Makes the topic, again under another id, or changes its number of partitions; 0 deletes it. Wakes nobody. */
void fake_topic(const char *topic, int32_t partitions);
/* Appends records and says where the first one is. */
int64_t fake_produce(const char *topic, int32_t partition, int64_t count);
/* Drops what is before. */
void fake_retain(const char *topic, int32_t partition, int64_t first);

/* Commits are kept back until fake_finish, which says how they end, in order; at most `most`. Returns how many. */
void fake_hold_commits(bool hold);
int fake_finish(int most, enum uk_error error, const char *message);
int fake_commits(void);             /* calls of commit so far */
const char *fake_last_commit(void); /* what the last one named: "t:0=3 u:1=7" */
int64_t fake_committed(const char *group, const char *topic, int32_t partition);

/* The next look-ups of committed offsets fail; the next read fails, with a message of its own unless that is NULL; the
 * next read finds no record although the bounds promise some. */
void fake_fail_committed(enum uk_error error, int times);
void fake_fail_read(enum uk_error error, const char *message);
void fake_read_nothing(void);
/* Called at the end of the next read, by the thread that reads. */
void fake_during_read(void (*call)(void));

#endif
