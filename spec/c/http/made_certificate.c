#include "made_certificate.h"

#include <gnutls/x509.h>
#include <sys/stat.h>
#include <time.h>

#include "check.h"

static void write_file(const char *path, const gnutls_datum_t *text)
{
  FILE *file = fopen(path, "w");
  REQUIRE(file != NULL);
  fwrite(text->data, 1, text->size, file);
  fclose(file);
}

static void make_key(gnutls_x509_privkey_t *key, const char *path)
{
  gnutls_datum_t text;
  gnutls_x509_privkey_init(key);
  REQUIRE(gnutls_x509_privkey_generate(*key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
  REQUIRE(gnutls_x509_privkey_export2(*key, GNUTLS_X509_FMT_PEM, &text) == 0);
  write_file(path, &text);
  chmod(path, 0600);
  gnutls_free(text.data);
}

void made_certificate(const char *cert_path, const char *key_path, const char *name)
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t cert;
  gnutls_datum_t text;
  make_key(&key, key_path);
  gnutls_x509_crt_init(&cert);
  gnutls_x509_crt_set_version(cert, 3);
  gnutls_x509_crt_set_serial(cert, "\1", 1);
  gnutls_x509_crt_set_activation_time(cert, time(NULL) - 3600);
  gnutls_x509_crt_set_expiration_time(cert, time(NULL) + 24 * 3600);
  gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
  gnutls_x509_crt_set_key(cert, key);
  REQUIRE(gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0) == 0);
  REQUIRE(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &text) == 0);
  write_file(cert_path, &text);
  gnutls_free(text.data);
  gnutls_x509_crt_deinit(cert);
  gnutls_x509_privkey_deinit(key);
}
