/* hang_rig: a disk whose syncs hang, and operations that learn that they are late. */
#ifndef HANG_RIG_H
#define HANG_RIG_H

#include <stdatomic.h>

#include "server/log_engine/log.h"

/* What a test's own fdatasync returns. */
int hang_rig_sync(int fd);

/* The next sync waits, until answer_again. */
void hang_next(void);
void wait_until_hung(void);

/* From now on the log says that the disk hangs. */
void hang_for_long(void);

/* The disk answers, and the log's patience is what it was. */
void answer_again(void);

/* The next sync fails. */
void fail_next(void);
bool is_failing(void);

/* An operation that ends on another thread, and what it points to. */
struct asked {
  union {
    struct uk_operation operation;
    struct uk_produce produce;
    struct uk_log_commit log_commit;
    struct uk_create_topic create;
    struct uk_delete_topic delete;
    struct uk_consume consume;
    struct uk_commit commit;
    struct uk_delete_consumer delete_consumer;
  };
  struct uk_record record;
  struct uk_topic_partition_offset at;
  struct uk_slice topic;
  atomic_int lates, ends;
  char late_text[UK_MESSAGE_SIZE];
};

/* Zeroed, with callbacks that count. Aborts when memory is out. */
struct asked *new_asked(void);

/* For `late`: notes the text, and counts. */
void note_late(struct uk_operation *operation, const char *message);

/* The text with 0 for the number of seconds, which is the machine's. */
const char *without_seconds(const char *text);

/* Waits for the end, checks it and frees the operation: nothing may use it any more. */
void check_end_of(struct asked *asked, enum uk_error error, const char *message);

#define HUNG "the disk has not answered for 0 s"
#define MAY_BE_DONE HUNG "; the request may have been carried out"

#endif
