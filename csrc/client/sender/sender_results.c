/* The answer to a window: what it says of each message. */
#include <stdio.h>

#include "client/response.h"
#include "client/sender/sender_private.h"

/* ---- all stored ---- */

bool uk_sender_confirmed(struct uk_sender *sender, struct uk_sender_slot *slot,
                         const struct uk_response *response, struct uk_client_failure *failure)
{
  struct uk_response_reader reader;
  struct uk_produce_result result;
  uk_response_open(&reader, response->body->data, response->body->length,
                   sender->settings.options.binary);
  reader.messages = slot->batch.window;
  if (uk_response_list(&reader))
    while (uk_response_result(&reader, &result))
      if (result.error != UK_OK)
        uk_response_fail(&reader, UK_E_BAD_RESPONSE, "the response: a failure among the metadata");
  uk_response_close(&reader);
  *failure = (struct uk_client_failure){
    .error = reader.error, .status = response->status, .retry_after = -1};
  snprintf(failure->text, sizeof failure->text, "%s", reader.message);
  if (failure->text[0] != '\0')
    failure->message = uk_slice_text(failure->text);
  return reader.error == UK_OK;
}

/* ---- some stored ---- */

/* Notes in the record what became of it: an error, and where in the body its text stands, NUL-terminated
 * over the quote that closed it. */
static void note(struct uk_sender_record *record, const struct uk_produce_result *result,
                 const struct uk_buffer *body)
{
  record->outcome = (uint16_t)result->error;
  record->status = (uint16_t)result->status;
  record->text = UINT32_MAX;
  if (result->message.data == NULL || result->message.length == 0)
    return;
  const size_t at = (size_t)(result->message.data - body->data);
  body->data[at + result->message.length] = '\0';
  if (at < UINT32_MAX)
    record->text = (uint32_t)at;
}

/* False when the answer is not as it should be; no note can then be relied on. */
static bool note_all(struct uk_sender_batch *batch, const struct uk_client_failure *failure,
                     const struct uk_buffer *body)
{
  struct uk_response_reader reader;
  struct uk_produce_result result;
  struct uk_sender_record *record = uk_sender_batch_first(batch);
  if (!uk_response_results(&reader, failure, batch->window))
    return false;
  while (uk_response_result(&reader, &result)) {
    if (record == NULL)
      return false; /* more results than messages */
    note(record, &result, body);
    record = uk_sender_batch_next(batch, record);
  }
  return reader.error == UK_OK && record == NULL;
}

/* What was noted, of a message that failed for good. */
static struct uk_slice noted_text(const struct uk_sender_record *record,
                                  const struct uk_buffer *body)
{
  return uk_slice_text(record->text != UINT32_MAX ? body->data + record->text : "");
}

/* What is left of the window is another request: with some to be tried again, after a while. */
static void go_on(struct uk_sender *sender, struct uk_sender_slot *slot,
                  const struct uk_client_failure *again)
{
  const int64_t attempts = slot->attempts;
  const bool left = slot->batch.window > 0;
  uk_sender_write(sender, slot);
  if (!left || slot->state == UK_SLOT_FREE)
    return;
  slot->attempts = attempts;
  uk_sender_fail(sender, slot, again);
}

bool uk_sender_take_results(struct uk_sender *sender, struct uk_sender_slot *slot,
                            const struct uk_client_failure *failure, const struct uk_buffer *body)
{
  struct uk_sender_batch *batch = &slot->batch;
  struct uk_client_failure again = {.retry_after = failure->retry_after};
  struct uk_sender_record *record, *next;
  if (!failure->has_results || !note_all(batch, failure, body))
    return false;
  for (record = uk_sender_batch_first(batch); record != NULL; record = next) {
    const enum uk_error error = (enum uk_error)record->outcome;
    next = uk_sender_batch_next(batch, record);
    if (error == UK_OK) {
      uk_sender_deliver_one(sender, slot, record);
    } else if (!uk_error_retriable(error)) {
      uk_sender_discard_one(sender, slot, record, error, record->status, noted_text(record, body));
    } else {
      again.error = error;
      again.status = record->status;
    }
  }
  go_on(sender, slot, &again);
  return true;
}
