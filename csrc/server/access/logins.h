/* logins: the user names and passwords that one request may mean. Clients encode them differently:
 * Basic in UTF-8 or Latin-1, a query in one of several forms. */
#ifndef UK_LOGINS_H
#define UK_LOGINS_H

#include <stdbool.h>

#include "common/slice.h"

enum {
  UK_LOGIN_PART_MAX = 255, /* bytes of a user name or a password */
  UK_LOGINS_MAX = 8        /* of a header and three forms of a query, each in two encodings */
};

struct uk_login {
  struct uk_slice username, password;
};

struct uk_logins {
  unsigned count;
  size_t used; /* bytes */
  struct uk_login all[UK_LOGINS_MAX];
  char bytes[UK_LOGINS_MAX * 2 * UK_LOGIN_PART_MAX];
};

/* Empty. Leaves the bytes as they are: this is done for every request. */
void uk_logins_init(struct uk_logins *logins);

/* Copies the login and, if it could be one in Latin-1, its form in UTF-8. Leaves out one that is
 * there already, or with a part that is too long. */
void uk_logins_add(struct uk_logins *logins, struct uk_slice username, struct uk_slice password);

/* Adds the login of an Authorization header. False if it holds none. */
bool uk_logins_add_basic(struct uk_logins *logins, struct uk_slice authorization);

void uk_logins_copy(struct uk_logins *to, const struct uk_logins *from);

/* Erases the passwords. */
void uk_logins_wipe(struct uk_logins *logins);

#endif
