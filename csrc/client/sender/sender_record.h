/* sender_record: a message as it waits in a sender: one piece of memory, a head and the bytes of topic,
 * key, value and headers behind it, that can be copied from the queue to a batch as it is. */
#ifndef UK_SENDER_RECORD_H
#define UK_SENDER_RECORD_H

#include "client/request.h"

enum {
  UK_RECORD_PADDING = 1, /* no message: passed over, at the end of the queue's memory */
  UK_RECORD_KEYED = 2,
  UK_RECORD_VALUED = 4,   /* else a tombstone */
  UK_RECORD_SETTLED = 8,  /* in a batch: delivered or given up */
  UK_RECORD_EXPIRED = 16, /* in a batch: given up while its request is under way, and counted */
  UK_RECORD_ALIGNMENT = 8 /* of records, and of their sizes */
};

struct uk_sender_record {
  uint32_t size; /* of the whole; only this and `flags` are there in a padding */
  uint16_t flags;
  uint16_t topic_length;
  uint64_t sequence; /* counts the messages of a sender, from 0 */
  int64_t queued;    /* milliseconds of the monotonic clock */
  int64_t timestamp; /* milliseconds since 1970 */
  uint32_t key_length, value_length, headers_length;
  int32_t partition; /* -1 = absent */
  /* While an answer that tells of each message is read: what became of this one. */
  uint16_t outcome, status; /* enum uk_error, status of HTTP */
  uint32_t text;            /* where in the answer the reason stands, UINT32_MAX = nowhere */
};

/* What the whole takes; 0 when that is more than a record may be (UK_RECORD_MAX). */
enum { UK_RECORD_MAX = 1 << 30 };
size_t uk_sender_record_size(const struct uk_message *message, size_t headers_length);

/* Writes all but `sequence` and `queued` at `record`, which has room for `size` bytes. */
void uk_sender_record_write(struct uk_sender_record *record, size_t size,
                            const struct uk_message *message, struct uk_slice headers);

/* The message again; its slices point into the record. Returns the packed headers. */
struct uk_slice uk_sender_record_read(const struct uk_sender_record *record,
                                      struct uk_message *message);

/* Headers in a row. `next` takes the first off; false when there is none. */
void uk_sender_header_pack(struct uk_buffer *headers, struct uk_slice key, struct uk_slice value);
bool uk_sender_header_next(struct uk_slice *headers, struct uk_slice *key, struct uk_slice *value);

#endif
