/* http_refusal: JSON errors where the HTTP library would answer by itself, or not at all.
 *
 * The library answers a malformed request (line, headers, chunks, length, version) with an HTML
 * page of its own and offers no hook for it. It queues that page through its exported function
 * MHD_queue_response, and calls that through its PLT. So this module defines a function of that
 * name: the dynamic linker binds the library's own calls to it, while ours go to the library's
 * through uk_http_queue_function. Where the library was linked to bind to itself, as on Ubuntu
 * (-Bsymbolic-functions), or where somebody else in the process loaded it first, the HTML page is
 * what remains, with its head twice where version 0.9.75 does not like a Content-Length; nothing
 * else changes. uk_http_refusals_are_json tells. No callback of the library would do instead: the
 * only one between the refusal and its page is the logger, and that is not told the connection.
 *
 * Where the library closes a connection without any answer, the last words are written to the
 * socket here. */
#ifndef UK_HTTP_REFUSAL_H
#define UK_HTTP_REFUSAL_H

#include "server/http/http_private.h"

/* From now on, and until uk_http_unregister, connections of this server are known as ours. No
 * connection is open before or after. */
void uk_http_register(struct uk_http *http);
void uk_http_unregister(struct uk_http *http);

/* The library's MHD_queue_response, NULL when it is not to be found. */
uk_queue_response *uk_http_queue_function(void);

/* Whether the connection is one over the limit. */
bool uk_http_is_surplus(const struct uk_http *http, struct MHD_Connection *connection);

/* Call it for each request, when its line is read: `is_long` says that the line alone is over
 * max_header_bytes. Where headers follow that the library refuses, its 431 becomes a 414. */
void uk_http_note_line(struct MHD_Connection *connection, bool is_long);

/* MHD_NotifyConnectionCallback; `context` is a struct uk_http. */
void uk_http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);

#endif
