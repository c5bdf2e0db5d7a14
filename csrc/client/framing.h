/* framing: whether an answer arrived whole. A pure reader of header lines.
 *
 * The end of the connection ends an answer only when nothing else does. libcurl accepts a
 * connection that closes inside the headers as the end of the answer, and every client accepts it
 * as the end of a body that has neither a length nor chunks. */
#ifndef UK_FRAMING_H
#define UK_FRAMING_H

#include <stdbool.h>

#include "common/slice.h"

/* Zero it before each transfer. */
struct uk_framing {
  bool headed;  /* the empty line after the last head has arrived */
  bool bounded; /* the last head says where the body ends */
};

/* Reads one line of a head or of the trailers, including its line end. */
void uk_framing_line(struct uk_framing *framing, struct uk_slice line);

/* True when the answer is whole. Call it when the transfer has ended without an error. `status` is
 * that of the last head, 0 = none. A body that was ended by the connection is whole unless it is
 * JSON that ends too early. */
bool uk_framing_whole(const struct uk_framing *framing, int status, struct uk_slice body);

/* True when the line is the header of that name; sets its value, without surrounding blanks. */
bool uk_framing_header(struct uk_slice line, const char *name, struct uk_slice *value);

/* True when the text is empty, or begins as a JSON object or array and ends before that does.
 * Checks neither strings nor what follows. */
bool uk_framing_cut(struct uk_slice json);

#endif
