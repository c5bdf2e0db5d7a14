/* http_certificate: the server's TLS certificate and its key, which can be replaced while the
 * server runs. A connection keeps what its handshake was given. GnuTLS is the library that
 * libmicrohttpd uses for TLS. */
#ifndef UK_HTTP_CERTIFICATE_H
#define UK_HTTP_CERTIFICATE_H

#include <gnutls/abstract.h>
#include <stddef.h>

#include "common/error.h"

struct uk_certificate;

/* TLS 1.2 and 1.3, ephemeral elliptic-curve keys, authenticated encryption; in GnuTLS's words. */
#define UK_TLS_PRIORITIES                                                                          \
  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:"        \
  "+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:-GROUP-DH-ALL:-SIGN-RSA-SHA1:"      \
  "-SIGN-ECDSA-SHA1:%SERVER_PRECEDENCE"

/* Reads the PEM files, whose paths it copies: a chain of certificates, the server's first, and its
 * key. BAD_REQUEST: a file cannot be read or used, the key belongs to another certificate, or
 * others than its owner may read or change it; `message` names the option and the file. */
enum uk_error uk_certificate_open(struct uk_certificate **certificate, const char *cert_path,
                                  const char *key_path, char *message, size_t size);

/* Reads both files again, for handshakes that begin from now on. On an error, which is that of
 * uk_certificate_open, the certificate and key of before stay. Several threads may call. */
enum uk_error uk_certificate_reload(struct uk_certificate *certificate, char *message, size_t size);

/* NULL is allowed. Precondition: no session that uses it is in its handshake. */
void uk_certificate_free(struct uk_certificate *certificate);

/* From now on `session`, a gnutls_session_t whose handshake has not begun, uses the certificate. */
void uk_certificate_use(struct uk_certificate *certificate, void *session);

/* The libmicrohttpd option HTTPS_CERT_CALLBACK2: gives the session copies, which it frees. */
int uk_certificate_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                            gnutls_pcert_st **chain, unsigned *chain_length,
                            gnutls_ocsp_data_st **ocsp, unsigned *ocsp_length,
                            gnutls_privkey_t *key, unsigned *flags);

/* BAD_REQUEST: GnuTLS does not know them; `message` begins with "tls_priorities". */
enum uk_error uk_tls_check_priorities(const char *priorities, char *message, size_t size);

#endif
