/* group_steps: scenarios for groups. Each line is a step; its expected result follows "->".
 *
 *   topic t 2                  sets the topic (0 deletes it); "quietly": no notification
 *   produce t 0 3              three records; also "quietly"
 *   retain t 0 2               the first kept offset is 2
 *   consume g/a t,u OPTION...  -> the records, "waits", or the word of the error. Options: wait=MS,
 *                              manual, latest, none, limit=N, session=MS, interval=MS, gone (its
 *                              client hung up), unwritten (its response is not finished), as=NAME
 *                              (default: the instance's name), ack=ID (none, 7, or +7: commit),
 *                              commit=t:0:5 (several times)
 *   outcome NAME, message NAME, asked NAME, delivery NAME      of the last call of that name
 *   batch NAME (its number, "" for none; "again" after it when it was redelivered)
 *   skipped NAME               of what it commits, one digit each
 *   commit g/a [t 0 2|nothing] [as=NAME] [ack=ID], delete g/a [as=NAME] [ack=ID], pass MS, drain
 *   expire NAME                the client of that consume has gone
 *   patience MS                how long a commit or deletion waits for the last response
 *   written g/a 1, failed g/a 1           what became of the response with that delivery
 *   hold, finish N [UNAVAILABLE TEXT]     holds commits; N of them are done or refused
 *   fail committed N, fail read [TEXT], read nothing, read N (records)
 *   during STEP                runs the step during the next read
 *   owners, committed g t 0, commits, last, tick (milliseconds to the next tick, or "never") */
#ifndef GROUP_STEPS_H
#define GROUP_STEPS_H

enum { SCENARIO_LINES = 32 };

struct scenario {
  const char *name;
  const char *lines[SCENARIO_LINES]; /* the last one is NULL */
};

/* Runs it over an empty log, and checks after each step what always holds, and at the end that each
 * call has ended once. */
void run_scenario(const struct scenario *scenario);

#endif
