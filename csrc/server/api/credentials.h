/* credentials: who may do what. A list that is filled before the server starts and only read after.
 */
#ifndef UK_CREDENTIALS_H
#define UK_CREDENTIALS_H

#include "common/error.h"
#include "common/protocol.h"
#include "common/slice.h"

enum { UK_CREDENTIAL_PART_MAX = 255 }; /* bytes of a user name, password or topic pattern */

struct uk_credential;
struct uk_credentials;

/* NULL when memory is out. */
struct uk_credentials *uk_credentials_new(void);
void uk_credentials_free(struct uk_credentials *credentials);

/* Copies the texts. `pattern` is a topic name, a prefix ending in '*', or "*". BAD_REQUEST for a
 * part that is too long or a user name that is empty or holds ':' (Basic cannot carry it);
 * NO_MEMORY. */
enum uk_error uk_credentials_add(struct uk_credentials *credentials, const char *username,
                                 const char *password, enum uk_permission permission,
                                 const char *pattern);

/* The credential of this user and password, or NULL: in UTF-8, or both in Latin-1, as some clients
 * encode Basic, where the configured texts have that form. Takes the same time for every wrong one,
 * whatever is wrong about it. */
const struct uk_credential *uk_credentials_find(const struct uk_credentials *credentials,
                                                struct uk_slice username, struct uk_slice password);

/* The same out of the value of an Authorization header. */
const struct uk_credential *uk_credentials_find_basic(const struct uk_credentials *credentials,
                                                      struct uk_slice authorization);

/* Whether every bit of `permission` is held. */
bool uk_credential_holds(const struct uk_credential *credential, enum uk_permission permission);

/* Whether the pattern admits the topic. */
bool uk_credential_admits(const struct uk_credential *credential, struct uk_slice topic);

#endif
