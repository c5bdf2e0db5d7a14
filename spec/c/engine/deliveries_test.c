/* Deliveries: what a request leads to, row by row. For: deliveries.c, deliveries.h. */
#include <errno.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "server/engine/deliveries.h"
#include "server/engine/engine.h"

#define NONCE "00112233445566778899aabb"

enum action {
  END_OF_ROW,
  DELIVER,   /* a new batch is on its way; its number */
  REDELIVER, /* the batch again, as this delivery */
  PLAIN,     /* a request without headers: what it leads to. It acknowledges, if it does. */
  NONE,      /* with `Kafka-Ack: none` */
  ACK,       /* with `Kafka-Ack` of this batch */
  REFUSED,   /* with `Kafka-Ack` of this batch: a conflict */
  ENDS,      /* nothing is left of the batch */
  WRITTEN,   /* the response of this delivery was written in full; 1: what waits decides again */
  DOUBTED,   /* it may still be on its way */
  FAILED
};

enum {
  GO_ON = UK_DELIVERIES_CONTINUE,
  ACKED = UK_DELIVERIES_ACKNOWLEDGE,
  AGAIN = UK_DELIVERIES_REDELIVER,
  WAITS = UK_DELIVERIES_WAIT
};

static const struct {
  const char *promise;
  struct {
    enum action action;
    uint64_t number;
    int result;
  } steps[12];
} rows[] = {
  {"an instance without batches goes on, and knows no ID",
   {{PLAIN, 0, GO_ON},
    {NONE, 0, GO_ON},
    {REFUSED, 0, 0},
    {REFUSED, 1, 0},
    {WRITTEN, 0, 0},
    {FAILED, 1, 0}}},
  {"a response that was written is acknowledged by the next request, once",
   {{DELIVER, 3, 0}, {WRITTEN, 3, 1}, {PLAIN, 0, ACKED}, {PLAIN, 0, GO_ON}, {NONE, 0, GO_ON}}},
  {"A11: a request in the middle of a response waits until it was written",
   {{DELIVER, 3, 0}, {PLAIN, 0, WAITS}, {PLAIN, 0, WAITS}, {WRITTEN, 3, 1}, {PLAIN, 0, ACKED}}},
  {"A11: a request in the middle of a response that fails gets the batch again",
   {{DELIVER, 3, 0},
    {PLAIN, 0, WAITS},
    {FAILED, 3, 1},
    {PLAIN, 0, AGAIN},
    {REDELIVER, 4, 0},
    {PLAIN, 0, WAITS},
    {WRITTEN, 4, 1},
    {PLAIN, 0, ACKED}}},
  {"a batch whose write fails comes again until one is written",
   {{DELIVER, 3, 0},
    {FAILED, 3, 1},
    {PLAIN, 0, AGAIN},
    {REDELIVER, 4, 0},
    {FAILED, 4, 1},
    {PLAIN, 0, AGAIN},
    {REDELIVER, 9, 0},
    {WRITTEN, 9, 1},
    {PLAIN, 0, ACKED}}},
  {"a batch whose redelivery cannot be made stays as it was",
   {{DELIVER, 3, 0}, {FAILED, 3, 1}, {PLAIN, 0, AGAIN}, {PLAIN, 0, AGAIN}, {ACK, 3, ACKED}}},
  {"an ID acknowledges though the write failed",
   {{DELIVER, 3, 0}, {FAILED, 3, 1}, {ACK, 3, ACKED}, {ACK, 3, GO_ON}, {PLAIN, 0, GO_ON}}},
  {"an ID acknowledges at once, and the outcome of the response counts no more",
   {{DELIVER, 3, 0},
    {ACK, 3, ACKED},
    {FAILED, 3, 0},
    {WRITTEN, 3, 0},
    {DELIVER, 4, 0},
    {PLAIN, 0, WAITS}}},
  {"the ID of the last acknowledged batch asks for the next one again, even in the middle of it",
   {{DELIVER, 3, 0},
    {ACK, 3, ACKED},
    {DELIVER, 4, 0},
    {ACK, 3, AGAIN},
    {REDELIVER, 5, 0},
    {WRITTEN, 4, 0},
    {PLAIN, 0, WAITS},
    {ACK, 3, AGAIN},
    {WRITTEN, 5, 1},
    {ACK, 3, AGAIN},
    {ACK, 4, ACKED},
    {REFUSED, 3, 0}}},
  {"`none` asks again, even when the batch was written or still is",
   {{DELIVER, 3, 0},
    {NONE, 0, AGAIN},
    {WRITTEN, 3, 1},
    {NONE, 0, AGAIN},
    {REDELIVER, 4, 0},
    {NONE, 0, AGAIN},
    {REDELIVER, 5, 0},
    {FAILED, 4, 0},
    {PLAIN, 0, WAITS},
    {WRITTEN, 5, 1},
    {PLAIN, 0, ACKED}}},
  {"the ID of a batch stays that of its first delivery",
   {{DELIVER, 3, 0}, {FAILED, 3, 1}, {REDELIVER, 7, 0}, {REFUSED, 7, 0}, {ACK, 3, ACKED}}},
  {"of earlier batches only the last acknowledged one is known",
   {{DELIVER, 3, 0},
    {ACK, 3, ACKED},
    {DELIVER, 4, 0},
    {WRITTEN, 4, 1},
    {PLAIN, 0, ACKED},
    {REFUSED, 3, 0},
    {ACK, 4, GO_ON},
    {DELIVER, 5, 0},
    {REFUSED, 3, 0},
    {REFUSED, 6, 0},
    {ACK, 4, AGAIN},
    {ACK, 5, ACKED}}},
  {"a batch that ended counts as acknowledged",
   {{DELIVER, 3, 0},
    {FAILED, 3, 1},
    {ENDS, 0, 0},
    {PLAIN, 0, GO_ON},
    {ACK, 3, GO_ON},
    {DELIVER, 4, 0},
    {ACK, 3, AGAIN},
    {ACK, 4, ACKED}}},
  {"a batch that was acknowledged while it was read again stays so",
   {{DELIVER, 3, 0},
    {FAILED, 3, 1},
    {ACK, 3, ACKED},
    {REDELIVER, 4, 0},
    {FAILED, 4, 0},
    {PLAIN, 0, GO_ON},
    {ACK, 3, GO_ON}}},
  {"only the last delivery counts, and once",
   {{DELIVER, 3, 0},
    {FAILED, 2, 0},
    {WRITTEN, 4, 0},
    {PLAIN, 0, WAITS},
    {WRITTEN, 3, 1},
    {WRITTEN, 3, 0},
    {PLAIN, 0, ACKED},
    {FAILED, 3, 0},
    {PLAIN, 0, GO_ON}}},
  {"A11: a response that was written, and whose connection is reset, comes again",
   {{DELIVER, 3, 0},
    {WRITTEN, 3, 1},
    {FAILED, 3, 1},
    {WRITTEN, 3, 0},
    {DOUBTED, 3, 0},
    {PLAIN, 0, AGAIN},
    {REDELIVER, 4, 0},
    {FAILED, 3, 0},
    {WRITTEN, 4, 1},
    {PLAIN, 0, ACKED}}},
  {"A11: a request waits while a response that was written is in doubt",
   {{DELIVER, 3, 0},
    {WRITTEN, 3, 1},
    {DOUBTED, 3, 0},
    {PLAIN, 0, WAITS},
    {DOUBTED, 3, 0},
    {WRITTEN, 3, 1},
    {DOUBTED, 3, 0},
    {FAILED, 3, 1},
    {PLAIN, 0, AGAIN}}},
};

static struct uk_acknowledgement acknowledgement(enum action action, uint64_t number)
{
  static char id[UK_BATCH_ID_SIZE];
  struct uk_acknowledgement made = {.kind = UK_ACKNOWLEDGE_WRITTEN};
  if (action == NONE)
    made.kind = UK_ACKNOWLEDGE_NONE;
  if (action == ACK || action == REFUSED) {
    made.kind = UK_ACKNOWLEDGE_BATCH;
    uk_batch_id_write(id, NONCE, number);
    made.batch = uk_slice_text(id);
  }
  return made;
}

static int ask(struct uk_deliveries *deliveries, enum action action, uint64_t number)
{
  struct uk_acknowledgement said = acknowledgement(action, number);
  struct uk_deliveries before = *deliveries;
  bool accepted = uk_deliveries_accepts(deliveries, NONCE, &said);
  CHECK(accepted == (action != REFUSED));
  int decision = accepted ? (int)uk_deliveries_decide(deliveries, NONCE, &said) : 0;
  CHECK_EQ_MEM((const char *)deliveries, sizeof before, (const char *)&before, sizeof before);
  if (decision == ACKED) {
    CHECK(!uk_deliveries_acknowledge(deliveries, deliveries->batch + 1));
    CHECK(uk_deliveries_outstanding(deliveries));
    CHECK(uk_deliveries_acknowledge(deliveries, deliveries->batch));
    CHECK(!uk_deliveries_acknowledge(deliveries, deliveries->batch));
  }
  return decision;
}

static int take(struct uk_deliveries *deliveries, enum action action, uint64_t number)
{
  switch (action) {
  case DELIVER: uk_deliveries_deliver(deliveries, number); return 0;
  case REDELIVER: uk_deliveries_redeliver(deliveries, number); return 0;
  case ENDS: uk_deliveries_end(deliveries); return 0;
  case WRITTEN: return uk_deliveries_response_finished(deliveries, number, UK_RESPONSE_WRITTEN);
  case DOUBTED: return uk_deliveries_response_finished(deliveries, number, UK_RESPONSE_PENDING);
  case FAILED: return uk_deliveries_response_finished(deliveries, number, UK_RESPONSE_FAILED);
  default: return ask(deliveries, action, number);
  }
}

static void keeps_each_promise(void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_deliveries deliveries = {0};
    for (size_t j = 0; j < 12 && rows[i].steps[j].action != END_OF_ROW; j++) {
      int result = take(&deliveries, rows[i].steps[j].action, rows[i].steps[j].number);
      if (!CHECK_EQ_INT(result, rows[i].steps[j].result))
        printf("  step %d of \"%s\"\n", (int)j + 1, rows[i].promise);
    }
  }
}

static void only_the_exact_id_matches(void)
{
  static const char *const ids[] = {
    "",          NONCE "-03", NONCE "-3 ", NONCE "-",
    NONCE "-30", "-3",        "3",         "00112233445566778899aabc-3",
    NONCE "3",   NONCE "-0",  "none"};
  struct uk_deliveries deliveries = {0};
  uk_deliveries_deliver(&deliveries, 3);
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    struct uk_acknowledgement said = {UK_ACKNOWLEDGE_BATCH, uk_slice_text(ids[i]), false};
    CHECK(!uk_deliveries_accepts(&deliveries, NONCE, &said));
  }
  struct uk_acknowledgement right = {UK_ACKNOWLEDGE_BATCH, uk_slice_text(NONCE "-3"), false};
  CHECK(uk_deliveries_accepts(&deliveries, NONCE, &right));
}

static void a_conflict_names_the_header_and_the_way_out(void)
{
  static const char end[] =
    "is neither the last one that was sent to this consumer instance nor the "
    "last one that it acknowledged: send Kafka-Ack: none to get what is "
    "outstanding";
  struct uk_operation operation = {.error = UK_OK};
  char want[UK_MESSAGE_SIZE], longest[100];
  struct uk_acknowledgement said = {UK_ACKNOWLEDGE_BATCH, uk_slice_text("zzz"), false};
  uk_deliveries_refuse(&said, &operation);
  CHECK_EQ_INT(operation.error, UK_E_CONFLICT);
  snprintf(want, sizeof want, "Kafka-Ack: batch \"zzz\" %s", end);
  CHECK_EQ_STR(operation.message, want);
  memset(longest, 'x', sizeof longest);
  said = (struct uk_acknowledgement){UK_ACKNOWLEDGE_BATCH, uk_slice_of(longest, 65), true};
  uk_deliveries_refuse(&said, &operation);
  snprintf(want, sizeof want, "Kafka-Commit: batch \"%.64s\" %s", longest, end);
  CHECK_EQ_STR(operation.message, want);
}

static void ids_are_short_and_never_come_twice(void)
{
  char nonce[UK_BATCH_NONCE_SIZE], other[UK_BATCH_NONCE_SIZE], id[UK_BATCH_ID_SIZE];
  CHECK(uk_batch_nonce_make(nonce) && uk_batch_nonce_make(other));
  CHECK_EQ_INT(strlen(nonce), 24);
  CHECK_EQ_INT(strspn(nonce, "0123456789abcdef"), 24);
  CHECK(strcmp(nonce, other) != 0);
  uk_batch_id_write(id, nonce, UINT64_MAX);
  CHECK_EQ_INT(strlen(id), 24 + 1 + 20);
  CHECK_EQ_STR(id + 24, "-18446744073709551615");
  CHECK(memcmp(id, nonce, 24) == 0);
}

static int bytes_short; /* of what is asked for; above it: the system gives none */

/* In front of that of libc. */
__attribute__((visibility("default"))) ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
  CHECK_EQ_INT(flags, 0);
  errno = ENOSYS;
  if (bytes_short > (int)size)
    return -1;
  return syscall(SYS_getrandom, bytes, size - (size_t)bytes_short, flags);
}

/* A part of a nonce could come twice. */
static void no_nonce_is_made_without_random_bytes(void)
{
  char nonce[UK_BATCH_NONCE_SIZE];
  for (bytes_short = 1; bytes_short <= UK_BATCH_NONCE_SIZE; bytes_short++)
    CHECK(!uk_batch_nonce_make(nonce));
  bytes_short = 0;
  CHECK(uk_batch_nonce_make(nonce));
}

int main(void)
{
  CHECK_RUN(no_nonce_is_made_without_random_bytes);
  CHECK_RUN(keeps_each_promise);
  CHECK_RUN(only_the_exact_id_matches);
  CHECK_RUN(a_conflict_names_the_header_and_the_way_out);
  CHECK_RUN(ids_are_short_and_never_come_twice);
  return check_end();
}
