#include "group_steps.h"

#include "check.h"
#include "check_groups.h"
#include "fake_clients.h"
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
  if (strcmp(words[2], "nothing") == 0)
    commit_nothing(call, words[1], instance);
  else if (words[4][0] >= '0' && words[4][0] <= '9')
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
    fake_read_most(atoi(words[1])); /* "nothing": 0 */
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

void run_scenario(const struct scenario *scenario)
{
  const char *const *line = scenario->lines;
  bool ok = true;
  memset(calls, 0, sizeof calls);
  start_groups();
  for (; *line != NULL; line++) {
    run_step(*line);
    check_groups(groups);
  }
  stop_groups();
  for (int i = 0; i < CALLS && calls[i].name[0] != '\0'; i++)
    ok = ok && calls[i].call.ended == 1;
  if (!ok)
    printf("  in the scenario \"%s\"\n", scenario->name);
  CHECK(ok); /* each call has ended once */
}
