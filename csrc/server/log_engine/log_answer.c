#include "server/log_engine/log_answer.h"

#include "server/log_engine/log_bytes.h"

/* Writing. */

void uk_log_answer_init(struct uk_log_answer_writer *writer)
{
  *writer = (struct uk_log_answer_writer){.number = 0};
  uk_buffer_init(&writer->bytes, UK_LOG_ANSWER_BYTES_MAX);
}

void uk_log_answer_free(struct uk_log_answer_writer *writer)
{
  uk_buffer_free(&writer->bytes);
}

void uk_log_answer_begin(struct uk_log_answer_writer *writer, const uint8_t *fingerprint,
                         uint64_t end, int64_t timestamp)
{
  uint8_t header[UK_LOG_ANSWER_HEADER];
  if (writer->bytes.capacity > UK_LOG_ANSWER_KEEP)
    uk_buffer_free(&writer->bytes);
  uk_buffer_clear(&writer->bytes);
  writer->number++;
  writer->places = 0;
  memcpy(header, fingerprint, 16);
  uk_store_u64(header + 16, end);
  uk_store_u64(header + 24, (uint64_t)timestamp);
  uk_buffer_append(&writer->bytes, header, sizeof header);
}

static void end_run(struct uk_log_answer_writer *writer)
{
  uint8_t bytes[5 * UK_VARINT_MAX];
  const struct uk_log_staged *first = writer->first;
  bool several = writer->run > 1;
  if (writer->run == 0)
    return;
  uint8_t *at = uk_put_varint(bytes, (uint64_t)writer->place << 1 | several);
  if (several)
    at = uk_put_varint(at, writer->run - 2);
  if (first != NULL) {
    at = uk_put_varint(at, first->partition->topic->id);
    at = uk_put_varint(at, (uint64_t)first->partition->index);
    at = uk_put_varint(at, (uint64_t)first->offset);
  }
  uk_buffer_append(&writer->bytes, bytes, (size_t)(at - bytes));
  writer->run = 0;
}

void uk_log_answer_add(struct uk_log_answer_writer *writer, const struct uk_log_staged *record)
{
  struct uk_log_partition *partition = record->partition;
  bool is_first = partition->answer != writer->number;
  if (is_first) {
    partition->answer = writer->number;
    partition->answer_place = writer->places++;
  }
  if (writer->run == 0 || writer->place != partition->answer_place) {
    end_run(writer);
    writer->place = partition->answer_place;
    writer->first = is_first ? record : NULL;
  }
  writer->run++;
}

struct uk_buffer *uk_log_answer_end(struct uk_log_answer_writer *writer)
{
  end_run(writer);
  return writer->bytes.error == UK_OK ? &writer->bytes : NULL;
}

/* Reading. */

static const uint8_t *header_of(struct uk_slice answer)
{
  return (const uint8_t *)answer.data;
}

uint64_t uk_log_answer_ends(struct uk_slice answer)
{
  return uk_load_u64(header_of(answer) + 16);
}

int64_t uk_log_answer_timestamp(struct uk_slice answer)
{
  return (int64_t)uk_load_u64(header_of(answer) + 24);
}

bool uk_log_answer_is_to(struct uk_slice answer, const uint8_t *fingerprint)
{
  return memcmp(answer.data, fingerprint, 16) == 0;
}

struct reader {
  const uint8_t *at, *end;
  struct uk_buffer *places; /* of struct uk_log_answer_place */
  size_t known;
};

static bool get_place(struct reader *reader, struct uk_log_answer_place *place)
{
  uint64_t partition, offset;
  if (!uk_get_varint(&reader->at, reader->end, &place->topic_id) ||
      !uk_get_varint(&reader->at, reader->end, &partition) ||
      !uk_get_varint(&reader->at, reader->end, &offset) || partition >= UK_PARTITIONS_MAX ||
      offset > INT64_MAX / 2)
    return false;
  place->partition = (int32_t)partition;
  place->offset = (int64_t)offset;
  place->is_first = true;
  return true;
}

/* The place of the run that begins here, and its length. */
static enum uk_log_answer_result get_run(struct reader *reader, struct uk_log_answer_place **place,
                                         uint64_t *length)
{
  struct uk_log_answer_place new;
  uint64_t head;
  *length = 1;
  if (!uk_get_varint(&reader->at, reader->end, &head) || head >> 1 > reader->known)
    return UK_LOG_ANSWER_DAMAGED;
  if ((head & 1) != 0) {
    if (!uk_get_varint(&reader->at, reader->end, length) || *length > UINT32_MAX)
      return UK_LOG_ANSWER_DAMAGED;
    *length += 2;
  }
  if (head >> 1 == reader->known) {
    if (!get_place(reader, &new))
      return UK_LOG_ANSWER_DAMAGED;
    if (uk_buffer_append(reader->places, &new, sizeof new) != UK_OK)
      return UK_LOG_ANSWER_NO_MEMORY;
    reader->known++;
  }
  *place = (struct uk_log_answer_place *)(void *)reader->places->data + (head >> 1);
  return UK_LOG_ANSWER_OK;
}

enum uk_log_answer_result uk_log_answer_read(struct uk_slice answer, size_t count,
                                             struct uk_buffer *places,
                                             bool (*each)(void *argument, size_t index,
                                                          const struct uk_log_answer_place *place),
                                             void *argument)
{
  struct reader reader = {.places = places};
  struct uk_log_answer_place *place;
  uint64_t length;
  reader.at = header_of(answer) + UK_LOG_ANSWER_HEADER;
  reader.end = header_of(answer) + answer.length;
  uk_buffer_clear(places);
  for (size_t i = 0; i < count;) {
    enum uk_log_answer_result result = get_run(&reader, &place, &length);
    if (result != UK_LOG_ANSWER_OK)
      return result;
    if (length > count - i)
      return UK_LOG_ANSWER_DAMAGED;
    for (; length > 0; length--, i++) {
      if (!each(argument, i, place))
        return UK_LOG_ANSWER_OK;
      place->offset++;
      place->is_first = false;
    }
  }
  return reader.at == reader.end ? UK_LOG_ANSWER_OK : UK_LOG_ANSWER_DAMAGED;
}
