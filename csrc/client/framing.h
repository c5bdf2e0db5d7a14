/* framing: whether an answer that a connection brought is whole. A pure reader of header lines.
 *
 * The end of a connection ends an answer only where nothing else does. libcurl takes a connection
 * that is closed inside the headers for the end of the answer, and every client takes it for the
 * end of a body that has neither a length nor chunks. */
#ifndef UK_FRAMING_H
#define UK_FRAMING_H

#include <stdbool.h>

#include "common/slice.h"

/* Zeroed before each transfer. */
struct uk_framing {
  bool headed;  /* the empty line behind the last head has come */
  bool bounded; /* the last head says where the body ends */
};

/* Takes one line of a head, or of the trailers, with its end. */
void uk_framing_line(struct uk_framing *framing, struct uk_slice line);

/* Whether the answer is whole, once the transfer has ended without an error. `status` is that of
 * the last head, 0 without one. A body that only the connection ended is whole unless it is JSON
 * that ends too early. */
bool uk_framing_whole(const struct uk_framing *framing, int status, struct uk_slice body);

/* Whether the line is the header of that name; its value then, without the blanks around it. */
bool uk_framing_header(struct uk_slice line, const char *name, struct uk_slice *value);

/* Whether the text begins as a JSON object or array and ends before that does, or is empty. Strings
 * are not checked, nor is what follows. */
bool uk_framing_cut(struct uk_slice json);

#endif
