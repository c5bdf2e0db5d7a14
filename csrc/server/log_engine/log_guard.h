/* log_guard: what LMDB does with a damaged file ends the thread's step, not the process. A file
 * that is cut while it is mapped gives SIGBUS, a page of noise SIGSEGV or an assertion of LMDB.
 *
 *   struct uk_log_guard guard = {.writes = false};
 *   if (UK_LOG_GUARD(&guard)) {
 *     ...                            calls of LMDB, reads of mapped memory; no return, no lock
 *     uk_log_guard_leave(&guard);
 *   } else {
 *     ...                            `guard.text` says what happened; LMDB's state is lost
 *   }
 *
 * After SIGSEGV or an assertion inside a write the memory of the process may be damaged, because
 * LMDB writes where pages tell it to: there the process ends with a line on standard error. */
#ifndef UK_LOG_GUARD_H
#define UK_LOG_GUARD_H

#include <setjmp.h>
#include <stdbool.h>

struct uk_log_guard {
  bool writes; /* a write transaction is under way */
  char text[200];
  sigjmp_buf jump;
  struct uk_log_guard *outer; /* of this thread */
};

/* Installs the handlers of SIGBUS and SIGSEGV, the first time that it is called. They pass on what
 * does not belong to a guard to the handlers that were there before. */
void uk_log_guard_install(void);

/* False after a fault. */
#define UK_LOG_GUARD(guard) (uk_log_guard_enter(guard), sigsetjmp((guard)->jump, 0) == 0)

void uk_log_guard_enter(struct uk_log_guard *guard);
void uk_log_guard_leave(struct uk_log_guard *guard);

/* An assertion failed, in this thread. Returns only when no guard is there. */
void uk_log_guard_assert(const char *text);

#endif
