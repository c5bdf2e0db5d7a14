/* credentials: who may do what. The list is filled before the server starts and is read-only
 * afterwards. */
#ifndef UK_CREDENTIALS_H
#define UK_CREDENTIALS_H

#include "common/error.h"
#include "common/protocol.h"
#include "common/slice.h"

enum { UK_CREDENTIAL_PART_MAX = 255 }; /* bytes in a user name, password or topic pattern */

struct uk_credential;
struct uk_credentials;

/* NULL if out of memory. */
struct uk_credentials *uk_credentials_new(void);
void uk_credentials_free(struct uk_credentials *credentials);

/* Copies the strings. `pattern` is a topic name, a prefix that ends in '*', or "*". BAD_REQUEST if
 * a part is too long, or if the user name is empty or contains ':', which Basic cannot transmit;
 * NO_MEMORY. */
enum uk_error uk_credentials_add(struct uk_credentials *credentials, const char *username,
                                 const char *password, enum uk_permission permission,
                                 const char *pattern);

/* The credential with this user name and password, or NULL. Both may be UTF-8 or, because some
 * clients encode Basic that way, both Latin-1, if the configured strings can be written so. Takes
 * the same time for every wrong login, whatever is wrong with it. */
const struct uk_credential *uk_credentials_find(const struct uk_credentials *credentials,
                                                struct uk_slice username, struct uk_slice password);

/* The same for the value of an Authorization header. */
const struct uk_credential *uk_credentials_find_basic(const struct uk_credentials *credentials,
                                                      struct uk_slice authorization);

/* Its user name as it was given, which lives as long as the credential. */
struct uk_slice uk_credential_username(const struct uk_credential *credential);

/* Whether the credential has every bit of `permission`. */
bool uk_credential_holds(const struct uk_credential *credential, enum uk_permission permission);

/* Whether the credential's pattern matches the topic. */
bool uk_credential_admits(const struct uk_credential *credential, struct uk_slice topic);

#endif
