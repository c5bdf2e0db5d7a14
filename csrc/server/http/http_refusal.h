/* http_refusal: JSON errors where the HTTP library would send its own answer, or none.
 *
 * The library answers a malformed request (line, headers, chunks, length, version) with an HTML
 * page and has no hook to change that. It queues the page by calling its exported function
 * MHD_queue_response through its PLT. This module defines a function of that name, so the dynamic
 * linker binds the library's calls to it; our own calls reach the library's function through
 * uk_http_queue_function. That fails, and the HTML page remains, if the library was linked to bind
 * to itself (-Bsymbolic-functions, as on Ubuntu) or if another module in the process loaded it
 * first; uk_http_refusals_are_json reports which. Version 0.9.75 then sends the head of such a page
 * twice if it rejects a Content-Length. No callback of the library would do: the only one between
 * the refusal and the page is the logger, which does not receive the connection.
 *
 * If the library closes a connection without any answer, this module writes one to the socket. */
#ifndef UK_HTTP_REFUSAL_H
#define UK_HTTP_REFUSAL_H

#include "server/http/http_private.h"

/* Between the two calls this module recognises the server's connections. Precondition of both: none
 * is open. */
void uk_http_register(struct uk_http *http);
void uk_http_unregister(struct uk_http *http);

/* The library's own MHD_queue_response; NULL if it cannot be found. */
uk_queue_response *uk_http_queue_function(void);

/* The connection's socket, or -1. What MHD_get_connection_info returns is valid only until its next
 * call for the same connection: version 1.0 of the library overwrites it. */
int uk_http_socket(struct MHD_Connection *connection);

/* Whether connections from this address are not counted for it: those of this machine and of
 * trusted proxies, which carry the requests of many clients. */
bool uk_http_is_exempt(const struct uk_http *http, const struct uk_client_address *peer);

/* Makes the reply on a connection that the reaper has shut down. False: it has not. */
bool uk_http_explain_end(struct uk_http *http, int socket, struct uk_request *request);

/* The same, also on a connection that gets no place. */
bool uk_http_explain(struct uk_http *http, int socket, struct uk_request *request);

/* Call it for each request once its line is read. `is_long`: the line alone exceeds
 * max_header_bytes. If the library then refuses the headers, its 431 becomes a 414. */
void uk_http_mark_line(struct uk_http *http, int socket, bool is_long);

/* An MHD_NotifyConnectionCallback; `context` is a struct uk_http. */
void uk_http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);

/* Answers 503 on every connection without a request in hand, and ends it: also on one that waits to
 * be accepted, and on one that the library starts from now on. Requests that arrive on them are not
 * carried out. Not with TLS. Precondition: uk_acceptor_stop. */
void uk_http_refuse_open(struct uk_http *http);

#endif
