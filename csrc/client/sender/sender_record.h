/* sender_record: a message as a sender keeps it: a header, followed by the bytes of topic, key,
 * value and headers. One piece of memory, which is copied from the queue to a batch unchanged. */
#ifndef UK_SENDER_RECORD_H
#define UK_SENDER_RECORD_H

#include "client/request.h"

enum {
  UK_RECORD_PADDING = 1, /* not a message: fills the end of the queue's memory */
  UK_RECORD_KEYED = 2,
  UK_RECORD_VALUED = 4,   /* else a tombstone */
  UK_RECORD_RESOLVED = 8, /* in a batch: delivered or given up */
  UK_RECORD_EXPIRED = 16, /* in a batch: given up and counted while its request is under way */
  UK_RECORD_ALIGNMENT = 8 /* of records and of their sizes */
};

struct uk_sender_record {
  uint32_t size; /* of the whole record; padding has only this and `flags` */
  uint16_t flags;
  uint16_t topic_length;
  uint64_t sequence; /* number of the message in its sender, from 0 */
  int64_t queued;    /* milliseconds on the monotonic clock */
  int64_t timestamp; /* milliseconds since 1970 */
  uint32_t key_length, value_length, headers_length;
  int32_t partition; /* -1 = absent */
  /* While an answer with a result per message is read: the result of this one. */
  uint16_t outcome, status; /* enum uk_error, HTTP status */
  uint32_t text;            /* offset of the reason in the answer, UINT32_MAX = none */
};

/* The size of the whole record; 0 when it would exceed UK_RECORD_MAX. */
enum { UK_RECORD_MAX = 1 << 30 };
size_t uk_sender_record_size(const struct uk_message *message, size_t headers_length);

/* Writes everything but `sequence`, `queued` and the result at `record`, which has room for `size`
 * bytes. */
void uk_sender_record_write(struct uk_sender_record *record, size_t size,
                            const struct uk_message *message, struct uk_slice headers);

/* Reads the message back; its slices point into the record. Returns the packed headers. */
struct uk_slice uk_sender_record_read(const struct uk_sender_record *record,
                                      struct uk_message *message);

/* Packed headers: `pack` adds one at the end, `next` takes the first off; false when none is
 * left. */
void uk_sender_header_pack(struct uk_buffer *headers, struct uk_slice key, struct uk_slice value);
bool uk_sender_header_next(struct uk_slice *headers, struct uk_slice *key, struct uk_slice *value);

#endif
