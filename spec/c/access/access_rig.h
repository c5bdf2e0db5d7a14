/* access_rig: credentials for tests, as they are given by --username and --password. */
#ifndef ACCESS_RIG_H
#define ACCESS_RIG_H

#include "server/access/access.h"

/* Nobody may do anything. NULL: out of memory. */
static inline struct uk_access *access_rig_open(void)
{
  char message[512];
  struct uk_access *access;
  const struct uk_access_options options = {0};
  return uk_access_open(&access, &options, message, sizeof message) == UK_OK ? access : NULL;
}

static inline enum uk_error access_rig_add(struct uk_access *access, const char *username,
                                           const char *password, unsigned permissions,
                                           const char *topic)
{
  const struct uk_slice pattern = uk_slice_text(topic);
  const struct uk_credential_settings settings = {.username = uk_slice_text(username),
                                                  .password = uk_slice_text(password),
                                                  .permissions = permissions,
                                                  .topics = &pattern,
                                                  .topic_count = 1};
  return uk_access_add(access, &settings);
}

#endif
