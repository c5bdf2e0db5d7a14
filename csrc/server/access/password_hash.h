/* password_hash: what the credentials file keeps in the place of a password.
 *
 *   "sha256:" and 64 hexadecimal digits, for a password that was made from random bytes: nobody can
 *   try them all, so a fast hash suffices;
 *   a hash of crypt(3), such as yescrypt, for a password that somebody typed: verifying it takes
 *   milliseconds and megabytes. */
#ifndef UK_PASSWORD_HASH_H
#define UK_PASSWORD_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

enum {
  UK_PASSWORD_HASH_SIZE = 384, /* with its NUL */
  UK_PASSWORD_SIZE = 256,      /* of a password, with its NUL */
  UK_DIGEST_SIZE = 32,
  UK_MADE_PASSWORD_SIZE = 33 /* 32 of 64 letters, 192 bits, and NUL */
};

enum uk_password_hash_kind {
  UK_PASSWORD_HASH_BAD, /* unknown, malformed, or too weak to be used */
  UK_PASSWORD_HASH_FAST,
  UK_PASSWORD_HASH_SLOW
};

enum uk_password_hash_kind uk_password_hash_kind(const char *hash);

enum uk_password_match { UK_PASSWORD_WRONG, UK_PASSWORD_RIGHT, UK_PASSWORD_UNKNOWN };

/* Whether the password has this hash. Compares in constant time. UNKNOWN: out of memory. A password
 * with a NUL, or of UK_PASSWORD_SIZE bytes or more, is wrong. */
enum uk_password_match uk_password_hash_match(const char *hash, struct uk_slice password);

/* Makes the hash of a password; `fast` only for one of uk_password_make. False if the system lacks
 * random bytes or memory, or for a password that never matches. */
bool uk_password_hash_make(char hash[UK_PASSWORD_HASH_SIZE], struct uk_slice password, bool fast);

/* Makes a password from random bytes. False if the system has none. */
bool uk_password_make(char password[UK_MADE_PASSWORD_SIZE]);

/* SHA-256, and HMAC-SHA-256. False if the library cannot do it. */
bool uk_digest(uint8_t digest[UK_DIGEST_SIZE], struct uk_slice bytes);
bool uk_keyed_digest(uint8_t digest[UK_DIGEST_SIZE], const uint8_t key[UK_DIGEST_SIZE],
                     struct uk_slice bytes);

/* Compares in a time that depends on the size alone. */
bool uk_is_same_secret(const void *a, const void *b, size_t size);

#endif
