/* Progress: the at-least-once promise, row by row, and under a client that loses answers and
 * dies. For: progress.c, progress.h. */
#include "check.h"
#include "server/engine/progress.h"

enum action {
  END,
  FORGET,
  START,       /* a: the offset */
  PIN,         /* a: the offset */
  RESUME,      /* a: the position, b: committed */
  ADVANCE,     /* a: from, b: next */
  ACKNOWLEDGE, /* the client's next request */
  TAKE_BACK,   /* its response was lost */
  COMMIT,      /* a: the offset that it commits */
  REFUSED,     /* the commit was */
  OVERRIDE,    /* a: the offset of an explicit commit */
  FORWARD      /* a: the offset of a forward commit */
};

/* position, delivered and committed ("-" for unknown), then what else is true. */
struct step {
  enum action action;
  int64_t a, b;
  const char *state;
};

static void put_offset(char **at, int64_t offset)
{
  if (offset == UK_OFFSET_UNKNOWN)
    *at += sprintf(*at, "- ");
  else
    *at += sprintf(*at, "%lld ", (long long)offset);
}

static const char *state_of(const struct uk_progress *progress)
{
  static char text[128];
  char *at = text;
  put_offset(&at, progress->position);
  put_offset(&at, progress->delivered);
  put_offset(&at, progress->committed);
  at += sprintf(at, "%s", progress->committable ? "committable " : "");
  at += sprintf(at, "%s", uk_progress_in_flight(progress) ? "in-flight " : "");
  at += sprintf(at, "%s", uk_progress_is_dirty(progress) ? "dirty " : "");
  at += sprintf(at, "%s", uk_progress_is_known(progress) ? "" : "unknown ");
  sprintf(at, "%s", uk_progress_continues(progress) ? "continues " : "");
  return text;
}

static void take(struct uk_progress *progress, const struct step *step)
{
  switch (step->action) {
  case FORGET: uk_progress_forget(progress); break;
  case START: uk_progress_start(progress, step->a); break;
  case PIN: uk_progress_pin(progress, step->a); break;
  case RESUME: uk_progress_resume(progress, step->a, step->b); break;
  case ADVANCE: uk_progress_advance(progress, step->a, step->b); break;
  case ACKNOWLEDGE: uk_progress_acknowledge(progress); break;
  case TAKE_BACK: uk_progress_take_back(progress); break;
  case COMMIT: CHECK_EQ_INT(uk_progress_commit(progress), step->a); break;
  case REFUSED: uk_progress_refused(progress); break;
  case FORWARD: uk_progress_forward(progress, step->a); break;
  case OVERRIDE: uk_progress_override(progress, step->a); break;
  case END: break;
  }
}

static const struct {
  const char *promise;
  struct step steps[11];
} rows[] = {
  {"nothing is known before the look-up", {{FORGET, 0, 0, "- - - unknown "}}},
  {"a looked-up offset need not be committed",
   {{START, 5, 0, "5 5 5 continues "}, {ACKNOWLEDGE, 0, 0, "5 5 5 continues "}}},
  {"offset 0 is an offset",
   {{START, 0, 0, "0 0 0 continues "}, {ADVANCE, 0, 1, "1 0 0 committable in-flight continues "}}},
  {"records in flight are not committed before the next request",
   {{START, 5, 0, "5 5 5 continues "},
    {ADVANCE, 5, 8, "8 5 5 committable in-flight continues "},
    {COMMIT, 5, 0, "8 5 5 committable in-flight continues "},
    {ACKNOWLEDGE, 0, 0, "8 8 5 committable dirty continues "},
    {COMMIT, 8, 0, "8 8 8 committable continues "}}},
  {"a commit while a response is in flight covers the one before",
   {{START, 0, 0, "0 0 0 continues "},
    {ADVANCE, 0, 3, "3 0 0 committable in-flight continues "},
    {ACKNOWLEDGE, 0, 0, "3 3 0 committable dirty continues "},
    {ADVANCE, 3, 7, "7 3 0 committable in-flight dirty continues "},
    {COMMIT, 3, 0, "7 3 3 committable in-flight continues "}}},
  {"a lost response is delivered again",
   {{START, 5, 0, "5 5 5 continues "},
    {ADVANCE, 5, 8, "8 5 5 committable in-flight continues "},
    {TAKE_BACK, 0, 0, "5 5 5 committable continues "},
    {ADVANCE, 5, 6, "6 5 5 committable in-flight continues "}}},
  {"only records in flight are taken back",
   {{START, 0, 0, "0 0 0 continues "},
    {ADVANCE, 0, 3, "3 0 0 committable in-flight continues "},
    {ACKNOWLEDGE, 0, 0, "3 3 0 committable dirty continues "},
    {ADVANCE, 3, 4, "4 3 0 committable in-flight dirty continues "},
    {TAKE_BACK, 0, 0, "3 3 0 committable dirty continues "},
    {TAKE_BACK, 0, 0, "3 3 0 committable dirty continues "}}},
  {"the position that `latest` chose is committed though nothing was read",
   {{PIN, 9, 0, "9 9 - committable dirty continues "},
    {COMMIT, 9, 0, "9 9 9 committable continues "}}},
  {"an unknown position starts at the first record",
   {{FORGET, 0, 0, "- - - unknown "},
    {ADVANCE, 4, 5, "5 4 - committable in-flight dirty continues "},
    {ADVANCE, 5, 7, "7 4 - committable in-flight dirty continues "},
    {TAKE_BACK, 0, 0, "4 4 - committable dirty continues "}}},
  {"offsets may have gaps",
   {{START, 2, 0, "2 2 2 continues "},
    {ADVANCE, 5, 6, "6 2 2 committable in-flight continues "},
    {TAKE_BACK, 0, 0, "2 2 2 committable continues "}}},
  {"an instance from another server continues where its client is",
   {{RESUME, 7, 3, "7 7 3 committable dirty continues "},
    {COMMIT, 7, 0, "7 7 7 committable continues "}}},
  {"a refused commit is retried",
   {{START, 0, 0, "0 0 0 continues "},
    {ADVANCE, 0, 3, "3 0 0 committable in-flight continues "},
    {ACKNOWLEDGE, 0, 0, "3 3 0 committable dirty continues "},
    {COMMIT, 3, 0, "3 3 3 committable continues "},
    {REFUSED, 0, 0, "3 3 - committable dirty continues "},
    {COMMIT, 3, 0, "3 3 3 committable continues "}}},
  {"a refused commit of a looked-up offset changes nothing",
   {{START, 3, 0, "3 3 3 continues "}, {REFUSED, 0, 0, "3 3 - continues "}}},
  {"an explicit commit counts until more is delivered, and moves no position",
   {{START, 0, 0, "0 0 0 continues "},
    {ADVANCE, 0, 5, "5 0 0 committable in-flight continues "},
    {ACKNOWLEDGE, 0, 0, "5 5 0 committable dirty continues "},
    {OVERRIDE, 2, 0, "5 5 5 committable "},
    {ADVANCE, 5, 6, "6 5 5 committable in-flight "},
    {ACKNOWLEDGE, 0, 0, "6 6 5 committable dirty "},
    {COMMIT, 6, 0, "6 6 6 committable continues "}}},
  {"an explicit commit forward counts too",
   {{START, 2, 0, "2 2 2 continues "}, {OVERRIDE, 9, 0, "2 2 2 "}}},
  {"an explicit commit of the delivered offset overrides nothing, and ends an override",
   {{PIN, 4, 0, "4 4 - committable dirty continues "},
    {OVERRIDE, 1, 0, "4 4 4 committable "},
    {OVERRIDE, 4, 0, "4 4 4 committable continues "}}},
  {"an auto-commit does not go below a forward commit",
   {{START, 0, 0, "0 0 0 continues "},
    {ADVANCE, 0, 5, "5 0 0 committable in-flight continues "},
    {FORWARD, 7, 0, "5 0 0 committable in-flight "},
    {FORWARD, 6, 0, "5 0 0 committable in-flight "},
    {ACKNOWLEDGE, 0, 0, "5 5 0 committable "},
    {ADVANCE, 5, 7, "7 5 0 committable in-flight "},
    {ACKNOWLEDGE, 0, 0, "7 7 0 committable continues "},
    {ADVANCE, 7, 8, "8 7 0 committable in-flight continues "},
    {ACKNOWLEDGE, 0, 0, "8 8 0 committable dirty continues "}}},
  {"a forward commit below what was delivered changes nothing",
   {{START, 0, 0, "0 0 0 continues "},
    {ADVANCE, 0, 5, "5 0 0 committable in-flight continues "},
    {ACKNOWLEDGE, 0, 0, "5 5 0 committable dirty continues "},
    {FORWARD, 4, 0, "5 5 0 committable dirty continues "},
    {FORWARD, 5, 0, "5 5 0 committable continues "},
    {OVERRIDE, 3, 0, "5 5 5 committable "}}},
  {"an explicit commit ends a forward one, as a new start does",
   {{PIN, 4, 0, "4 4 - committable dirty continues "},
    {FORWARD, 9, 0, "4 4 - committable "},
    {OVERRIDE, 4, 0, "4 4 4 committable continues "},
    {FORWARD, 9, 0, "4 4 4 committable "},
    {RESUME, 7, 3, "7 7 3 committable dirty continues "},
    {FORWARD, 9, 0, "7 7 3 committable "},
    {START, 5, 0, "5 5 5 continues "},
    {FORWARD, 9, 0, "5 5 5 "},
    {FORGET, 0, 0, "- - - unknown "},
    {ADVANCE, 4, 5, "5 4 - committable in-flight dirty continues "}}},
  {"a new start forgets the one before",
   {{PIN, 4, 0, "4 4 - committable dirty continues "},
    {OVERRIDE, 1, 0, "4 4 4 committable "},
    {START, 1, 0, "1 1 1 continues "},
    {FORGET, 0, 0, "- - - unknown "}}},
};

static void keeps_each_promise(void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_progress progress;
    uk_progress_forget(&progress);
    for (const struct step *step = rows[i].steps; step->action != END; step++) {
      take(&progress, step);
      if (!CHECK_EQ_STR(state_of(&progress), step->state))
        printf("  step %d of \"%s\"\n", (int)(step - rows[i].steps) + 1, rows[i].promise);
    }
  }
}

/* One partition and its client: responses are lost, commits are refused, and owners die. */

static uint64_t random_state;

static uint64_t pick(uint64_t below)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (random_state >> 33) % below;
}

/* Where a redelivery starts, while 5 to 9 are in flight. */
static const struct {
  const char *promise;
  struct {
    int64_t offset;
    bool forward;
    int64_t redelivery;
  } commits[4];
} covers[] = {
  {"a commit of records in flight covers them", {{7, false, 7}, {9, true, 9}}},
  {"a commit outside of the records in flight is their start or end",
   {{4, true, 5}, {12, true, 10}, {5, false, 5}, {10, true, 10}}},
  {"a forward commit uncovers nothing, an explicit one does",
   {{8, true, 8}, {6, true, 8}, {6, false, 6}, {0, false, 5}}},
};

static void a_redelivery_starts_after_what_a_commit_covers(void)
{
  for (size_t i = 0; i < sizeof covers / sizeof *covers; i++) {
    struct uk_progress progress;
    uk_progress_start(&progress, 5);
    uk_progress_advance(&progress, 5, 6);
    uk_progress_advance(&progress, 6, 10);
    CHECK_EQ_INT(progress.redelivery, 5);
    for (size_t j = 0; j < 4 && covers[i].commits[j].redelivery > 0; j++) {
      uk_progress_cover(&progress, covers[i].commits[j].offset, covers[i].commits[j].forward);
      if (!CHECK_EQ_INT(progress.redelivery, covers[i].commits[j].redelivery))
        printf("  commit %d of \"%s\"\n", (int)j + 1, covers[i].promise);
    }
    CHECK_EQ_STR(state_of(&progress), "10 5 5 committable in-flight continues ");
    uk_progress_acknowledge(&progress);
    uk_progress_advance(&progress, 10, 11);
    CHECK_EQ_INT(progress.redelivery, 10);
  }
  struct uk_progress unknown;
  uk_progress_forget(&unknown);
  uk_progress_advance(&unknown, 3, 4);
  CHECK_EQ_INT(unknown.redelivery, 3);
}

static void misses_no_record(void)
{
  random_state = 42;
  struct uk_progress progress;
  int64_t received = 0;  /* the client has every record before this offset */
  int64_t in_store = 0;  /* the committed offset: what the next owner starts at */
  int64_t in_answer = 0; /* where the response in flight ends */
  uk_progress_start(&progress, 0);
  for (int i = 0; i < 100000; i++) {
    uint64_t what = pick(12);
    if (what < 5) { /* a request, and its response */
      uk_progress_acknowledge(&progress);
      received = received > in_answer ? received : in_answer;
      CHECK(progress.position <= received);
      in_answer = progress.position + 1 + (int64_t)pick(9);
      uk_progress_advance(&progress, progress.position, in_answer);
    } else if (what < 7) { /* the response is lost */
      uk_progress_take_back(&progress);
      in_answer = progress.position;
    } else if (what < 10 && uk_progress_is_dirty(&progress)) {
      int64_t offset = uk_progress_commit(&progress);
      if (pick(3) > 0)
        in_store = offset;
      else
        uk_progress_refused(&progress);
    } else if (what == 10) { /* the owner dies, or releases the partition after its last commit */
      uk_progress_start(&progress, in_store);
      in_answer = in_store;
    }
    CHECK(progress.delivered <= progress.position);
    CHECK(progress.delivered <= received && in_store <= received);
  }
  CHECK(received > 1000);
}

int main(void)
{
  CHECK_RUN(keeps_each_promise);
  CHECK_RUN(a_redelivery_starts_after_what_a_commit_covers);
  CHECK_RUN(misses_no_record);
  return check_end();
}
