#include "sender_still.h"

#include <stdlib.h>

#include "check.h"
#include "common/thread.h"

static bool set_up(struct uk_sender *sender, unsigned slots)
{
  char message[200];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  options.url = uk_slice_text("http://127.0.0.1:1");
  uk_sender_options_default(&sender->options);
  sender->options.log = false;
  sender->batched = UINT64_MAX;
  sender->slot_count = slots;
  for (unsigned i = 0; i < slots; i++)
    uk_sender_batch_init(&sender->slots[i].batch);
  uk_condition_init(&sender->changed);
  pthread_mutex_init(&sender->lock, NULL);
  pthread_mutex_init(&sender->latency_lock, NULL);
  return uk_settings_init(&sender->settings, &options, message, sizeof message) &&
         uk_sender_queue_init(&sender->queue, 1 << 18) &&
         (sender->transfers = uk_transfers_open(&sender->settings, slots)) != NULL;
}

struct uk_sender *still_open(unsigned slots)
{
  struct uk_sender *sender = calloc(1, sizeof *sender + slots * sizeof sender->slots[0]);
  if (sender == NULL || set_up(sender, slots))
    return sender;
  uk_sender_destroy(sender);
  return NULL;
}

void still_put_to(struct uk_sender *sender, const char *topic, const char *value, int64_t time)
{
  const struct uk_message message = {
    .topic = uk_slice_text(topic), .value = uk_slice_text(value), .partition = -1, .timestamp = 5};
  const size_t size = uk_sender_record_size(&message, 0);
  struct uk_sender_record *record = uk_sender_queue_reserve(&sender->queue, size);
  REQUIRE(record != NULL);
  uk_sender_record_write(record, size, &message, uk_slice_of(NULL, 0));
  record->queued = time;
  uk_sender_queue_commit(&sender->queue, record);
}

void still_put(struct uk_sender *sender, const char *value, int64_t time)
{
  still_put_to(sender, "t", value, time);
}

void still_fill(struct uk_sender *sender, struct uk_sender_slot *slot)
{
  struct uk_sender_run run;
  uk_sender_run_open(&run, &sender->queue);
  CHECK(uk_sender_batch_fill(&slot->batch, &run, 1 << 18, 10000));
  uk_sender_run_close(&run, &sender->queue);
  sender->counts.in_flight += run.messages;
  uk_sender_write(sender, slot);
}

void still_start(struct uk_sender *sender, struct uk_sender_slot *slot)
{
  CHECK_EQ_INT(slot->state, UK_SLOT_READY);
  slot->state = UK_SLOT_SENDING;
  sender->sending++;
}

void still_fail(struct uk_sender *sender, struct uk_sender_slot *slot, enum uk_error error,
                int status, const char *text, int64_t retry_after)
{
  struct uk_client_failure failure = {.error = error, .status = status, .retry_after = retry_after};
  if (text != NULL)
    failure.message = uk_slice_text(text);
  sender->sending--;
  uk_sender_fail(sender, slot, &failure);
}

void still_check_counts(const struct uk_sender *sender, uint64_t delivered, uint64_t failed,
                        uint64_t in_flight)
{
  CHECK_EQ_INT(sender->counts.delivered, delivered);
  CHECK_EQ_INT(sender->counts.failed, failed);
  CHECK_EQ_INT(sender->counts.in_flight, in_flight);
}

void still_check_failure(struct uk_sender *sender, const char *value, enum uk_error error,
                         int status, const char *text)
{
  struct uk_sender_failures *kept = &sender->failures;
  struct uk_message message;
  struct uk_sender_failure *failure = kept->first;
  REQUIRE(failure != NULL);
  const struct uk_sender_record *record = uk_sender_failure_record(failure);
  uk_sender_record_read(record, &message);
  CHECK_EQ_SLICE(message.value, value);
  CHECK_EQ_INT(failure->error, error);
  CHECK_EQ_INT(failure->status, status);
  CHECK_EQ_STR(failure->text, text);
  kept->first = failure->next;
  if (kept->first == NULL)
    kept->last = NULL;
  kept->count--;
  kept->bytes -= record->size;
  free(failure);
}
