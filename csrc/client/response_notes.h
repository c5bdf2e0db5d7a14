/* response_notes: what the headers of a response say about its batch or its key. Pure. */
#ifndef UK_RESPONSE_NOTES_H
#define UK_RESPONSE_NOTES_H

#include <stdbool.h>

#include "common/slice.h"

enum { UK_NOTE_BATCH_MAX = 64, UK_NOTE_SKIPPED_MAX = 1100 };

/* Zero it before each response. */
struct uk_response_notes {
  bool replayed;                         /* the response is that of an earlier request */
  char batch[UK_NOTE_BATCH_MAX + 1];     /* the ID of the batch; "" = none */
  char skipped[UK_NOTE_SKIPPED_MAX + 1]; /* partitions whose commits were skipped; "" = none */
};

/* Takes the value of a header, if it is one of them. `name` in any case. Ignores an ID that is not
 * 1 to 64 visible ASCII characters, clips the list of partitions, and replaces its control
 * characters. */
void uk_response_notes_take(struct uk_response_notes *notes, struct uk_slice name,
                            struct uk_slice value);

/* Takes one line of a head, with its line end. A status line clears the notes: the head before was
 * an interim one. */
void uk_response_notes_line(struct uk_response_notes *notes, struct uk_slice line);

/* True for 1 to 64 visible ASCII characters. */
bool uk_batch_id_valid(struct uk_slice id);

#endif
