#include "sender_still.h"

#include <stdlib.h>

#include "check.h"
#include "common/thread.h"

static bool set_up(struct uk_sender *sender, unsigned batches)
{
  char message[200];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  options.url = uk_slice_text("http://127.0.0.1:1");
  uk_sender_options_default(&sender->options);
  sender->options.log = false;
  sender->oldest_batched = UINT64_MAX;
  sender->batch_count = batches;
  for (unsigned i = 0; i < batches; i++)
    uk_sender_batch_init(&sender->batches[i]);
  uk_condition_init(&sender->changed);
  pthread_mutex_init(&sender->lock, NULL);
  pthread_mutex_init(&sender->latency_lock, NULL);
  return uk_settings_init(&sender->settings, &options, message, sizeof message) &&
         uk_sender_queue_init(&sender->queue, 1 << 18) &&
         (sender->transfers = uk_transfers_open(&sender->settings, batches)) != NULL;
}

struct uk_sender *still_open(unsigned batches)
{
  struct uk_sender *sender = calloc(1, sizeof *sender + batches * sizeof sender->batches[0]);
  if (sender == NULL || set_up(sender, batches))
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

void still_fill(struct uk_sender *sender, struct uk_sender_batch *batch)
{
  struct uk_queue_reader reader;
  uk_queue_reader_open(&reader, &sender->queue);
  CHECK(uk_sender_batch_fill(batch, &reader, 1 << 18, 10000));
  uk_queue_reader_close(&reader, &sender->queue);
  sender->counts.in_flight += reader.messages;
  uk_sender_write(sender, batch);
}

void still_start(struct uk_sender *sender, struct uk_sender_batch *batch)
{
  CHECK_EQ_INT(batch->state, UK_BATCH_READY);
  batch->state = UK_BATCH_SENDING;
  sender->sending++;
}

void still_fail(struct uk_sender *sender, struct uk_sender_batch *batch, enum uk_error error,
                int status, const char *text, int64_t retry_after)
{
  struct uk_client_failure failure = {.error = error, .status = status, .retry_after = retry_after};
  if (text != NULL)
    failure.message = uk_slice_text(text);
  sender->sending--;
  uk_sender_fail(sender, batch, &failure);
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
  struct uk_sender_failure *failure = UK_LIST_FIRST(&kept->list, struct uk_sender_failure, link);
  REQUIRE(failure != NULL);
  const struct uk_sender_record *record = uk_sender_failure_record(failure);
  uk_sender_record_read(record, &message);
  CHECK_EQ_SLICE(message.value, value);
  CHECK_EQ_INT(failure->error, error);
  CHECK_EQ_INT(failure->status, status);
  CHECK_EQ_STR(failure->text, text);
  uk_list_remove(&failure->link);
  kept->count--;
  kept->bytes -= record->size;
  free(failure);
}
