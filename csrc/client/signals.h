/* signals: the signals that ask a program to end, for loops that end in an orderly way first.
 *
 * A watch replaces the handlers of its signals. The first signal that arrives is marked and wakes
 * every waiter. A second one, of any watched kind, ends the process as it would by default. The end
 * of the last watch of a signal restores the handler that was there before. SIGHUP stays ignored
 * where it is, as under nohup.
 *
 * A set of signals has a bit for each: 1u << UK_SIGNAL_INT, and so on. All functions are
 * thread-safe. After a fork both processes may keep watching. */
#ifndef UK_SIGNALS_H
#define UK_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

enum uk_signal {
  UK_SIGNAL_INT,
  UK_SIGNAL_TERM,
  UK_SIGNAL_HUP,
  UK_SIGNAL_QUIT,
  UK_SIGNAL_USR1,
  UK_SIGNAL_USR2,
  UK_SIGNAL_COUNT
};

/* "INT", "TERM" and so on, and NULL at the end. */
extern const char *const uk_signal_names[UK_SIGNAL_COUNT + 1];

/* Starts to watch the signals of the set. False, with nothing changed, when there are no
 * descriptors left. */
bool uk_signals_watch(unsigned set);
/* Ends a watch of that set. The last one also forgets that the signal has arrived. */
void uk_signals_unwatch(unsigned set);

/* Those of the set that have arrived while they were watched. */
unsigned uk_signals_arrived(unsigned set);

/* Writes descriptors to poll for input, at most UK_SIGNAL_COUNT: one becomes readable when a signal
 * of the set arrives, and stays so. Returns their number. Precondition: the set is watched. */
unsigned uk_signals_descriptors(unsigned set, int *descriptors);

/* Sleeps until a signal of the set has arrived; false then. True after that many milliseconds. */
bool uk_signals_sleep(unsigned set, int64_t milliseconds);

#endif
