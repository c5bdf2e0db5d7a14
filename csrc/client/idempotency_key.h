/* idempotency_key: keys that no other request has, in this process or any other: 128 bits of the
 * system's random generator, and a counter. Not thread-safe: each source has one user at a time. */
#ifndef UK_IDEMPOTENCY_KEY_H
#define UK_IDEMPOTENCY_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { UK_KEY_SEED_BYTES = 16, UK_KEY_SIZE = 2 * UK_KEY_SEED_BYTES + 1 + 20 + 1 };

/* Zero it before the first key. */
struct uk_key_source {
  unsigned char seed[UK_KEY_SEED_BYTES];
  uint64_t count;  /* of keys made from the seed */
  pid_t process;   /* the one that drew the seed; 0 = none has */
  unsigned forked; /* how often it was a child of a fork by then */
};

/* Writes the next key, NUL-terminated. The first key of a process draws a new seed, also in the
 * child of a fork. False, with an empty key, if the system has no random bytes: the request is then
 * better sent without a key than with one that another request may have. */
bool uk_key_next(struct uk_key_source *source, char key[UK_KEY_SIZE]);

#endif
