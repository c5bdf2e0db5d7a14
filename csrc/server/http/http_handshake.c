#include "server/http/http_handshake.h"

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdatomic.h>

/* A session has no room for it. */
static uk_handshake_finished *_Atomic tell;

/* The client's last message; in TLS 1.2 that of a new session is followed by the server's. */
static int on_finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message)
{
  (void)type;
  (void)when;
  (void)message;
  if (incoming)
    atomic_load (&tell)(gnutls_transport_get_int(session), session);
  return 0;
}

const void *uk_http_follow_handshake(struct MHD_Connection *connection,
                                     uk_handshake_finished *finished)
{
  const union MHD_ConnectionInfo *info =
    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  if (info == NULL)
    return NULL;
  gnutls_session_t session = info->tls_session;
  atomic_store(&tell, finished);
  gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST,
                                     on_finished);
  return session;
}
