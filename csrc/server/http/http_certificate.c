#include "server/http/http_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_BYTES = 1 << 20, KEY_ID_SIZE = 64 };

struct identity {
  gnutls_x509_crt_t *chain; /* from GnuTLS's allocator */
  unsigned chain_length;
  gnutls_x509_privkey_t key;
};

struct uk_certificate {
  char *cert_path, *key_path;
  pthread_mutex_t mutex; /* of `identity` */
  struct identity identity;
};

/* Where a message says what is wrong. */
struct blame {
  const char *option, *path;
  char *message;
  size_t size;
};

static enum uk_error refuse(const struct blame *blame, const char *reason)
{
  snprintf(blame->message, blame->size, "%s: %s: %s", blame->option, blame->path, reason);
  return UK_E_BAD_REQUEST;
}

/* Files. */

/* The file that was opened is checked, not its path, which may change. `is_secret`: nobody but the
 * owner may read or change it. */
static enum uk_error check_file(int fd, bool is_secret, const struct blame *blame)
{
  enum { OF_OTHERS = S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH, MODE = 07777 };
  struct stat status;
  if (fstat(fd, &status) != 0)
    return refuse(blame, strerror(errno));
  if (!S_ISREG(status.st_mode))
    return refuse(blame, "not a regular file");
  if (!is_secret || (status.st_mode & OF_OTHERS) == 0)
    return UK_OK;
  snprintf(blame->message, blame->size,
           "%s: %s: others than its owner may use it (mode %04o): chmod 600 it", blame->option,
           blame->path, (unsigned)status.st_mode & MODE);
  return UK_E_BAD_REQUEST;
}

/* Reads at most PEM_BYTES + 1. Returns -1 with errno set if that fails. */
static ssize_t read_all(int fd, char *bytes)
{
  size_t length = 0;
  while (length < PEM_BYTES + 1) {
    const ssize_t got = read(fd, bytes + length, PEM_BYTES + 1 - length);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    length += (size_t)got;
  }
  return (ssize_t)length;
}

static enum uk_error read_open(gnutls_datum_t *text, int fd, const struct blame *blame)
{
  char *bytes = malloc(PEM_BYTES + 1);
  if (bytes == NULL)
    return UK_E_NO_MEMORY;
  *text = (gnutls_datum_t){.data = (unsigned char *)bytes};
  const ssize_t length = read_all(fd, bytes);
  if (length < 0)
    return refuse(blame, strerror(errno));
  text->size = (unsigned)length;
  if (length > PEM_BYTES)
    return refuse(blame, "larger than 1 MiB");
  return length == 0 ? refuse(blame, "empty") : UK_OK;
}

/* Free `text` with free_text, also on an error. O_NONBLOCK: a pipe must not hold up the server. */
static enum uk_error read_file(gnutls_datum_t *text, bool is_secret, const struct blame *blame)
{
  int fd = open(blame->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return refuse(blame, strerror(errno));
  enum uk_error error = check_file(fd, is_secret, blame);
  if (error == UK_OK)
    error = read_open(text, fd, blame);
  close(fd);
  return error;
}

static void free_text(gnutls_datum_t *text)
{
  if (text->data != NULL)
    explicit_bzero(text->data, PEM_BYTES + 1);
  free(text->data);
}

/* Certificate and key. */

static void free_identity(struct identity *identity)
{
  for (unsigned i = 0; i < identity->chain_length; i++)
    gnutls_x509_crt_deinit(identity->chain[i]);
  gnutls_free(identity->chain);
  gnutls_x509_privkey_deinit(identity->key);
}

static enum uk_error of_gnutls(int result, const struct blame *blame)
{
  if (result == GNUTLS_E_MEMORY_ERROR)
    return UK_E_NO_MEMORY;
  return result < 0 ? refuse(blame, gnutls_strerror(result)) : UK_OK;
}

static enum uk_error import_chain(struct identity *identity, const struct blame *blame)
{
  gnutls_datum_t text = {0};
  enum uk_error error = read_file(&text, false, blame);
  gnutls_x509_crt_t *chain;
  unsigned length;
  if (error == UK_OK)
    error = of_gnutls(gnutls_x509_crt_list_import2(&chain, &length, &text, GNUTLS_X509_FMT_PEM,
                                                   GNUTLS_X509_CRT_LIST_SORT),
                      blame);
  free_text(&text);
  if (error == UK_OK) {
    identity->chain = chain;
    identity->chain_length = length;
  }
  return error;
}

static enum uk_error import_key(struct identity *identity, const struct blame *blame)
{
  gnutls_datum_t text = {0};
  enum uk_error error = read_file(&text, true, blame);
  if (error == UK_OK)
    error = of_gnutls(gnutls_x509_privkey_init(&identity->key), blame);
  if (error == UK_OK)
    error = of_gnutls(
      gnutls_x509_privkey_import2(identity->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0), blame);
  free_text(&text);
  return error;
}

static enum uk_error check_pair(const struct identity *identity, const struct blame *blame)
{
  unsigned char of_cert[KEY_ID_SIZE], of_key[KEY_ID_SIZE];
  size_t cert_length = sizeof of_cert, key_length = sizeof of_key;
  enum uk_error error = of_gnutls(
    gnutls_x509_crt_get_key_id(identity->chain[0], GNUTLS_KEYID_USE_SHA256, of_cert, &cert_length),
    blame);
  if (error == UK_OK)
    error = of_gnutls(
      gnutls_x509_privkey_get_key_id(identity->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_length),
      blame);
  if (error != UK_OK)
    return error;
  const bool same = cert_length == key_length && memcmp(of_cert, of_key, key_length) == 0;
  return same ? UK_OK : refuse(blame, "the key of another certificate than that of tls_cert");
}

static enum uk_error read_identity(struct identity *identity,
                                   const struct uk_certificate *certificate, char *message,
                                   size_t size)
{
  const struct blame of_cert = {"tls_cert", certificate->cert_path, message, size};
  const struct blame of_key = {"tls_key", certificate->key_path, message, size};
  *identity = (struct identity){0};
  enum uk_error error = import_chain(identity, &of_cert);
  if (error == UK_OK)
    error = import_key(identity, &of_key);
  if (error == UK_OK)
    error = check_pair(identity, &of_key);
  if (error != UK_OK)
    free_identity(identity);
  return error;
}

/* The certificate of a server. */

void uk_certificate_free(struct uk_certificate *certificate)
{
  if (certificate == NULL)
    return;
  free_identity(&certificate->identity);
  pthread_mutex_destroy(&certificate->mutex);
  free(certificate->cert_path);
  free(certificate->key_path);
  free(certificate);
}

enum uk_error uk_certificate_open(struct uk_certificate **out, const char *cert_path,
                                  const char *key_path, char *message, size_t size)
{
  struct uk_certificate *certificate = calloc(1, sizeof *certificate);
  if (certificate == NULL)
    return UK_E_NO_MEMORY;
  pthread_mutex_init(&certificate->mutex, NULL);
  certificate->cert_path = strdup(cert_path);
  certificate->key_path = strdup(key_path);
  enum uk_error error = certificate->cert_path != NULL && certificate->key_path != NULL
                          ? read_identity(&certificate->identity, certificate, message, size)
                          : UK_E_NO_MEMORY;
  if (error == UK_OK) {
    *out = certificate;
    return UK_OK;
  }
  certificate->identity = (struct identity){0};
  uk_certificate_free(certificate);
  return error;
}

enum uk_error uk_certificate_reload(struct uk_certificate *certificate, char *message, size_t size)
{
  struct identity fresh;
  enum uk_error error = read_identity(&fresh, certificate, message, size);
  if (error != UK_OK)
    return error;
  pthread_mutex_lock(&certificate->mutex);
  struct identity old = certificate->identity;
  certificate->identity = fresh;
  pthread_mutex_unlock(&certificate->mutex);
  free_identity(&old);
  return UK_OK;
}

void uk_certificate_use(struct uk_certificate *certificate, void *session)
{
  gnutls_session_set_ptr(session, certificate);
}

/* Copies for one handshake. */

static void free_chain(gnutls_pcert_st *chain, unsigned length)
{
  for (unsigned i = 0; i < length; i++)
    gnutls_pcert_deinit(&chain[i]);
  gnutls_free(chain);
}

static int copy_chain(const struct identity *identity, gnutls_pcert_st **out, unsigned *length)
{
  gnutls_pcert_st *chain = gnutls_calloc(identity->chain_length, sizeof *chain);
  int result = chain != NULL ? 0 : GNUTLS_E_MEMORY_ERROR;
  unsigned count = 0;
  while (result == 0 && count < identity->chain_length) {
    result = gnutls_pcert_import_x509(&chain[count], identity->chain[count], 0);
    count += result == 0;
  }
  if (result != 0) {
    free_chain(chain, count);
    return result;
  }
  *out = chain;
  *length = count;
  return 0;
}

static int copy_key(const struct identity *identity, gnutls_privkey_t *out)
{
  gnutls_privkey_t key;
  int result = gnutls_privkey_init(&key);
  if (result != 0)
    return result;
  result = gnutls_privkey_import_x509(key, identity->key, GNUTLS_PRIVKEY_IMPORT_COPY);
  if (result == 0)
    *out = key;
  else
    gnutls_privkey_deinit(key);
  return result;
}

static int copy_identity(const struct identity *identity, gnutls_pcert_st **chain, unsigned *length,
                         gnutls_privkey_t *key)
{
  int result = copy_chain(identity, chain, length);
  if (result != 0)
    return result;
  result = copy_key(identity, key);
  if (result != 0)
    free_chain(*chain, *length);
  return result;
}

int uk_certificate_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                            gnutls_pcert_st **chain, unsigned *chain_length,
                            gnutls_ocsp_data_st **ocsp, unsigned *ocsp_length,
                            gnutls_privkey_t *key, unsigned *flags)
{
  struct uk_certificate *certificate = gnutls_session_get_ptr(session);
  (void)info;
  *ocsp = NULL;
  *ocsp_length = 0;
  *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
  pthread_mutex_lock(&certificate->mutex);
  int result = copy_identity(&certificate->identity, chain, chain_length, key);
  pthread_mutex_unlock(&certificate->mutex);
  return result == 0 ? 0 : -1;
}

enum uk_error uk_tls_check_priorities(const char *priorities, char *message, size_t size)
{
  gnutls_priority_t parsed;
  const char *at = priorities;
  int result = gnutls_priority_init(&parsed, priorities, &at);
  if (result == GNUTLS_E_SUCCESS) {
    gnutls_priority_deinit(parsed);
    return UK_OK;
  }
  if (result == GNUTLS_E_MEMORY_ERROR)
    return UK_E_NO_MEMORY;
  snprintf(message, size, "tls_priorities: not understood from \"%.64s\" on (GnuTLS)", at);
  return UK_E_BAD_REQUEST;
}
