#include "client/sender/sender_queue.h"

#include <sys/mman.h>

bool uk_sender_queue_init(struct uk_sender_queue *queue, size_t capacity)
{
  *queue =
    (struct uk_sender_queue){.capacity = capacity / UK_RECORD_ALIGNMENT * UK_RECORD_ALIGNMENT};
  void *memory =
    mmap(NULL, queue->capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  queue->memory = memory != MAP_FAILED ? memory : NULL;
  return queue->memory != NULL;
}

void uk_sender_queue_free(struct uk_sender_queue *queue)
{
  if (queue->memory != NULL)
    munmap(queue->memory, queue->capacity);
  queue->memory = NULL;
}

static struct uk_sender_record *record_at(const struct uk_sender_queue *queue, size_t at)
{
  return (struct uk_sender_record *)(void *)(queue->memory + at);
}

struct uk_sender_record *uk_sender_queue_reserve(struct uk_sender_queue *queue, size_t size)
{
  if (queue->used == 0 && !queue->open)
    queue->head = queue->tail = 0;
  const size_t room = queue->capacity - queue->used, rest = queue->capacity - queue->head;
  if (size <= rest)
    return size <= room ? record_at(queue, queue->head) : NULL;
  if (room < rest || size > room - rest)
    return NULL;
  struct uk_sender_record *padding = record_at(queue, queue->head);
  padding->size = (uint32_t)rest;
  padding->flags = UK_RECORD_PADDING;
  queue->used += rest;
  queue->head = 0;
  return record_at(queue, 0);
}

void uk_sender_queue_commit(struct uk_sender_queue *queue, struct uk_sender_record *record)
{
  record->sequence = queue->sequence++;
  queue->messages++;
  queue->used += record->size;
  queue->head += record->size;
  if (queue->head == queue->capacity)
    queue->head = 0;
}

static void take(struct uk_sender_queue *queue, size_t bytes)
{
  queue->used -= bytes;
  queue->tail += bytes;
  if (queue->tail >= queue->capacity)
    queue->tail -= queue->capacity;
}

const struct uk_sender_record *uk_sender_queue_first(struct uk_sender_queue *queue)
{
  if (queue->messages == 0)
    return NULL;
  const struct uk_sender_record *record = record_at(queue, queue->tail);
  if ((record->flags & UK_RECORD_PADDING) == 0)
    return record;
  return record_at(queue, 0);
}

void uk_sender_queue_drop(struct uk_sender_queue *queue)
{
  const struct uk_sender_record *record = record_at(queue, queue->tail);
  if (record->flags & UK_RECORD_PADDING)
    take(queue, record->size);
  take(queue, record_at(queue, queue->tail)->size);
  queue->messages--;
}

void uk_queue_reader_open(struct uk_queue_reader *reader, struct uk_sender_queue *queue)
{
  *reader = (struct uk_queue_reader){queue, queue->tail, queue->used, 0, 0};
  queue->open = true;
}

static void advance(struct uk_queue_reader *reader, size_t bytes)
{
  reader->bytes += bytes;
  reader->left -= bytes;
  reader->at += bytes;
  if (reader->at == reader->queue->capacity)
    reader->at = 0;
}

const struct uk_sender_record *uk_queue_reader_next(struct uk_queue_reader *reader)
{
  if (reader->left == 0)
    return NULL;
  const struct uk_sender_record *record = record_at(reader->queue, reader->at);
  if (record->flags & UK_RECORD_PADDING)
    advance(reader, record->size);
  return reader->left > 0 ? record_at(reader->queue, reader->at) : NULL;
}

void uk_queue_reader_pass(struct uk_queue_reader *reader, const struct uk_sender_record *record)
{
  reader->messages++;
  advance(reader, record->size);
}

void uk_queue_reader_close(struct uk_queue_reader *reader, struct uk_sender_queue *queue)
{
  take(queue, reader->bytes);
  queue->messages -= reader->messages;
  queue->open = false;
}
