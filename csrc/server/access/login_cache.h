/* login_cache: remembers which passwords were right, so that a slow hash is computed once. It keeps
 * keyed digests, with a key that is random and nowhere else; no password, and nothing to guess one
 * from. Safe for concurrent use. */
#ifndef UK_LOGIN_CACHE_H
#define UK_LOGIN_CACHE_H

#include "server/access/password_hash.h"

enum { UK_LOGIN_CACHE_ENTRIES = 1 << 16, UK_LOGIN_PLACE_MAX = 300 };

struct uk_login_cache;

/* NULL if out of memory, or if the system has no random bytes. */
struct uk_login_cache *uk_login_cache_new(void);
void uk_login_cache_free(struct uk_login_cache *cache); /* NULL is allowed */

/* Whether it was noted that the password has this hash, for this `place`: up to UK_LOGIN_PLACE_MAX
 * bytes. An entry goes when others need its room. */
bool uk_login_cache_has(struct uk_login_cache *cache, struct uk_slice place, const char *hash,
                        struct uk_slice password);
void uk_login_cache_note(struct uk_login_cache *cache, struct uk_slice place, const char *hash,
                         struct uk_slice password);

#endif
