/* access: who a request is from. Holds the current credentials, and replaces them when their file
 * changes. */
#ifndef UK_ACCESS_H
#define UK_ACCESS_H

#include "server/access/credentials.h"
#include "server/request/client_address.h"

struct uk_access;

struct uk_access_options {
  const char *username, *password; /* a credential with every permission; NULL: none */
  const char *file;                /* see credential_file.h; NULL: none */
};

/* BAD_REQUEST: `message` begins with the option at fault. Starts a thread if there is a file, which
 * looks once a second whether it has changed. */
enum uk_error uk_access_open(struct uk_access **access, const struct uk_access_options *options,
                             char *message, size_t size);

/* NULL is allowed. Credentials that were found live on until they are released. */
void uk_access_close(struct uk_access *access);

bool uk_access_has_file(const struct uk_access *access);

/* Reads the file again. On an error everything stays as it is, `message` says why, and so does the
 * error log, once. Several threads may call. */
enum uk_error uk_access_reload(struct uk_access *access, char *message, size_t size);

/* Adds a credential for all requests that come later. For tests, and for the start. */
enum uk_error uk_access_add(struct uk_access *access,
                            const struct uk_credential_settings *settings);

enum uk_access_outcome {
  UK_ACCESS_GRANTED,
  UK_ACCESS_REFUSED,
  UK_ACCESS_LATER,    /* not looked at: the address has tried too often, or others are first */
  UK_ACCESS_NO_MEMORY /* it is not known whether the login is right */
};

struct uk_access_result {
  enum uk_access_outcome outcome;
  const struct uk_credential *credential; /* if granted; the caller releases it */
};

/* Finds the credential of the first login that is right. A login that was right before from the
 * same address is granted at once, whatever else that address tries. Of the others an address has
 * UK_ATTEMPTS_AT_ONCE that are wrong, and then one a second. One thread at a time computes slow
 * hashes, so that the others serve those who need none. */
struct uk_access_result uk_access_find(struct uk_access *access, const struct uk_logins *logins,
                                       const struct uk_client_address *client);

/* NULL is allowed. */
void uk_access_release(const struct uk_credential *credential);

#endif
