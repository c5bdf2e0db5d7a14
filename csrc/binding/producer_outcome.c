/* What flush and close return. */
#include <inttypes.h>
#include <stdio.h>

#include "binding/failure.h"
#include "binding/producer_private.h"

enum { TEXT_SIZE = 2 * UK_SENDER_TEXT_SIZE + 256 };

/* What became of the messages since the last report. */
struct outcome {
  uint64_t given_up, pending;
  struct uk_sender_reason first; /* of those given up */
  struct uk_sender_stats stats;
};

static const char *noun(uint64_t count)
{
  return count == 1 ? "message was" : "messages were";
}

static void write_text(char *text, const struct outcome *outcome, int64_t timeout)
{
  const char *trouble = outcome->given_up > 0 ? "" : outcome->stats.trouble;
  int length = 0;
  if (outcome->given_up > 0)
    length = snprintf(text, TEXT_SIZE, "%" PRIu64 " %s given up: %s", outcome->given_up,
                      noun(outcome->given_up), outcome->first.text);
  if (outcome->pending > 0)
    snprintf(text + length, (size_t)(TEXT_SIZE - length),
             "%s%" PRIu64 " %s not delivered within %" PRId64 " ms%s%s", length > 0 ? "; " : "",
             outcome->pending, noun(outcome->pending), timeout, trouble[0] != '\0' ? ": " : "",
             trouble);
}

static void set_count(lua_State *L, const char *name, uint64_t count)
{
  uk_lua_push_exact(L, (int64_t)count);
  lua_setfield(L, -2, name);
}

/* Sets details.first. The details are on top of the stack. */
static void set_first(lua_State *L, const struct uk_sender_reason *reason)
{
  const struct uk_lua_failure failure = {.error = reason->error,
                                         .status = reason->status,
                                         .retry_after = -1,
                                         .message = uk_slice_text(reason->text)};
  uk_lua_push_failure(L, &failure);
  lua_setfield(L, -4, "first");
  lua_pop(L, 2);
}

static int push_outcome(lua_State *L, const struct outcome *outcome, int64_t timeout)
{
  char text[TEXT_SIZE];
  struct uk_lua_failure failure = {.error = UK_E_TIMEOUT, .retry_after = -1};
  if (outcome->given_up > 0) {
    failure.error = outcome->first.error;
    failure.status = outcome->first.status;
  }
  write_text(text, outcome, timeout);
  failure.message = uk_slice_text(text);
  uk_lua_push_failure(L, &failure);
  set_count(L, "given_up", outcome->given_up);
  set_count(L, "pending", outcome->pending);
  if (outcome->given_up > 0)
    set_first(L, &outcome->first);
  return 3;
}

int uk_lua_producer_outcome(lua_State *L, struct uk_lua_producer *producer,
                            struct uk_sender *sender, uint64_t pending, int64_t timeout)
{
  struct outcome outcome = {.pending = pending};
  uk_sender_stats(sender, &outcome.stats);
  const uint64_t discards = uk_sender_discards(sender, producer->reported, &outcome.first);
  /* Those that were lost when the producer was closed are among the pending ones. */
  const uint64_t reported = producer->reported + outcome.stats.lost;
  outcome.given_up = discards > reported ? discards - reported : 0;
  producer->reported = discards;
  if (outcome.given_up > 0 || pending > 0)
    return push_outcome(L, &outcome, timeout);
  lua_pushboolean(L, 1);
  return 1;
}
