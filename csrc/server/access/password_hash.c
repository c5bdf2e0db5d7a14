#include "server/access/password_hash.h"

#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sys/random.h>

#include "common/hex.h"

static const char fast_prefix[] = "sha256:";
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
enum { FAST_PREFIX = sizeof fast_prefix - 1, DIGITS = 2 * UK_DIGEST_SIZE };

bool uk_digest(uint8_t digest[UK_DIGEST_SIZE], struct uk_slice bytes)
{
  return gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.data, bytes.length, digest) == 0;
}

bool uk_keyed_digest(uint8_t digest[UK_DIGEST_SIZE], const uint8_t key[UK_DIGEST_SIZE],
                     struct uk_slice bytes)
{
  return gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, UK_DIGEST_SIZE, bytes.data, bytes.length,
                          digest) == 0;
}

bool uk_is_same_secret(const void *a, const void *b, size_t size)
{
  return gnutls_memcmp(a, b, size) == 0;
}

static bool read_digits(uint8_t digest[UK_DIGEST_SIZE], const char *digits)
{
  if (strlen(digits) != DIGITS)
    return false;
  for (size_t i = 0; i < UK_DIGEST_SIZE; i++) {
    const int high = uk_hex_value(digits[2 * i]), low = uk_hex_value(digits[2 * i + 1]);
    if (high < 0 || low < 0)
      return false;
    digest[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

static bool is_fast(const char *hash)
{
  return strncmp(hash, fast_prefix, FAST_PREFIX) == 0;
}

/* A setting alone, without a hash after it, is no secret: no password has it. */
static bool is_whole(const char *hash)
{
  const char *last = strrchr(hash, '$');
  return last != NULL && last[1] != '\0' && strlen(hash) < UK_PASSWORD_HASH_SIZE;
}

enum uk_password_hash_kind uk_password_hash_kind(const char *hash)
{
  uint8_t digest[UK_DIGEST_SIZE];
  if (is_fast(hash))
    return read_digits(digest, hash + FAST_PREFIX) ? UK_PASSWORD_HASH_FAST : UK_PASSWORD_HASH_BAD;
  return is_whole(hash) && crypt_checksalt(hash) == CRYPT_SALT_OK ? UK_PASSWORD_HASH_SLOW
                                                                  : UK_PASSWORD_HASH_BAD;
}

static enum uk_password_match match_fast(const char *hash, struct uk_slice password)
{
  uint8_t wanted[UK_DIGEST_SIZE], got[UK_DIGEST_SIZE];
  if (!read_digits(wanted, hash + FAST_PREFIX))
    return UK_PASSWORD_WRONG;
  if (!uk_digest(got, password))
    return UK_PASSWORD_UNKNOWN;
  return uk_is_same_secret(wanted, got, sizeof got) ? UK_PASSWORD_RIGHT : UK_PASSWORD_WRONG;
}

static enum uk_password_match match_slow(const char *hash, const char *password)
{
  struct crypt_data data;
  memset(&data, 0, sizeof data);
  errno = 0;
  const char *got = crypt_rn(password, hash, &data, (int)sizeof data);
  const int error = errno;
  const size_t length = strlen(hash);
  const bool same = got != NULL && strlen(got) == length && uk_is_same_secret(got, hash, length);
  explicit_bzero(&data, sizeof data);
  if (got == NULL && error == ENOMEM)
    return UK_PASSWORD_UNKNOWN;
  return same ? UK_PASSWORD_RIGHT : UK_PASSWORD_WRONG;
}

static bool is_possible(struct uk_slice password)
{
  return password.length < UK_PASSWORD_SIZE &&
         (password.length == 0 || memchr(password.data, '\0', password.length) == NULL);
}

/* A password that cannot match is hashed too, so that it takes as long. */
enum uk_password_match uk_password_hash_match(const char *hash, struct uk_slice password)
{
  const bool possible = is_possible(password);
  char text[UK_PASSWORD_SIZE] = "";
  if (is_fast(hash))
    return possible ? match_fast(hash, password) : UK_PASSWORD_WRONG;
  if (possible && password.length > 0)
    memcpy(text, password.data, password.length);
  const enum uk_password_match match = match_slow(hash, text);
  explicit_bzero(text, sizeof text);
  return possible || match == UK_PASSWORD_UNKNOWN ? match : UK_PASSWORD_WRONG;
}

static bool make_fast(char hash[UK_PASSWORD_HASH_SIZE], struct uk_slice password)
{
  static const char digits[] = "0123456789abcdef";
  uint8_t digest[UK_DIGEST_SIZE];
  if (!uk_digest(digest, password))
    return false;
  memcpy(hash, fast_prefix, FAST_PREFIX);
  for (size_t i = 0; i < UK_DIGEST_SIZE; i++) {
    hash[FAST_PREFIX + 2 * i] = digits[digest[i] >> 4];
    hash[FAST_PREFIX + 2 * i + 1] = digits[digest[i] & 15];
  }
  hash[FAST_PREFIX + DIGITS] = '\0';
  return true;
}

static bool make_slow(char hash[UK_PASSWORD_HASH_SIZE], struct uk_slice password)
{
  struct crypt_data data;
  char setting[CRYPT_GENSALT_OUTPUT_SIZE], text[UK_PASSWORD_SIZE] = "";
  memcpy(text, password.data, password.length);
  memset(&data, 0, sizeof data);
  const char *made = crypt_gensalt_rn(NULL, 0, NULL, 0, setting, (int)sizeof setting);
  if (made != NULL)
    made = crypt_rn(text, setting, &data, (int)sizeof data);
  const bool good = made != NULL && strlen(made) < UK_PASSWORD_HASH_SIZE;
  if (good)
    strcpy(hash, made);
  explicit_bzero(&data, sizeof data);
  explicit_bzero(text, sizeof text);
  return good;
}

bool uk_password_hash_make(char hash[UK_PASSWORD_HASH_SIZE], struct uk_slice password, bool fast)
{
  if (password.length == 0 || !is_possible(password))
    return false;
  return fast ? make_fast(hash, password) : make_slow(hash, password);
}

bool uk_password_make(char password[UK_MADE_PASSWORD_SIZE])
{
  uint8_t random[UK_MADE_PASSWORD_SIZE - 1];
  ssize_t got;
  do {
    got = getrandom(random, sizeof random, 0);
  } while (got < 0 && errno == EINTR);
  if (got != (ssize_t)sizeof random)
    return false;
  for (size_t i = 0; i < sizeof random; i++)
    password[i] = letters[random[i] % (sizeof letters - 1)];
  password[sizeof random] = '\0';
  explicit_bzero(random, sizeof random);
  return true;
}
