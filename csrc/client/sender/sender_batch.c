#include "client/sender/sender_batch.h"

#include "common/gzip.h"

enum { WIDER = 4 };
enum { RECORDS_KEPT = 4 << 20, BODY_KEPT = 8 << 20 }; /* bytes kept for the next batch */

void uk_sender_batch_init(struct uk_sender_batch *batch)
{
  *batch = (struct uk_sender_batch){.pending = 0};
  uk_buffer_init(&batch->records, SIZE_MAX / 2);
  uk_client_request_init(&batch->request);
  uk_buffer_init(&batch->packed, UK_REQUEST_BODY_MAX);
}

void uk_sender_batch_free(struct uk_sender_batch *batch)
{
  uk_buffer_free(&batch->records);
  uk_client_request_free(&batch->request);
  uk_buffer_free(&batch->packed);
}

static struct uk_sender_record *record_at(struct uk_sender_batch *batch, size_t at)
{
  return (struct uk_sender_record *)(void *)(batch->records.data + at);
}

static size_t place_of(const struct uk_sender_batch *batch, const struct uk_sender_record *record)
{
  return (size_t)((const char *)record - batch->records.data);
}

/* Empties the batch, and frees the memory of an unusually large one. */
static void empty(struct uk_sender_batch *batch)
{
  if (batch->records.capacity > RECORDS_KEPT)
    uk_buffer_free(&batch->records);
  if (batch->request.body.capacity > BODY_KEPT)
    uk_buffer_free(&batch->request.body);
  if (batch->packed.capacity > BODY_KEPT)
    uk_buffer_free(&batch->packed);
  uk_buffer_clear(&batch->records);
  batch->start = batch->end = batch->pending = batch->window = 0;
}

bool uk_sender_batch_fill(struct uk_sender_batch *batch, struct uk_queue_reader *reader,
                          size_t bytes, size_t messages)
{
  const struct uk_sender_record *record;
  empty(batch);
  while (batch->pending < messages && (record = uk_queue_reader_next(reader)) != NULL) {
    if (batch->pending > 0 && record->size > bytes - batch->records.length)
      break;
    if (uk_buffer_append(&batch->records, record, record->size) != UK_OK)
      break;
    uk_queue_reader_pass(reader, record);
    batch->pending++;
    if (batch->records.length >= bytes)
      break;
  }
  if (batch->pending > 0)
    batch->oldest = record_at(batch, 0)->sequence;
  batch->most = messages;
  return batch->pending > 0;
}

/* The first record from `at` on that has none of the flags; NULL when there is none before
 * `end`. */
static struct uk_sender_record *without(struct uk_sender_batch *batch, unsigned flags, size_t at,
                                        size_t end)
{
  while (at < end) {
    struct uk_sender_record *record = record_at(batch, at);
    if ((record->flags & flags) == 0)
      return record;
    at += record->size;
  }
  return NULL;
}

static struct uk_sender_record *unresolved(struct uk_sender_batch *batch, size_t at, size_t end)
{
  return without(batch, UK_RECORD_RESOLVED, at, end);
}

struct uk_sender_record *uk_sender_batch_first(struct uk_sender_batch *batch)
{
  return unresolved(batch, batch->start, batch->end);
}

struct uk_sender_record *uk_sender_batch_next(struct uk_sender_batch *batch,
                                              struct uk_sender_record *record)
{
  return unresolved(batch, place_of(batch, record) + record->size, batch->end);
}

static struct uk_slice topic_of(const struct uk_sender_record *record)
{
  return uk_slice_of((const char *)(record + 1), record->topic_length);
}

/* Opens a window of at most `most` messages at the first pending one. */
static void open_window(struct uk_sender_batch *batch, size_t most)
{
  struct uk_sender_record *record = unresolved(batch, batch->start, batch->records.length);
  const struct uk_slice topic = topic_of(record);
  batch->start = place_of(batch, record);
  batch->oldest = record->sequence;
  batch->window = 0;
  batch->mixed = false;
  while (record != NULL && batch->window < most) {
    batch->mixed = batch->mixed || !uk_slice_equal(topic, topic_of(record));
    batch->end = place_of(batch, record) + record->size;
    batch->window++;
    record = unresolved(batch, batch->end, batch->records.length);
  }
}

static void write_message(struct uk_sender_batch *batch, const struct uk_sender_record *record)
{
  struct uk_message message;
  struct uk_slice key, value, headers = uk_sender_record_read(record, &message);
  if (!batch->mixed)
    message.topic = uk_slice_of(NULL, 0);
  uk_client_request_message_begin(&batch->request, &message);
  while (uk_sender_header_next(&headers, &key, &value))
    uk_client_request_message_header(&batch->request, key, value);
  uk_client_request_message_end(&batch->request);
}

/* Compresses the body if that makes it smaller. Without memory the body stays as it is. */
static void pack(struct uk_sender_batch *batch)
{
  struct uk_client_request *request = &batch->request;
  const struct uk_buffer body = request->body;
  uk_buffer_clear(&batch->packed);
  if (body.error != UK_OK || body.length < UK_GZIP_LEAST ||
      uk_gzip(&batch->packed, uk_buffer_slice(&body)) != UK_OK ||
      batch->packed.length >= body.length)
    return;
  request->body = batch->packed;
  batch->packed = body;
  uk_client_request_header(request, uk_slice_text("Content-Encoding"), uk_slice_text("gzip"));
}

static void write_messages(struct uk_sender_batch *batch)
{
  struct uk_client_request *request = &batch->request;
  uk_client_request_list(request);
  for (struct uk_sender_record *record = uk_sender_batch_first(batch);
       record != NULL && request->body.error == UK_OK; record = uk_sender_batch_next(batch, record))
    write_message(batch, record);
  uk_client_request_list_end(request);
}

enum uk_error uk_sender_batch_write(struct uk_sender_batch *batch, bool binary, bool gzip,
                                    const char *key)
{
  struct uk_client_request *request = &batch->request;
  open_window(batch, batch->most);
  struct uk_slice topic = topic_of(uk_sender_batch_first(batch));
  uk_client_request_begin(request, batch->mixed ? UK_ENDPOINT_PRODUCE : UK_ENDPOINT_PRODUCE_TOPIC,
                          binary, &topic);
  uk_client_request_key(request, key);
  write_messages(batch);
  if (gzip)
    pack(batch);
  return uk_client_request_end(request);
}

struct uk_sender_record *uk_sender_batch_live(struct uk_sender_batch *batch,
                                              const struct uk_sender_record *record)
{
  const size_t at = record != NULL ? place_of(batch, record) + record->size : batch->start;
  return without(batch, UK_RECORD_RESOLVED | UK_RECORD_EXPIRED, at, batch->records.length);
}

bool uk_sender_batch_is_awaited(struct uk_sender_batch *batch)
{
  return without(batch, UK_RECORD_RESOLVED | UK_RECORD_EXPIRED, batch->start, batch->end) != NULL;
}

void uk_sender_batch_resolve_expired(struct uk_sender_batch *batch)
{
  for (size_t at = batch->start; at < batch->records.length; at += record_at(batch, at)->size) {
    struct uk_sender_record *record = record_at(batch, at);
    const unsigned flags = record->flags & (UK_RECORD_RESOLVED | UK_RECORD_EXPIRED);
    batch->pending -= flags == UK_RECORD_EXPIRED;
    if (flags == UK_RECORD_EXPIRED)
      record->flags |= UK_RECORD_RESOLVED;
  }
}

void uk_sender_batch_resolve(struct uk_sender_batch *batch, struct uk_sender_record *record)
{
  record->flags |= UK_RECORD_RESOLVED;
  batch->pending--;
  batch->window--;
}

void uk_sender_batch_widen(struct uk_sender_batch *batch)
{
  if (batch->most < SIZE_MAX / WIDER)
    batch->most *= WIDER;
}

void uk_sender_batch_narrow(struct uk_sender_batch *batch, int64_t index)
{
  if (index > 0 && (uint64_t)index < batch->window)
    batch->most = (size_t)index;
  else
    batch->most = index == 0 ? 1 : batch->window / 2;
}

void uk_sender_batch_select_all(struct uk_sender_batch *batch)
{
  if (batch->pending > 0)
    open_window(batch, SIZE_MAX);
}
