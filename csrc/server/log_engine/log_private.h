/* log_private: the log, for its own files. */
#ifndef UK_LOG_PRIVATE_H
#define UK_LOG_PRIVATE_H

#include "server/log_engine/log.h"
#include "server/log_engine/log_answer.h"
#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_clock.h"
#include "server/log_engine/log_key_set.h"
#include "server/log_engine/log_keys.h"
#include "server/log_engine/log_stage.h"
#include "server/log_engine/log_store.h"
#include "server/watch/error_log.h"

enum {
  UK_LOG_TRANSACTION_BYTES = 8 << 20, /* of records; a single command may have more */
  UK_LOG_TRANSACTION_COMMANDS = 10000,
  UK_LOG_MAINTENANCE_MS = 1000,
  UK_LOG_LOOK_MS = 1000,          /* the folder's files are looked at this often */
  UK_LOG_SAVE_MS = 60 * 1000,     /* the identity is written this often, if it is behind */
  UK_LOG_MAINTENANCE_ROWS = 1000, /* rows removed in one transaction */
  UK_LOG_HANG_MS = 10000,         /* the disk is said not to answer after this */
  UK_LOG_WATCH_MS = 1000,         /* the watcher looks at a busy writer this often */
  UK_LOG_PROBLEM_MS = 10000       /* how long health reports a refusal for lack of room */
};

/* UK_LOG_HANG_MS. A test may lower it. */
extern _Atomic int64_t uk_log_hang_ms;

struct uk_log {
  size_t map_bytes;
  void (*changed)(void *context, struct uk_slice topic, int32_t partition);
  void *context;
  void (*notice)(const char *line);
  struct uk_log_store *store;
  struct uk_log_topics topics;

  pthread_t writer, watcher;
  bool has_threads;
  pthread_mutex_t mutex; /* guards the queue, the hand, the watch and the health */
  pthread_cond_t arrived;
  struct uk_list queue; /* of operations; the kind of each is in `engine_data` */
  size_t apart;         /* so many at its head have a transaction each, after failing together */
  struct uk_list hand;  /* of the current transaction; see uk_log_lock_hand */
  /* Idempotency keys of the hand, and of a transaction of which it is not known whether it came
   * through; each is one of `key_sets`. */
  struct uk_log_key_set *held, *doubtful;
  bool closing;
  bool ended;              /* the writer has */
  pthread_cond_t progress; /* `ended` or `pinned` has changed */

  /* The watch. */
  int64_t busy_since;  /* when the writer began its step, monotonic milliseconds; 0: it waits */
  int64_t told;        /* the step that was reported; 0: none */
  bool pinned;         /* the watcher uses the hand */
  bool watcher_sleeps; /* without a limit */
  bool watcher_stops;
  pthread_cond_t watch;                  /* wakes the watcher */
  bool shut;                             /* the environment is not open: a reopen failed */
  char problem[UK_LOG_FAILURE_MAX + 20]; /* "" when healthy */
  int64_t problem_until;                 /* monotonic milliseconds */
  struct uk_alarm failed;                /* the log is broken */
  atomic_bool told_fault;                /* of the store */
  struct uk_alarm hangs;
  struct uk_repeated no_room;

  /* The writer's own. */
  struct uk_log_clock clock;
  int64_t arrival; /* of the current transaction */
  struct uk_log_stage stage;
  struct uk_log_builder builder;
  struct uk_log_keys keys;
  struct uk_log_answer_writer answer;
  struct uk_buffer places; /* scratch of a replay */
  uint64_t *purges;        /* ids of deleted topics that still have rows */
  size_t purge_count, purge_capacity;
  int64_t next_maintenance;
  int64_t next_look; /* at the folder's files */
  int64_t next_save; /* of the identity */
  bool freed; /* maintenance freed pages; LMDB reuses them only in the transaction after the next */
  bool broken; /* a commit failed: nothing is written until the environment is opened again */

  struct uk_log_key_set key_sets[2];
};

/* The next command of a list; the first one after NULL. */
static inline struct uk_operation *uk_log_next(const struct uk_list *commands,
                                               const struct uk_operation *after)
{
  return after == NULL ? UK_LIST_FIRST(commands, struct uk_operation, link)
                       : UK_LIST_NEXT(commands, after, struct uk_operation, link);
}

static inline enum uk_log_command_kind uk_log_kind(const struct uk_operation *operation)
{
  return (enum uk_log_command_kind)(uintptr_t)operation->engine_data;
}

/* Fails the operation with the error and the text for the status. */
void uk_log_fail(struct uk_log *log, struct uk_operation *operation, enum uk_log_status status);

/* Fails a read with this error, and returns it. A log that cannot be used says why. */
enum uk_error uk_log_fail_read(struct uk_log *log, struct uk_operation *operation,
                               enum uk_error error);

/* Sets what health reports until then, and logs it; "" = nothing, INT64_MAX = until it is set
 * again. */
void uk_log_set_problem(struct uk_log *log, int64_t until, const char *text);

/* Replaces the table and the list of purges with what the store has. */
enum uk_log_status uk_log_load(struct uk_log *log);

/* Makes room for one more purge. False when memory is out. */
bool uk_log_make_purge_room(struct uk_log *log);

/* log_watch: notices a disk that hangs. The writer works in steps. When one takes longer than
 * UK_LOG_HANG_MS, the watcher logs that, tells the commands in the writer's hand that they are
 * late, and refuses those in the queue. */

/* The writer begins a step that may need the disk, or has nothing to do. */
void uk_log_mark_busy(struct uk_log *log, bool busy);

/* The same. Precondition: the caller holds the mutex. */
void uk_log_begin_step(struct uk_log *log);

/* Locks the mutex, once the watcher does not use the hand. The writer changes the hand, and ends
 * its commands, only after that. It reads the hand at any time. */
void uk_log_lock_hand(struct uk_log *log);

/* The milliseconds for which the disk has not answered the writer; 0 if that is not long.
 * Precondition: the caller holds the mutex. */
int64_t uk_log_hangs_for(const struct uk_log *log);
void uk_log_describe_hang(char *text, size_t size, int64_t milliseconds);

/* Fails an operation that waits for the writer, or would. `doubtful`: see uk_log_is_doubtful. */
void uk_log_fail_hung(struct uk_operation *operation, bool doubtful, int64_t hangs);

/* Reports the current step if it has hung for long and was not reported yet. */
void uk_log_watch_look(struct uk_log *log);

/* The thread. */
void *uk_log_watch_run(void *log);
void uk_log_watch_stop(struct uk_log *log);

/* After these the environment must be opened again. */
static inline bool uk_log_breaks(enum uk_log_status status)
{
  return status == UK_LOG_FAILED || status == UK_LOG_UNCERTAIN;
}

/* log_recovery, for the writer's thread. */

/* Nothing is written any more, until the log has recovered. Health says why. */
void uk_log_set_broken(struct uk_log *log);

/* Opens the environment again. */
enum uk_log_status uk_log_reopen(struct uk_log *log);

/* A write that stopped short on a full disk looks like a failed sync. So the environment is opened
 * again, and the status is that of a full disk. Nothing was committed: the tables stand. Returns
 * other statuses as they are. */
enum uk_log_status uk_log_resolve_full(struct uk_log *log, enum uk_log_status status);

/* True when `*status` says that there is no room and the reserve is open now: the caller repeats
 * what failed. */
bool uk_log_open_reserve(struct uk_log *log, enum uk_log_status *status);

/* Runs a transaction that changes nothing. */
enum uk_log_status uk_log_probe(struct uk_log *log);

/* Before the first command: begins the log's new life, or makes it one of format 2, if it must. If
 * that fails, it is tried again before the next command. */
void uk_log_settle(struct uk_log *log);

/* True when the log can take a transaction. A broken one is opened again first. */
bool uk_log_is_ready(struct uk_log *log);

/* After UK_LOG_UNCERTAIN, which has broken the log: opens it again and looks. UK_LOG_OK: the
 * transaction is in the log. UK_LOG_FAILED: it is not, and never will be. Either way the log works
 * again. UK_LOG_UNCERTAIN: that cannot be told now, and the log is still broken. The table is left
 * alone: it is as the log was before the transaction. */
enum uk_log_status uk_log_resolve(struct uk_log *log);

/* log_transaction: stages the commands, writes, and commits. A status that breaks the log has done
 * so, unless the log works again: then UK_LOG_FAILED says only that nothing was carried out. */
enum uk_log_status uk_log_transact(struct uk_log *log, const struct uk_list *commands);

/* log_replay: idempotency keys in a transaction. */

void uk_log_init_keys(struct uk_log *log, int64_t window, const struct uk_log_key_limits *limits);
void uk_log_free_keys(struct uk_log *log);

/* The key of a produce; NULL when it has none, or the log keeps none. */
const struct uk_produce_key *uk_log_key_of(const struct uk_log *log,
                                           const struct uk_operation *operation);

/* Before the command is staged, inside of its transaction. `*known`: it has its results or has
 * failed, and is not staged. A status other than UK_LOG_OK ends the transaction. */
enum uk_log_status uk_log_look_up(struct uk_log *log, struct uk_operation *operation, bool *known);

/* Keeps the answers of the staged commands that have keys. */
enum uk_log_status uk_log_keep_answers(struct uk_log *log, const struct uk_list *commands);

/* True when a command with this key may have been carried out, or may be yet: it is in the hand, or
 * in a transaction whose outcome is unknown. Precondition: the caller holds the mutex. */
bool uk_log_is_doubtful(const struct uk_log *log, const struct uk_operation *operation);

/* The outcome of the hand is unknown. */
void uk_log_doubt_keys(struct uk_log *log);
/* It is known again. */
void uk_log_trust_keys(struct uk_log *log);

/* log_maintenance: one bounded step of removing deleted and expired rows. `*more` is true when
 * there is more to do at once. Returns the status of its commit. */
enum uk_log_status uk_log_maintain(struct uk_log *log, bool *more);
/* At the end: a log that is closed has all rows of its keys. If it fails, the next open queues
 * these keys again. */
void uk_log_write_queued_keys(struct uk_log *log);

/* True when time alone may give maintenance something to do. */
bool uk_log_needs_maintenance(const struct uk_log *log);

/* log_writer: works until the log is closing and no command is left. */
void uk_log_writer_run(struct uk_log *log);

#endif
