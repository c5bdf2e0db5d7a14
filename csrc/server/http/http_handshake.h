/* http_handshake: learns when a connection has finished its TLS handshake, which the HTTP library
 * does not tell. */
#ifndef UK_HTTP_HANDSHAKE_H
#define UK_HTTP_HANDSHAKE_H

struct MHD_Connection;

typedef void uk_handshake_finished(int socket, const void *session);

/* Calls `finished`, the same one for all connections, when the handshake of this new connection has
 * finished. Returns its TLS session; NULL without TLS. */
const void *uk_http_follow_handshake(struct MHD_Connection *connection,
                                     uk_handshake_finished *finished);

#endif
