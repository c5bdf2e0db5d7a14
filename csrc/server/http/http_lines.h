/* http_lines: checks that the library has read each line of a request's head as it was sent.
 *
 * Version 0.9.75 takes a line that begins with a colon for the end of the head, so what follows
 * would run as another request. It also joins folded lines to the wrong text, cuts values at a NUL,
 * and accepts LF without CR. A proxy in front may read such a head differently. The library leaves
 * names and values where it received them, one byte (the colon) or two (CR LF) apart, so other
 * distances reveal these heads. One head stays hidden: its last line ends in a bare LF, and a line
 * with nothing but a colon follows. */
#ifndef UK_HTTP_LINES_H
#define UK_HTTP_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct MHD_Connection;

/* Whether the head consists of well-formed lines. `method` and `version` are what the library
 * passed to the request's callback. Meaningful only if uk_http_lines_are_kept. */
bool uk_http_lines_hold(struct MHD_Connection *connection, const char *method, const char *version);

/* Whether the line with the size of a chunk, and the end of the chunk before it, are well-formed:
 * version 0.9.75 accepts LF without CR there, and any byte in a chunk's extension. `start` is where
 * the library puts what it reads after the head, `room` bytes at most, and `data` what it passed on
 * of the body. True where `data` shows no line.
 *
 * Only a line that was read together with the first byte of its chunk is still there. Others, the
 * line of the last chunk among them, have been overwritten when the library calls next. So a
 * connection closes after a chunked request: what follows it runs nowhere. */
bool uk_http_chunk_holds(const char *start, size_t room, const char *data);

/* Whether the library leaves the head of a request where it received it. Version 1.0 need not; it
 * refuses such heads itself. Tries it, as uk_http_refusals_are_json does (http.h). */
bool uk_http_lines_are_kept(void);

#endif
