/* The answer to a request: what it says about each message. */
#include <stdio.h>

#include "client/response.h"
#include "client/sender/sender_private.h"

/* All stored. */

bool uk_sender_confirmed(struct uk_sender *sender, struct uk_sender_batch *batch,
                         const struct uk_response *response, struct uk_client_failure *failure)
{
  struct uk_response_reader reader;
  struct uk_produce_result result;
  uk_response_open(&reader, response->body->data, response->body->length,
                   sender->settings.options.binary);
  reader.messages = batch->window;
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

/* Some stored. */

/* Stores the result in the record: the error, and the offset of its text in the body. The text is
 * NUL-terminated in place of the quote that closes it. */
static void store_result(struct uk_sender_record *record, const struct uk_produce_result *result,
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

/* Stores the result of each message. False when the answer is malformed: no result can be relied
 * on. */
static bool store_results(struct uk_sender_batch *batch, const struct uk_client_failure *failure,
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
    store_result(record, &result, body);
    record = uk_sender_batch_next(batch, record);
  }
  return reader.error == UK_OK && record == NULL;
}

/* The stored text of a message that failed for good. */
static struct uk_slice stored_text(const struct uk_sender_record *record,
                                   const struct uk_buffer *body)
{
  return uk_slice_text(record->text != UINT32_MAX ? body->data + record->text : "");
}

/* Sends what is left of the window as another request, after a delay. */
static void send_rest(struct uk_sender *sender, struct uk_sender_batch *batch,
                      const struct uk_client_failure *again)
{
  const int64_t attempts = batch->attempts;
  const bool left = batch->window > 0;
  uk_sender_write(sender, batch);
  if (!left || batch->state == UK_BATCH_FREE)
    return;
  batch->attempts = attempts;
  uk_sender_fail(sender, batch, again);
}

bool uk_sender_take_results(struct uk_sender *sender, struct uk_sender_batch *batch,
                            const struct uk_client_failure *failure, const struct uk_buffer *body)
{
  struct uk_client_failure again = {.retry_after = failure->retry_after};
  struct uk_sender_record *record, *next;
  if (!failure->has_results || !store_results(batch, failure, body))
    return false;
  for (record = uk_sender_batch_first(batch); record != NULL; record = next) {
    const enum uk_error error = (enum uk_error)record->outcome;
    next = uk_sender_batch_next(batch, record);
    if (error == UK_OK) {
      uk_sender_deliver_one(sender, batch, record);
    } else if (!uk_error_retriable(error) && !uk_sender_is_refusal(error)) {
      uk_sender_discard_one(sender, batch, record, error, record->status,
                            stored_text(record, body));
    } else {
      again.error = error;
      again.status = record->status;
    }
  }
  send_rest(sender, batch, &again);
  return true;
}
