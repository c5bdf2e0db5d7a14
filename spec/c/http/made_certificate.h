/* made_certificate: certificates and keys for tests, self-signed, generated for each run. */
#ifndef MADE_CERTIFICATE_H
#define MADE_CERTIFICATE_H

/* Writes the PEM files of a certificate for `name`; the key's has mode 0600. */
void made_certificate(const char *cert_path, const char *key_path, const char *name);

#endif
