/* for: produce_outcome.c */
#include "server/engine/produce_outcome.h"

#include "check.h"

enum { RECORDS = 3 };

static struct uk_record records[RECORDS];
static struct uk_produce produce;

static void conclude(enum uk_error first, enum uk_error second, enum uk_error third)
{
  const enum uk_error errors[RECORDS] = {first, second, third};
  for (size_t i = 0; i < RECORDS; i++)
    records[i] = (struct uk_record){.topic = uk_slice_text("t"),
                                    .partition = (int32_t)i,
                                    .error = errors[i],
                                    .reason = errors[i] != UK_OK ? "no" : NULL};
  produce = (struct uk_produce){.records = records, .count = RECORDS, .each = true};
  uk_produce_conclude(&produce);
}

static void check_ended(enum uk_error error, bool each, const char *message)
{
  CHECK_EQ_INT(produce.operation.error, error);
  CHECK_EQ_INT(produce.each, each);
  CHECK_EQ_STR(produce.operation.message, message);
}

static void stored_records_are_no_error(void)
{
  conclude(UK_OK, UK_OK, UK_OK);
  check_ended(UK_OK, false, "");
}

/* The records alone decide: what the operation said before is forgotten. */
static void an_earlier_outcome_does_not_count(void)
{
  conclude(UK_E_TOO_LARGE, UK_OK, UK_OK);
  CHECK(produce.each && produce.operation.error == UK_E_TOO_LARGE);
  for (size_t i = 0; i < produce.count; i++)
    produce.records[i].error = UK_OK;
  uk_produce_conclude(&produce);
  CHECK_EQ_INT(produce.operation.error, UK_OK);
  CHECK(!produce.each);
}

static void equal_failures_are_one_error(void)
{
  conclude(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE);
  check_ended(UK_E_UNAVAILABLE, false,
              "[0]: topic \"t\" partition 0: no; all of 3 messages failed");
  produce.count = 1;
  records[0].partition = -1;
  records[0].reason = NULL;
  uk_produce_conclude(&produce);
  check_ended(UK_E_UNAVAILABLE, false, "topic \"t\": the server cannot serve this now");
}

static void permanent_errors_come_before_transient_ones(void)
{
  conclude(UK_E_UNAVAILABLE, UK_E_TOO_LARGE, UK_OK);
  check_ended(UK_E_TOO_LARGE, true,
              "[1]: topic \"t\" partition 1: no; 2 of 3 messages failed, the others are stored");
  conclude(UK_E_GATEWAY_TIMEOUT, UK_E_FORBIDDEN, UK_E_TOO_LARGE);
  check_ended(UK_E_FORBIDDEN, true, "[1]: topic \"t\" partition 1: no; all of 3 messages failed");
}

/* A 503 promises that nothing was carried out, so clients retry the whole request. */
static void a_partly_stored_produce_is_never_unavailable(void)
{
  conclude(UK_OK, UK_OK, UK_E_UNAVAILABLE);
  check_ended(UK_E_GATEWAY_TIMEOUT, true,
              "[2]: topic \"t\" partition 2: no; 1 of 3 messages failed, the others are stored");
  conclude(UK_E_TOO_MANY, UK_OK, UK_OK);
  CHECK_EQ_INT(produce.operation.error, UK_E_GATEWAY_TIMEOUT);
  conclude(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE, UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_INT(produce.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK(produce.each);
  CHECK_EQ_INT(records[0].error, UK_E_UNAVAILABLE);
}

static void a_possibly_stored_produce_says_so(void)
{
  conclude(UK_E_GATEWAY_TIMEOUT, UK_OK, UK_OK);
  produce.count = 1;
  uk_produce_conclude(&produce);
  check_ended(UK_E_GATEWAY_TIMEOUT, false, "topic \"t\" partition 0: no; it may have been stored");
}

static void different_reasons_are_kept_apart(void)
{
  conclude(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE, UK_E_UNAVAILABLE);
  records[1].reason = "never";
  uk_produce_conclude(&produce);
  check_ended(UK_E_UNAVAILABLE, true, "[0]: topic \"t\" partition 0: no; all of 3 messages failed");
}

int main(void)
{
  CHECK_RUN(stored_records_are_no_error);
  CHECK_RUN(an_earlier_outcome_does_not_count);
  CHECK_RUN(equal_failures_are_one_error);
  CHECK_RUN(permanent_errors_come_before_transient_ones);
  CHECK_RUN(a_partly_stored_produce_is_never_unavailable);
  CHECK_RUN(a_possibly_stored_produce_says_so);
  CHECK_RUN(different_reasons_are_kept_apart);
  return check_end();
}
