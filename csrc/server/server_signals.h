/* server_signals: the signals of a process that is a server. SIGTERM and SIGINT end it; SIGHUP,
 * SIGUSR1, SIGUSR2 and SIGPIPE must not: a log rotation or a terminal that closes sends them. Nor
 * must SIGXFSZ: a write beyond the limit on the size of files fails instead. */
#ifndef UK_SERVER_SIGNALS_H
#define UK_SERVER_SIGNALS_H

#include <stdint.h>

#define UK_NOTHING_RELOADED "SIGHUP: nothing was reloaded; the options are those of the start"

/* Blocks all of them in this thread and in the threads that it starts. Returns an errno. */
int uk_server_signals_block(void);

/* Waits for SIGTERM or SIGINT and stores which one it was. Calls `hang_up` for each SIGHUP that
 * arrives meanwhile. If that is NULL, it logs each: the sender may expect that something is
 * reloaded. Returns an errno. Precondition: uk_server_signals_block. */
int uk_server_signals_wait(int *number, void (*hang_up)(void *argument), void *argument);

/* From now on SIGTERM or SIGINT ends the process at once with status 1, and so does this time in
 * milliseconds. Returns an errno. Precondition: uk_server_signals_block. */
int uk_server_signals_force_exit(int32_t milliseconds);

#endif
