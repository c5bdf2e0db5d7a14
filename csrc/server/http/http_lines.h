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

struct MHD_Connection;

/* Whether the head consists of well-formed lines. `method` and `version` are what the library
 * passed to the request's callback. Meaningful only if uk_http_lines_are_kept. */
bool uk_http_lines_hold(struct MHD_Connection *connection, const char *method, const char *version);

/* Whether the library leaves the head of a request where it received it. Version 1.0 need not; it
 * refuses such heads itself. Tries it, as uk_http_refusals_are_json does (http.h). */
bool uk_http_lines_are_kept(void);

#endif
