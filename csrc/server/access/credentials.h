/* credentials: who may do what. A set is filled before anybody else sees it and then stays as it
 * is; another set takes its place when the file changes. A set lives as long as one of its
 * references. */
#ifndef UK_CREDENTIALS_H
#define UK_CREDENTIALS_H

#include "common/error.h"
#include "common/protocol.h"
#include "server/access/logins.h"
#include "server/access/password_hash.h"

enum {
  UK_CREDENTIAL_SECRETS = 2,     /* of a credential: one can be replaced while both work */
  UK_CREDENTIAL_PATTERNS = 1000, /* of topics, and of groups */
  UK_CREDENTIALS_MAX = 100000,   /* in a set */
  UK_PATTERN_MAX = 255           /* bytes of a pattern */
};

struct uk_credential;
struct uk_credentials;

/* NULL if out of memory. The caller has the only reference. */
struct uk_credentials *uk_credentials_new(void);
struct uk_credentials *uk_credentials_retain(struct uk_credentials *credentials);
/* Drops a reference; the last one frees the set. NULL is allowed. */
void uk_credentials_release(struct uk_credentials *credentials);

/* A credential as it is given; everything is copied. Names and patterns have been checked. */
struct uk_credential_settings {
  struct uk_slice username;
  struct uk_slice password; /* data NULL: `hashes` instead */
  const char *hashes[UK_CREDENTIAL_SECRETS];
  unsigned permissions; /* bits of uk_permission */
  const struct uk_slice *topics;
  size_t topic_count;
  const struct uk_slice *groups; /* none: every group */
  size_t group_count;
};

/* CONFLICT if the set has this user already; BAD_REQUEST if a name, a password or a pattern is too
 * long or empty, or if the user name contains ':', which Basic cannot transmit; NO_MEMORY. */
enum uk_error uk_credentials_add(struct uk_credentials *credentials,
                                 const struct uk_credential_settings *settings);

size_t uk_credentials_count(const struct uk_credentials *credentials);

/* NULL if the set has no such user. */
const struct uk_credential *uk_credentials_user(const struct uk_credentials *credentials,
                                                struct uk_slice username);

/* The hash that takes the place of the hashes of a user who has none, or is unknown; NULL if the
 * set has no slow hash. */
const char *uk_credentials_decoy(const struct uk_credentials *credentials);

/* The largest number of slow hashes of a credential. */
unsigned uk_credentials_slow_hashes(const struct uk_credentials *credentials);

/* Whether the password is right, as far as that takes no time: compares all bytes, or fast hashes.
 * UNKNOWN: no fast comparison is possible, for lack of memory. */
enum uk_password_match uk_credential_match_fast(const struct uk_credential *credential,
                                                struct uk_slice password);

/* A hash of the credential; NULL if it has no more than `index`. */
const char *uk_credential_hash(const struct uk_credential *credential, unsigned index);

/* The set that it belongs to. */
struct uk_credentials *uk_credential_set(const struct uk_credential *credential);

/* Its user name as it was given, which lives as long as the set. */
struct uk_slice uk_credential_username(const struct uk_credential *credential);

/* Whether the credential has one of the permissions: bits of uk_permission. */
bool uk_credential_holds(const struct uk_credential *credential, unsigned permissions);

/* Whether one of the credential's patterns matches the topic, or the group. */
bool uk_credential_admits(const struct uk_credential *credential, struct uk_slice topic);
bool uk_credential_admits_group(const struct uk_credential *credential, struct uk_slice group);

/* Whether it admits every topic. */
bool uk_credential_admits_all(const struct uk_credential *credential);

#endif
