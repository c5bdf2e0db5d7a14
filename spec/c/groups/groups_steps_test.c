/* for: group*.c
 *
 * Groups: the promises as scenarios. Each line is a step; its expected result follows "->". After
 * each scenario all memory is freed.
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
 *   commit g/a [t 0 2] [as=NAME] [ack=ID], delete g/a [as=NAME] [ack=ID], pass MS, drain
 *   expire NAME                the client of that consume has gone
 *   patience MS                how long a commit or deletion waits for the last response
 *   written g/a 1, failed g/a 1           what became of the response with that delivery
 *   hold, finish N [UNAVAILABLE TEXT]     holds commits; N of them are done or refused
 *   fail committed N, fail read [TEXT], read nothing
 *   during STEP                runs the step during the next read
 *   owners, committed g t 0, commits, last, tick (milliseconds to the next tick, or "never") */
#include "check.h"
#include "check_groups.h"
#include "fake_clients.h"
#include "fault.h"
#include "server/groups/group_state.h"

#include <stdlib.h>

enum { CALLS = 16, WORDS = 12, LINE = 400 };

static struct {
  char name[16];
  struct call call;
} calls[CALLS];

static char during[4][LINE];
static int during_count;

static struct call *call_of(const char *name)
{
  int i = 0;
  while (i < CALLS - 1 && calls[i].name[0] != '\0' && strcmp(calls[i].name, name) != 0)
    i++;
  snprintf(calls[i].name, sizeof calls[i].name, "%s", name);
  return &calls[i].call;
}

static int split(char *line, char *words[static WORDS])
{
  int count = 0;
  for (char *word = strtok(line, " "); word != NULL && count < WORDS; word = strtok(NULL, " "))
    words[count++] = word;
  for (int i = count; i < WORDS; i++)
    words[i] = "";
  return count;
}

/* Cuts "g/a" in two, and returns the instance. */
static char *cut(char *both)
{
  char *slash = strchr(both, '/');
  *slash = '\0';
  return slash + 1;
}

static const char *given(char **words, const char *name)
{
  size_t length = strlen(name);
  for (int i = 0; i < WORDS; i++) {
    if (strncmp(words[i], name, length) == 0)
      return words[i] + length;
  }
  return NULL;
}

/* All of the options "commit=TOPIC:PARTITION:OFFSET". */
static void add_commits(struct call *call, char **words)
{
  for (int i = 0; i < WORDS; i++) {
    char topic[16];
    int partition;
    long long offset;
    if (sscanf(words[i], "commit=%15[^:]:%d:%lld", topic, &partition, &offset) == 3)
      also_commit(call, topic, partition, offset);
  }
}

static const char *step_consume(char **words)
{
  char *instance = cut(words[1]);
  const char *as = given(words, "as="), *wait = given(words, "wait="), *value;
  struct call *call = call_of(as != NULL ? as : instance);
  for (char *at = words[2]; (at = strchr(at, ',')) != NULL;)
    *at = ' ';
  call_consume(call, words[1], instance, words[2], fake_now + (wait != NULL ? atoi(wait) : 0));
  struct uk_consumer_settings *settings = &call->consume.settings;
  settings->auto_commit = given(words, "manual") == NULL;
  if (given(words, "latest") != NULL)
    settings->offset_reset = UK_RESET_LATEST;
  if (given(words, "none") != NULL)
    settings->offset_reset = UK_RESET_NONE;
  if ((value = given(words, "session=")) != NULL)
    settings->session_timeout = atoi(value);
  if ((value = given(words, "interval=")) != NULL)
    settings->auto_commit_interval = atoi(value);
  if ((value = given(words, "limit=")) != NULL)
    call->limit = (size_t)atoi(value);
  call->unwanted = given(words, "gone") != NULL;
  call->unwritten = given(words, "unwritten") != NULL;
  if ((value = given(words, "ack=")) != NULL)
    say(call, &call->consume.acknowledgement, value);
  add_commits(call, words);
  uk_groups_consume(groups, &call->consume, fake_now);
  return outcome(call);
}

static const char *step_commit(char **words)
{
  char *instance = cut(words[1]);
  const char *as = given(words, "as=");
  struct call *call = call_of(as != NULL ? as : "commit");
  fake_ack = given(words, "ack=") != NULL ? given(words, "ack=") : "";
  if (words[4][0] >= '0' && words[4][0] <= '9')
    commit_one(call, words[1], instance, words[2], atoi(words[3]), atoi(words[4]));
  else
    commit_all(call, words[1], instance);
  return outcome(call);
}

static const char *step_delete(char **words)
{
  char *instance = cut(words[1]);
  const char *as = given(words, "as=");
  struct call *call = call_of(as != NULL ? as : "delete");
  fake_ack = given(words, "ack=") != NULL ? given(words, "ack=") : "";
  delete_consumer(call, words[1], instance);
  return outcome(call);
}

static const char *step_topic(char **words)
{
  if (given(words, "quietly") != NULL)
    fake_topic(words[1], atoi(words[2]));
  else
    change_topic(words[1], atoi(words[2]));
  return "";
}

static const char *step_produce(char **words)
{
  if (given(words, "quietly") != NULL)
    fake_produce(words[1], atoi(words[2]), atoi(words[3]));
  else
    produce(words[1], atoi(words[2]), atoi(words[3]));
  return "";
}

static const char *number(int64_t value)
{
  static char text[32];
  snprintf(text, sizeof text, "%lld", (long long)value);
  return text;
}

static const char *step_fail(char **words)
{
  static char text[64];
  snprintf(text, sizeof text, "%s", words[2]);
  if (strcmp(words[1], "committed") == 0)
    fake_fail_committed(UK_E_UNAVAILABLE, atoi(words[2]));
  else
    fake_fail_read(UK_E_UNAVAILABLE, text[0] != '\0' ? text : NULL);
  return "";
}

static const char *step_finish(char **words)
{
  bool refused = given(words, "UNAVAILABLE") != NULL;
  return number(
    fake_finish(atoi(words[1]), refused ? UK_E_UNAVAILABLE : UK_OK, refused ? words[3] : NULL));
}

static const char *step_finished(char **words)
{
  char *instance = cut(words[1]);
  finished(words[1], instance, (uint64_t)atoi(words[2]), strcmp(words[0], "written") == 0);
  return "";
}

static const char *step_tick(char **words)
{
  (void)words;
  int64_t next = uk_groups_next_tick(groups);
  return next == INT64_MAX ? "never" : number(next - fake_now);
}

static void run_during(void);

static const char *step_small(char **words)
{
  const char *what = words[0];
  if (strcmp(what, "pass") == 0)
    pass_time(atoi(words[1]));
  else if (strcmp(what, "expire") == 0)
    expire(call_of(words[1]));
  else if (strcmp(what, "patience") == 0)
    fake_patience = atoi(words[1]);
  else if (strcmp(what, "drain") == 0)
    uk_groups_drain(groups, fake_now);
  else if (strcmp(what, "hold") == 0)
    fake_hold_commits(true);
  else if (strcmp(what, "retain") == 0)
    fake_retain(words[1], atoi(words[2]), atoi(words[3]));
  else if (strcmp(what, "read") == 0)
    fake_read_nothing();
  else
    CHECK_EQ_STR(what, "the name of a step");
  return "";
}

static const char *batch_of(const struct call *call)
{
  static char text[32];
  const char *id = call->consume.batch;
  CHECK(id[0] == '\0' || strncmp(id, groups->nonce, UK_BATCH_NONCE_SIZE - 1) == 0);
  snprintf(text, sizeof text, "%s%s", id[0] != '\0' ? id + UK_BATCH_NONCE_SIZE : "",
           call->consume.redelivered ? " again" : "");
  return text;
}

static const char *skipped_of(const struct call *call)
{
  static char text[CALL_COMMITS + 1];
  for (size_t i = 0; i < call->consume.commit_count; i++)
    text[i] = call->skipped[i] ? '1' : '0';
  text[call->consume.commit_count] = '\0';
  return text;
}

static const char *step_ask(char **words)
{
  const char *what = words[0];
  if (strcmp(what, "batch") == 0)
    return batch_of(call_of(words[1]));
  if (strcmp(what, "skipped") == 0)
    return skipped_of(call_of(words[1]));
  if (strcmp(what, "outcome") == 0)
    return outcome(call_of(words[1]));
  if (strcmp(what, "message") == 0)
    return call_of(words[1])->consume.operation.message;
  if (strcmp(what, "asked") == 0)
    return number(call_of(words[1])->asked);
  if (strcmp(what, "delivery") == 0)
    return number((int64_t)call_of(words[1])->consume.delivery);
  if (strcmp(what, "owners") == 0)
    return owners();
  if (strcmp(what, "committed") == 0)
    return number(fake_committed(words[1], words[2], atoi(words[3])));
  if (strcmp(what, "commits") == 0)
    return number(fake_commits());
  if (strcmp(what, "last") == 0)
    return fake_last_commit();
  return step_small(words);
}

static const struct {
  const char *name;
  const char *(*run)(char **words);
} steps[] = {{"consume", step_consume}, {"commit", step_commit},   {"delete", step_delete},
             {"topic", step_topic},     {"produce", step_produce}, {"fail", step_fail},
             {"finish", step_finish},   {"tick", step_tick},       {"written", step_finished},
             {"failed", step_finished}};

static const char *run_words(char **words)
{
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    if (strcmp(words[0], steps[i].name) == 0)
      return steps[i].run(words);
  }
  return step_ask(words);
}

/* Compares the step and its result as one text, so that a failure names the step. */
static void run_step(const char *line)
{
  char text[LINE], got[LINE + 4096], expected[LINE + 4096], *words[WORDS];
  const char *arrow = strstr(line, " -> ");
  size_t length = arrow != NULL ? (size_t)(arrow - line) : strlen(line);
  snprintf(text, sizeof text, "%.*s", (int)length, line);
  if (strncmp(text, "during ", 7) == 0) {
    snprintf(during[during_count++], LINE, "%s", line + 7);
    fake_during_read(run_during);
    return;
  }
  split(text, words);
  const char *result = run_words(words);
  snprintf(got, sizeof got, "%.*s -> %s", (int)length, line, result);
  snprintf(expected, sizeof expected, "%s", line);
  if (arrow != NULL)
    CHECK_EQ_STR(got, expected);
}

static void run_during(void)
{
  for (int i = 0; i < during_count; i++)
    run_step(during[i]);
  during_count = 0;
}

static void run_scenario(const char *name, const char *const *lines)
{
  long live = fault_live();
  bool ok = true;
  memset(calls, 0, sizeof calls);
  start_groups();
  for (; *lines != NULL; lines++) {
    run_step(*lines);
    check_groups(groups);
  }
  stop_groups();
  for (int i = 0; i < CALLS && calls[i].name[0] != '\0'; i++)
    ok = ok && calls[i].call.ended == 1;
  if (!ok || fault_live() != live)
    printf("  in the scenario \"%s\"\n", name);
  CHECK(ok); /* each call has ended once */
  CHECK_EQ_INT(fault_live(), live);
}

static const struct {
  const char *name;
  const char *lines[24];
} scenarios[] = {
  /* What is committed, and when. */
  {"without auto-commit nothing is committed without a request",
   {"topic t 1", "produce t 0 2", "consume g/a t manual -> t:0:0 t:0:1", "consume g/a t manual -> ",
    "tick -> 10000", "pass 5000", "commits -> 0", "delete g/a -> ", "commits -> 0",
    "consume g/b t manual -> t:0:0 t:0:1", "consume g/b t manual -> ", "pass 10000", "owners -> ",
    "commits -> 0", "consume g/c t manual -> t:0:0 t:0:1", "consume g/c t manual -> ", "drain",
    "commits -> 0"}},
  {"an auto-commit names only what changed",
   {"topic t 2", "produce t 0 1", "consume g/a t -> t:0:0", "consume g/a t session=100000 -> ",
    "pass 5000", "last -> t:0=1", "produce t 1 2", "consume g/a t -> t:1:0 t:1:1",
    "consume g/a t -> ", "pass 5000", "last -> t:1=2", "commits -> 2"}},
  {"after an auto-commit only the session's end is timed",
   {"topic t 1", "produce t 0 1", "consume g/a t -> t:0:0", "consume g/a t -> ", "tick -> 5000",
    "pass 5000", "commits -> 1", "tick -> 5000", "pass 4999", "owners -> g/a t=0", "pass 1",
    "owners -> ", "commits -> 1"}},
  {"a refused auto-commit is retried a second later, not before",
   {"topic t 1", "hold", "produce t 0 1", "consume g/a t session=100000 -> t:0:0",
    "consume g/a t -> ", "pass 5000", "commits -> 1", "pass 5000", "finish 1 UNAVAILABLE full -> 1",
    "commits -> 1", "tick -> 1000", "pass 999", "commits -> 1", "pass 1", "commits -> 2",
    "last -> t:0=1"}},
  {"an auto-commit comes while a request waits, which does not expire",
   {"topic t 1", "produce t 0 1", "consume g/a t interval=15000 -> t:0:0",
    "consume g/a t wait=30000 -> waits", "pass 14999", "commits -> 0", "pass 1", "commits -> 1",
    "outcome a -> waits", "owners -> g/a t=0", "pass 15000", "outcome a -> "}},
  {"a topic that went is left out of the commit of an expired instance",
   {"topic t 1", "topic u 1", "produce t 0 2", "produce u 0 3", "consume g/a t,u interval=60000",
    "consume g/a t,u wait=0 -> ", "topic t 0 quietly", "pass 10000", "owners -> ",
    "last -> u:0=3"}},
  {"a topic that went is left out of an explicit commit",
   {"topic t 1", "topic u 1", "produce t 0 2", "produce u 0 1", "consume g/a t,u",
    "topic t 0 quietly", "commit g/a -> ", "last -> u:0=1"}},
  {"a commit without offsets names only what this instance consumed",
   {"topic t 2", "produce t 1 3", "consume g/a t manual -> t:1:0 t:1:1 t:1:2",
    "commit g/a t 1 2 -> ", "read nothing", "consume g/b t -> ", "owners -> g/a t=0 g/b t=1",
    "commits -> 1", "commit g/b -> ", "commits -> 1"}},
  {"records that were taken back are not committed again",
   {"topic t 1", "produce t 0 3", "consume g/a t -> t:0:0 t:0:1 t:0:2", "commit g/a t 0 2 -> ",
    "delete g/a -> ", "commits -> 1", "consume g/b t unwritten -> t:0:2", "failed g/b 2",
    "delete g/b -> ", "commits -> 1", "committed g t 0 -> 2"}},
  {"a commit is a sign of life",
   {"topic t 1", "consume g/a t -> ", "pass 6000", "commit g/a -> ", "pass 9999",
    "owners -> g/a t=0", "pass 1", "owners -> "}},
  {"a refused explicit commit is made up for by an auto-commit",
   {"topic t 1", "produce t 0 1", "consume g/a t session=100000 -> t:0:0", "hold",
    "commit g/a -> waits", "pass 5000", "commits -> 1", "tick -> 95000",
    "finish 1 UNAVAILABLE full -> 1", "outcome commit -> unavailable", "message commit -> full",
    "tick -> 0", "pass 0", "commits -> 2", "last -> t:0=1"}},
  {"a refusal does not shorten the interval",
   {"topic t 1", "hold", "produce t 0 1", "consume g/a t session=100000 -> t:0:0",
    "consume g/a t -> ", "pass 5000", "commits -> 1", "finish 1 UNAVAILABLE full -> 1",
    "tick -> 5000", "pass 4999", "commits -> 1", "pass 1", "commits -> 2"}},
  {"a refused commit is retried for the topics that remain",
   {"topic t 1", "topic u 1", "produce t 0 1", "produce u 0 2",
    "consume g/a t,u session=100000 -> u:0:0 u:0:1 t:0:0", "hold", "consume g/a t,u -> ",
    "pass 5000", "last -> u:0=2 t:0=1", "topic u 0", "finish 1 UNAVAILABLE full -> 1", "pass 5000",
    "commits -> 2", "last -> t:0=1"}},
  {"an auto-commit is not followed by an empty one",
   {"topic t 1", "produce t 0 1", "consume g/a t session=100000 -> t:0:0", "consume g/a t -> ",
    "tick -> 5000", "pass 5000", "commits -> 1", "tick -> 95000"}},
  {"an auto-commit that finds nothing is not repeated",
   {"topic t 1", "produce t 0 1", "consume g/a t session=100000 -> t:0:0", "commit g/a -> ",
    "tick -> 5000", "pass 5000", "commits -> 1", "tick -> 95000"}},
  {"a partition without news changes its owner without a commit",
   {"topic t 2", "produce t 0 1", "consume g/a t -> t:0:0", "consume g/a t -> ",
    "consume g/b t -> ", "owners -> g/a t=0 g/b t=1", "commits -> 0"}},
  {"a failed last commit without a text gets the text of its error",
   {"topic t 1", "produce t 0 1", "consume g/a t -> t:0:0", "hold", "delete g/a -> waits",
    "finish 1 UNAVAILABLE -> 1", "outcome delete -> gateway_timeout",
    "message delete -> the consumer instance is closed, but its last commit failed: the "
    "server cannot serve this now"}},

  /* Where an owner starts. */
  {"latest is committed even if nothing was read",
   {"topic t 1", "produce t 0 5", "consume g/a t latest -> ", "delete g/a -> ",
    "committed g t 0 -> 5", "produce t 0 2", "consume g/b t latest -> t:0:5 t:0:6"}},
  {"latest is committed after the interval",
   {"topic t 1", "produce t 0 5", "consume g/a t latest -> ", "tick -> 5000", "pass 5000",
    "committed g t 0 -> 5", "commits -> 1"}},
  {"latest is the start of an empty partition even if its look-up waited",
   {"topic t 1", "topic u 1", "consume g/a u -> ", "hold", "commit g/a u 0 1 -> waits",
    "delete g/a -> ", "consume g/b t latest wait=1000 -> waits", "produce t 0 2",
    "outcome b -> waits", "finish 1 -> 1", "outcome b -> t:0:0 t:0:1"}},
  {"latest is committed after the interval even if its look-up waited",
   {"topic t 1", "topic u 1", "produce t 0 5", "consume g/a u -> ", "hold",
    "commit g/a u 0 1 -> waits", "delete g/a -> ", "consume g/b t latest -> ", "commits -> 1",
    "finish 1 -> 1", "tick -> 5000", "pass 5000", "commits -> 2", "last -> t:0=5"}},
  {"latest is also committed by an idle instance that got the partition",
   {"topic t 2", "produce t 1 5", "consume g/a t latest manual -> ",
    "consume g/b t latest wait=100 -> waits", "delete g/a -> ", "pass 100", "outcome b -> ",
    "tick -> 4900", "pass 4900", "committed g t 0 -> 0", "committed g t 1 -> 5"}},
  {"a position that fell behind moves to the current end",
   {"topic t 1", "produce t 0 8", "consume g/a t limit=2 -> t:0:0 t:0:1", "commit g/a -> ",
    "delete g/a -> ", "consume g/b t latest limit=1 -> t:0:2", "produce t 0 2", "retain t 0 6",
    "consume g/b t -> ", "produce t 0 1", "consume g/b t -> t:0:10"}},
  {"a committed offset past the end is named",
   {"topic t 1", "produce t 0 5", "consume g/a t -> t:0:0 t:0:1 t:0:2 t:0:3 t:0:4",
    "commit g/a t 0 6 -> ", "delete g/a -> ", "consume g/b t none -> bad_request",
    "message b -> the committed offset 6 of topic \"t\" partition 0 is out of range 0 to 5, and "
    "the "
    "auto offset reset is none",
    "commit g/b -> not_found", "consume g/b t -> t:0:0 t:0:1 t:0:2 t:0:3 t:0:4"}},
  {"a committed offset at the end is valid",
   {"topic t 1", "produce t 0 5", "consume g/a t limit=1 -> t:0:0", "commit g/a t 0 5 -> ",
    "delete g/a -> ", "consume g/b t none -> ", "produce t 0 1", "consume g/b t -> t:0:5"}},
  {"a committed offset below the first one is named",
   {"topic t 1", "produce t 0 5", "consume g/a t -> t:0:0 t:0:1 t:0:2 t:0:3 t:0:4",
    "commit g/a t 0 2 -> ", "delete g/a -> ", "retain t 0 3", "consume g/b t none -> bad_request",
    "message b -> the committed offset 2 of topic \"t\" partition 0 is out of range 3 to 5, and "
    "the "
    "auto offset reset is none",
    "consume g/b t -> t:0:3 t:0:4"}},
  {"a failed look-up is reported, and retried",
   {"topic t 1", "produce t 0 1", "fail committed 2", "consume g/a t -> unavailable",
    "message a -> group \"g\" cannot look up its committed offset for topic \"t\" partition 0",
    "owners -> ", "consume g/a t -> t:0:0"}},
  {"a look-up waits for the commits before it, not for later ones",
   {"topic t 2", "produce t 1 4", "consume g/a t manual -> t:1:0 t:1:1 t:1:2 t:1:3",
    "consume g/b t manual -> ", "hold", "commit g/a t 1 3 -> waits", "owners -> g/a t=0 g/b t=1",
    "consume g/b t wait=500 -> waits", "commit g/a t 0 0 as=other -> waits", "finish 1 -> 1",
    "outcome b -> t:1:3"}},
  {"a commit while the look-up waits says where to start",
   {"topic t 2", "produce t 1 4", "consume g/a t manual -> t:1:0 t:1:1 t:1:2 t:1:3",
    "consume g/b t manual -> ", "hold", "commit g/a t 1 3 -> waits",
    "commit g/b t 1 2 as=other -> waits", "consume g/b t wait=500 -> waits", "finish 1 -> 1",
    "outcome b -> waits", "finish 1 -> 1", "outcome b -> t:1:2 t:1:3"}},
  {"a commit of exactly what was delivered is no override: the position is passed on at once",
   {"topic t 2", "produce t 1 3", "consume g/a t -> t:1:0 t:1:1 t:1:2",
    "consume g/b t wait=500 -> waits", "hold", "commit g/a t 1 3 -> waits",
    "owners -> g/a t=0 g/b t=1", "produce t 1 1", "outcome b -> t:1:3"}},
  {"a commit past what was delivered is an override",
   {"topic t 2", "produce t 1 6", "consume g/a t limit=3 -> t:1:0 t:1:1 t:1:2",
    "consume g/b t wait=500 -> waits", "commit g/a t 1 5 -> ", "owners -> g/a t=0 g/b t=1",
    "outcome b -> t:1:5"}},
  {"a commit for a partition without an owner says where the next one starts",
   {"topic t 2", "topic u 2", "consume g/b u -> ", "produce t 0 1", "consume g/a t -> t:0:0",
    "consume g/a u ack=none -> t:0:0", "owners -> g/a t=0 u=0 g/b u=1", "produce t 1 3",
    "commit g/b t 1 2 -> ", "consume g/b t -> t:1:2"}},
  {"an override ends with the next commit of delivered records",
   {"topic t 2", "produce t 1 3", "consume g/a t session=100000 -> t:1:0 t:1:1 t:1:2",
    "commit g/a t 1 1 -> ", "produce t 1 1", "consume g/a t -> t:1:3", "consume g/a t -> ", "hold",
    "pass 5000", "last -> t:1=4", "consume g/b t -> ", "owners -> g/a t=0 g/b t=1", "produce t 1 1",
    "consume g/b t -> t:1:4"}},
  {"without auto-commit the delivered position is not passed on",
   {"topic t 2", "produce t 1 3", "consume g/a t manual limit=2 -> t:1:0 t:1:1",
    "consume g/b t -> ", "consume g/a t -> ", "owners -> g/a t=0 g/b t=1",
    "consume g/b t -> t:1:0 t:1:1 t:1:2"}},

  /* What counts as delivered. */
  {"a lost response followed by another request is not repeated",
   {"topic t 1", "produce t 0 1", "consume g/a t -> t:0:0", "produce t 0 1",
    "consume g/a t unwritten -> t:0:1", "failed g/a 1", "written g/a 2", "consume g/a t -> ",
    "delete g/a -> ", "committed g t 0 -> 2"}},
  {"losing a future delivery changes nothing",
   {"topic t 1", "produce t 0 1", "consume g/a t unwritten -> t:0:0", "failed g/a 2",
    "failed g/a 0", "written g/a 1", "consume g/a t -> ", "delete g/a -> ",
    "committed g t 0 -> 1"}},
  {"a lost response is repeated to the waiting request",
   {"topic t 1", "consume g/a t wait=500 unwritten -> waits",
    "consume g/a t wait=500 as=second -> waits", "produce t 0 1", "outcome a -> t:0:0",
    "outcome second -> waits", "failed g/a 1", "outcome second -> t:0:0", "delivery second -> 2"}},
  {"a read that finds nothing leaves the request waiting, and its client is asked once",
   {"topic t 1", "produce t 0 1", "read nothing", "consume g/a t wait=500 -> waits", "asked a -> 1",
    "produce t 0 1", "outcome a -> t:0:0 t:0:1", "asked a -> 1", "delivery a -> 1"}},
  {"a request is woken for the partition that has grown, and reads it first",
   {"topic t 3", "consume g/a t wait=500 limit=1 -> waits", "produce t 1 1 quietly",
    "produce t 2 1", "outcome a -> t:2:0", "consume g/a t limit=1 -> t:1:0"}},
  {"A14: a consume without memory for its first record says so, and the next one gets it",
   {"topic t 2", "produce t 0 1", "consume g/a t limit=0 wait=500 -> no_memory", "owners -> ",
    "produce t 1 1", "consume g/a t limit=1 -> t:0:0", "produce t 0 1",
    "consume g/a t limit=1 wait=500 as=next -> t:1:0", "consume g/a t limit=0 -> no_memory",
    "delivery a -> 0", "owners -> g/a t=0,1", "consume g/a t -> t:0:1"}},
  {"a failed read reports the log's text",
   {"topic t 1", "produce t 0 1", "consume g/a t -> t:0:0", "produce t 0 1", "fail read damaged",
    "consume g/a t -> unavailable", "message a -> damaged", "owners -> g/a t=0",
    "consume g/a t -> t:0:1"}},
  {"the new instance of a client that hung up stays alive",
   {"topic t 1", "produce t 0 1", "consume g/a t gone -> cancelled", "message a -> ",
    "owners -> g/a t=0", "consume g/a t -> t:0:0", "delivery a -> 1"}},
  {"an instance that has waited once survives an error",
   {"topic t 1", "consume g/a t wait=500 -> waits", "tick -> 500", "topic t 0",
    "outcome a -> not_found", "owners -> g/a -"}},
  {"a waiting request has no timer besides its deadline",
   {"topic t 1", "consume g/a t wait=20000 -> waits", "tick -> 20000", "pass 20000",
    "outcome a -> ", "tick -> 10000"}},

  /* A request in the middle of a response. */
  {"A11: a consume waits for the last response, and acknowledges it when it was written",
   {"topic t 1", "produce t 0 2", "consume g/a t limit=1 unwritten -> t:0:0",
    "consume g/a t wait=500 as=next -> waits", "pass 499", "outcome next -> waits", "written g/a 1",
    "outcome next -> t:0:1", "delivery next -> 2", "pass 4501", "committed g t 0 -> 1"}},
  {"A11: a consume waits for the last response, and gets it again when it failed",
   {"topic t 1", "produce t 0 2", "consume g/a t limit=1 unwritten -> t:0:0",
    "consume g/a t wait=500 as=next -> waits", "failed g/a 1", "outcome next -> t:0:0",
    "batch next -> 1 again", "pass 10000", "committed g t 0 -> -1"}},
  {"A11: a consume ends at its deadline with nothing acknowledged",
   {"topic t 1", "produce t 0 2", "consume g/a t limit=1 unwritten -> t:0:0",
    "consume g/a t wait=500 as=next -> waits", "tick -> 500", "pass 500", "outcome next -> ",
    "consume g/a t as=third -> ", "pass 5000", "commits -> 0", "failed g/a 1",
    "consume g/a t -> t:0:0"}},
  {"A11: a response that was written after the wait is acknowledged by no request before",
   {"topic t 1", "produce t 0 2", "consume g/a t limit=1 unwritten -> t:0:0",
    "consume g/a t wait=500 as=next -> waits", "pass 500", "outcome next -> ", "written g/a 1",
    "consume g/a t ack=none -> t:0:0", "batch a -> 1 again", "consume g/a t -> t:0:1"}},
  {"A11: consumes wait for the last response in their order",
   {"topic t 1", "produce t 0 3", "consume g/a t limit=1 unwritten -> t:0:0",
    "consume g/a t wait=500 limit=1 as=second unwritten -> waits",
    "consume g/a t wait=900 as=third -> waits", "written g/a 1", "outcome second -> t:0:1",
    "outcome third -> waits", "failed g/a 2", "outcome third -> t:0:1"}},
  {"A11: the next consume in line waits until the one before it was answered",
   {"topic t 1", "consume g/a t wait=500 unwritten -> waits", "consume g/a t wait=900 as=second",
    "produce t 0 1", "outcome a -> t:0:0", "produce t 0 1", "outcome second -> waits", "pass 900",
    "outcome second -> ", "written g/a 1", "consume g/a t -> t:0:1"}},
  {"A11: the session does not end while a consume waits for the last response",
   {"topic t 1", "produce t 0 1", "consume g/a t session=1000 unwritten -> t:0:0",
    "consume g/a t wait=5000 as=next -> waits", "pass 4999", "owners -> g/a t=0", "pass 1",
    "outcome next -> ", "tick -> 1000", "pass 999", "owners -> g/a t=0", "pass 1", "owners -> "}},
  {"A11: the session does not end while a commit waits for the last response",
   {"topic t 1", "produce t 0 1", "consume g/a t session=1000 unwritten -> t:0:0", "patience 5000",
    "commit g/a -> waits", "tick -> 5000", "pass 4999", "owners -> g/a t=0", "pass 1",
    "outcome commit -> unavailable", "tick -> 1000", "pass 1000", "owners -> "}},
  {"A11: a commit waits for the last response, and commits it when it was written",
   {"topic t 1", "produce t 0 2", "consume g/a t unwritten -> t:0:0 t:0:1", "patience 500",
    "commit g/a -> waits", "commits -> 0", "written g/a 1", "outcome commit -> ", "last -> t:0=2"}},
  {"A11: a commit waits for the last response, and commits nothing of it when it failed",
   {"topic t 1", "produce t 0 2", "consume g/a t unwritten -> t:0:0 t:0:1", "patience 500",
    "commit g/a -> waits", "failed g/a 1", "outcome commit -> ", "committed g t 0 -> 0",
    "consume g/a t -> t:0:0 t:0:1"}},
  {"A11: an explicit commit waits too, so that it counts after what it acknowledges",
   {"topic t 1", "produce t 0 3", "consume g/a t unwritten -> t:0:0 t:0:1 t:0:2", "patience 500",
    "commit g/a t 0 1 -> waits", "written g/a 1", "outcome commit -> ", "pass 10000",
    "committed g t 0 -> 1"}},
  {"A11: a commit that waits in vain was not made, and is told so",
   {"topic t 1", "produce t 0 2", "consume g/a t unwritten -> t:0:0 t:0:1", "patience 500",
    "commit g/a t 0 2 -> waits", "pass 499", "outcome commit -> waits", "pass 1",
    "outcome commit -> unavailable",
    "message commit -> the last response of this consumer instance is still being sent: try again "
    "when it has ended",
    "commits -> 0", "written g/a 1", "commits -> 0", "commit g/a -> ", "committed g t 0 -> 2"}},
  {"A11: a commit that may not wait is refused at once",
   {"topic t 1", "produce t 0 2", "consume g/a t unwritten -> t:0:0 t:0:1", "patience 0",
    "commit g/a -> unavailable", "delete g/a -> unavailable", "owners -> g/a t=0", "commits -> 0"}},
  {"A12: a deletion acknowledges the last response",
   {"topic t 1", "produce t 0 2", "consume g/a t -> t:0:0 t:0:1", "delete g/a -> ",
    "committed g t 0 -> 2"}},
  {"A12: a deletion waits for the last response, and commits it when it was written",
   {"topic t 1", "produce t 0 2", "consume g/a t unwritten -> t:0:0 t:0:1", "patience 500",
    "delete g/a -> waits", "owners -> g/a t=0", "written g/a 1", "outcome delete -> ",
    "committed g t 0 -> 2", "owners -> "}},
  {"A12: a deletion commits no response that failed",
   {"topic t 1", "produce t 0 2", "consume g/a t unwritten -> t:0:0 t:0:1", "failed g/a 1",
    "delete g/a -> ", "commits -> 0", "consume g/b t -> t:0:0 t:0:1"}},
  {"A12: a deletion waits for the last response, and commits nothing of it when it failed",
   {"topic t 1", "produce t 0 2", "consume g/a t unwritten -> t:0:0 t:0:1", "patience 500",
    "delete g/a -> waits", "consume g/a t wait=400 as=next -> waits", "failed g/a 1",
    "outcome delete -> ", "outcome next -> ", "commits -> 0", "owners -> ",
    "consume g/b t -> t:0:0 t:0:1"}},
  {"A12: a deletion that waits in vain leaves the instance alive",
   {"topic t 1", "produce t 0 1", "consume g/a t unwritten -> t:0:0", "patience 500",
    "delete g/a -> waits", "pass 500", "outcome delete -> unavailable", "owners -> g/a t=0",
    "written g/a 1", "delete g/a -> ", "committed g t 0 -> 1"}},
  {"A12: what waits behind a deletion finds no instance",
   {"topic t 1", "produce t 0 1", "consume g/a t unwritten -> t:0:0", "patience 500",
    "commit g/a t 0 1 as=first -> waits", "delete g/a -> waits", "delete g/a as=again -> waits",
    "commit g/a as=last -> waits", "written g/a 1", "outcome first -> ", "outcome delete -> ",
    "outcome again -> not_found", "outcome last -> not_found", "commits -> 1"}},
  {"A12: the response of an instance that is gone says nothing of the next one",
   {"topic t 1", "produce t 0 1", "consume g/a t -> t:0:0", "delete g/a -> ", "produce t 0 2",
    "consume g/a t unwritten -> t:0:1 t:0:2", "delivery a -> 2", "failed g/a 1", "written g/a 1",
    "consume g/a t wait=500 as=next -> waits", "failed g/a 2", "outcome next -> t:0:1 t:0:2"}},
  {"A11: a drain ends what waits for the last response",
   {"topic t 1", "produce t 0 1", "consume g/a t unwritten -> t:0:0", "patience 500",
    "consume g/a t wait=500 as=next -> waits", "commit g/a -> waits", "delete g/a -> waits",
    "drain", "outcome next -> ", "outcome commit -> unavailable", "outcome delete -> unavailable",
    "consume g/a t wait=500 as=later -> ", "commit g/a as=late -> unavailable", "commits -> 0",
    "written g/a 1", "commit g/a as=last -> ", "committed g t 0 -> 1"}},
  {"A11: the partition stays until it is known what became of the last response",
   {"topic t 2", "produce t 1 2", "consume g/a t unwritten -> t:1:0 t:1:1",
    "consume g/b t wait=900 -> waits", "consume g/a t wait=500 as=next -> waits",
    "owners -> g/a t=0,1 g/b -", "written g/a 1", "owners -> g/a t=0 g/b t=1", "produce t 1 1",
    "outcome b -> t:1:2", "pass 900"}},

  /* A client that hangs up while it waits. */
  {"C4: a consume whose client has gone ends, and the next one is served",
   {"topic t 1", "consume g/a t wait=9000 -> waits", "consume g/a t wait=9000 as=second -> waits",
    "consume g/a t wait=9000 as=third -> waits", "expire third", "outcome third -> ",
    "outcome a -> waits", "expire a", "outcome a -> ", "outcome second -> waits", "produce t 0 1",
    "outcome second -> t:0:0", "expire second", "consume g/a t -> "}},
  {"C4: a consume that waits for the last response ends when its client has gone",
   {"topic t 1", "produce t 0 1", "consume g/a t unwritten -> t:0:0",
    "consume g/a t wait=9000 as=next -> waits", "expire next", "outcome next -> ", "failed g/a 1",
    "consume g/a t -> t:0:0"}},
  {"C4: a consume whose client went before it could wait does not wait",
   {"topic t 1", "produce t 0 1", "read nothing", "during expire a", "consume g/a t wait=9000 -> ",
    "consume g/a t -> t:0:0"}},

  /* Which instance has which partition. */
  {"a subscription without members counts no more, even with records in flight",
   {"topic t 1", "topic u 1", "produce t 0 1", "consume g/a t -> t:0:0",
    "consume g/a u ack=none -> t:0:0", "owners -> g/a t=0 u=0", "consume g/b u -> too_many",
    "message b -> group \"g\" has 1 consumer instances already: the limit is 1, the partitions of "
    "its "
    "topics",
    "consume g/b t -> ", "owners -> g/a t=0 u=0 g/b -", "delete g/a -> ", "owners -> g/b t=0"}},
  {"the next request releases a partition of an ended subscription",
   {"topic t 1", "topic u 1", "produce t 0 1", "consume g/a t -> t:0:0",
    "consume g/a u ack=none -> t:0:0", "owners -> g/a t=0 u=0", "consume g/a u -> ",
    "owners -> g/a u=0"}},
  {"all requests that wait for a topic end when it is deleted",
   {"topic t 3", "consume g/a t wait=500 -> waits", "consume g/b t wait=500 -> waits",
    "consume g/c t wait=500 -> waits", "consume h/d t wait=500 -> waits", "topic t 0",
    "outcome a -> not_found", "outcome b -> not_found", "outcome c -> not_found",
    "outcome d -> not_found"}},
  {"a topic replaced by one of the same size starts over",
   {"topic t 1", "produce t 0 2", "consume g/a t -> t:0:0 t:0:1", "topic t 0 quietly",
    "topic t 1 quietly", "produce t 0 3 quietly", "consume g/a t -> t:0:0 t:0:1 t:0:2",
    "consume g/a t -> ", "pass 5000", "committed g t 0 -> 3"}},
  {"a partition that is gone ends the request",
   {"topic t 2", "consume g/a t wait=500 -> waits", "topic t 1 quietly", "produce t 0 1",
    "outcome a -> not_found",
    "message a -> group \"g\" reads a partition that no longer exists: topic \"t\" partition 1",
    "consume g/a t -> t:0:0"}},
  {"a partition that went to another instance during a read does not advance there",
   {"topic t 2", "produce t 0 1", "produce t 1 1", "during consume g/b t", "during topic t 1",
    "during topic t 2", "consume g/a t -> t:0:0 t:1:0", "owners -> g/a t=0 g/b t=1",
    "consume g/b t -> t:1:0"}},
  {"a partition that is gone after a read is left alone",
   {"topic t 2", "produce t 1 1", "during topic t 1", "consume g/a t -> t:1:0", "owners -> g/a t=0",
    "produce t 0 1", "consume g/a t -> t:0:0"}},
  {"records of an unknown partition show that it exists",
   {"topic t 2", "consume g/a t wait=500 -> waits", "topic t 3 quietly", "produce t 2 1",
    "outcome a -> t:2:0", "owners -> g/a t=0,1,2"}},
  {"a partition that the topic has not is no partition of the group",
   {"topic t 2", "consume g/a t -> ", "commit g/a t 2 0", "commit g/a t -1 0",
    "owners -> g/a t=0,1"}},
  {"the list is sorted by group, then by instance",
   {"topic t 1", "consume h/a t -> ", "consume g/b t -> ", "consume g2/a t -> ",
    "owners -> g/b t=0 g2/a t=0 h/a t=0"}},

  {"every topic of a request must exist",
   {"topic t 1", "produce t 0 1", "consume g/a t,u -> not_found",
    "message a -> topic \"u\" does not exist", "owners -> ", "consume g/a t -> t:0:0",
    "consume g/a t,u -> not_found", "owners -> g/a t=0", "topic u 1", "consume g/a t,u -> ",
    "owners -> g/a t=0 u=0"}},

  /* Calls that come while a thread reads. */
  {"a request that arrived during a failed first read is served",
   {"topic t 1", "produce t 0 1", "fail read", "during consume g/a nowhere wait=500 as=second",
    "during consume g/a t wait=500 as=third", "consume g/a t -> unavailable",
    "outcome second -> not_found", "outcome third -> t:0:0", "owners -> g/a t=0"}},
  {"a delete during a read that finds nothing is executed",
   {"topic t 1", "produce t 0 1", "read nothing", "during delete g/a", "consume g/a t wait=500 -> ",
    "outcome delete -> ", "owners -> "}},
  {"two deletes during a read both end",
   {"topic t 1", "produce t 0 1", "during delete g/a as=first", "during delete g/a as=other",
    "consume g/a t wait=500 -> t:0:0", "outcome first -> ", "outcome other -> ", "owners -> "}},
  {"a request after a delete ends with the instance",
   {"topic t 1", "produce t 0 1", "during delete g/a", "during consume g/a t wait=500 as=second",
    "consume g/a t -> t:0:0", "outcome delete -> ", "outcome second -> ", "owners -> "}},
  {"a partition is released when a read finds nothing",
   {"topic t 2", "produce t 1 1", "read nothing", "during consume g/b t wait=500",
    "consume g/a t wait=500 -> waits", "owners -> g/a t=0 g/b t=1", "outcome b -> t:1:0",
    "pass 500"}},
};

static void scenarios_hold(void)
{
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
    run_scenario(scenarios[i].name, scenarios[i].lines);
}

/* A delivery has a limited number of partitions; the others come first in the next one. */
static void an_answer_has_partitions_up_to_a_limit(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 130);
  for (int32_t i = 0; i < 130; i++)
    fake_produce("t", i, 1);
  consume(&call, "g", "a", "t", 0);
  CHECK_EQ_INT(call.count, 128);
  CHECK_EQ_INT(call.records[127].partition, 127);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:128:0 t:129:0");
  stop_groups();
}

/* Threads pass the time out of order: it does not go back. */
static void time_does_not_go_back(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  consume(&call, "g", "a", "t", 0);
  pass_time(8000);
  fake_now -= 8000;
  consume(&call, "g", "a", "t", 0);
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 8000 + 10000);
  stop_groups();
}

int main(void)
{
  CHECK_RUN(scenarios_hold);
  CHECK_RUN(an_answer_has_partitions_up_to_a_limit);
  CHECK_RUN(time_does_not_go_back);
  return check_end();
}
