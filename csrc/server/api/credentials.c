#include "server/api/credentials.h"

#include <stdlib.h>
#include <strings.h>

#include "common/base64.h"

/* A string padded with zeros to a fixed size, so that comparing takes the same time for any length.
 */
struct padded {
  unsigned char bytes[UK_CREDENTIAL_PART_MAX + 1]; /* the last one is the length */
};

enum { AS_GIVEN, IN_LATIN1, ENCODINGS };

struct uk_credential {
  struct padded username[ENCODINGS], password[ENCODINGS]; /* equal if there is no Latin-1 form */
  enum uk_permission permission;
  char pattern[UK_CREDENTIAL_PART_MAX + 1]; /* without the '*' */
  bool prefix;
  struct uk_credential *next;
};

struct uk_credentials {
  struct uk_credential *first;
};

struct uk_credentials *uk_credentials_new(void)
{
  return calloc(1, sizeof(struct uk_credentials));
}

void uk_credentials_free(struct uk_credentials *credentials)
{
  if (credentials == NULL)
    return;
  while (credentials->first != NULL) {
    struct uk_credential *credential = credentials->first;
    credentials->first = credential->next;
    explicit_bzero(credential, sizeof *credential);
    free(credential);
  }
  free(credentials);
}

static bool pad(struct padded *padded, struct uk_slice text)
{
  *padded = (struct padded){0};
  if (text.length > UK_CREDENTIAL_PART_MAX)
    return false;
  if (text.length > 0)
    memcpy(padded->bytes, text.data, text.length);
  padded->bytes[UK_CREDENTIAL_PART_MAX] = (unsigned char)text.length;
  return true;
}

static unsigned difference(const struct padded *a, const struct padded *b)
{
  unsigned bits = 0;
  for (size_t i = 0; i < sizeof a->bytes; i++)
    bits |= (unsigned)(a->bytes[i] ^ b->bytes[i]);
  return bits;
}

/* Converts UTF-8 to Latin-1 in place. False for a character above U+00FF or invalid UTF-8. */
static bool to_latin1(struct padded *padded)
{
  unsigned char *bytes = padded->bytes;
  size_t length = bytes[UK_CREDENTIAL_PART_MAX], to = 0;
  for (size_t from = 0; from < length; to++) {
    unsigned char lead = bytes[from++];
    if (lead >= 0x80) {
      bool pair = (lead == 0xc2 || lead == 0xc3) && from < length && (bytes[from] & 0xc0) == 0x80;
      if (!pair)
        return false;
      lead = (unsigned char)(lead << 6 | (bytes[from++] & 0x3f));
    }
    bytes[to] = lead;
  }
  memset(bytes + to, 0, length - to);
  bytes[UK_CREDENTIAL_PART_MAX] = (unsigned char)to;
  return true;
}

/* Clients encode both parts the same way. */
static void add_latin1(struct uk_credential *credential)
{
  struct padded username = credential->username[AS_GIVEN];
  struct padded password = credential->password[AS_GIVEN];
  bool has_form = to_latin1(&username);
  has_form = to_latin1(&password) && has_form;
  credential->username[IN_LATIN1] = has_form ? username : credential->username[AS_GIVEN];
  credential->password[IN_LATIN1] = has_form ? password : credential->password[AS_GIVEN];
  explicit_bzero(&password, sizeof password);
}

static bool fill(struct uk_credential *credential, const char *username, const char *password,
                 const char *pattern)
{
  size_t length = strlen(pattern);
  if (length > UK_CREDENTIAL_PART_MAX || username[0] == '\0' || strchr(username, ':') != NULL)
    return false;
  credential->prefix = length > 0 && pattern[length - 1] == '*';
  memcpy(credential->pattern, pattern, length - credential->prefix);
  if (!pad(&credential->username[AS_GIVEN], uk_slice_text(username)) ||
      !pad(&credential->password[AS_GIVEN], uk_slice_text(password)))
    return false;
  add_latin1(credential);
  return true;
}

enum uk_error uk_credentials_add(struct uk_credentials *credentials, const char *username,
                                 const char *password, enum uk_permission permission,
                                 const char *pattern)
{
  struct uk_credential *credential = calloc(1, sizeof *credential);
  if (credential == NULL)
    return UK_E_NO_MEMORY;
  if (!fill(credential, username, password, pattern)) {
    free(credential);
    return UK_E_BAD_REQUEST;
  }
  credential->permission = permission;
  credential->next = credentials->first;
  credentials->first = credential;
  return UK_OK;
}

const struct uk_credential *uk_credentials_find(const struct uk_credentials *credentials,
                                                struct uk_slice username, struct uk_slice password)
{
  struct padded padded_username, padded_password;
  bool fits = pad(&padded_username, username);
  fits = pad(&padded_password, password) && fits;
  const struct uk_credential *found = NULL;
  for (const struct uk_credential *each = credentials->first; each != NULL; each = each->next) {
    bool right = false;
    for (int i = 0; i < ENCODINGS; i++)
      right |= (difference(&each->username[i], &padded_username) |
                difference(&each->password[i], &padded_password)) == 0;
    if (right)
      found = each;
  }
  return fits ? found : NULL;
}

const struct uk_credential *uk_credentials_find_basic(const struct uk_credentials *credentials,
                                                      struct uk_slice authorization)
{
  static const char scheme[] = "Basic ";
  enum { SCHEME = sizeof scheme - 1, ENCODED_MAX = (2 * UK_CREDENTIAL_PART_MAX + 3) / 3 * 4 };
  char plain[ENCODED_MAX];
  if (authorization.length < SCHEME || strncasecmp(authorization.data, scheme, SCHEME) != 0)
    return NULL;
  struct uk_slice encoded = {authorization.data + SCHEME, authorization.length - SCHEME};
  while (encoded.length > 0 && encoded.data[encoded.length - 1] == ' ')
    encoded.length--;
  for (; encoded.length > 0 && encoded.data[0] == ' '; encoded.length--)
    encoded.data++;
  size_t length = 0;
  if (encoded.length > sizeof plain ||
      !uk_base64_decode(plain, &length, encoded.data, encoded.length))
    return NULL;
  const char *colon = memchr(plain, ':', length);
  if (colon == NULL)
    return NULL;
  size_t username_length = (size_t)(colon - plain);
  return uk_credentials_find(credentials, uk_slice_of(plain, username_length),
                             uk_slice_of(colon + 1, length - username_length - 1));
}

struct uk_slice uk_credential_username(const struct uk_credential *credential)
{
  const unsigned char *bytes = credential->username[AS_GIVEN].bytes;
  return uk_slice_of((const char *)bytes, bytes[UK_CREDENTIAL_PART_MAX]);
}

bool uk_credential_holds(const struct uk_credential *credential, enum uk_permission permission)
{
  return ((unsigned)credential->permission & (unsigned)permission) == (unsigned)permission;
}

bool uk_credential_admits(const struct uk_credential *credential, struct uk_slice topic)
{
  size_t length = strlen(credential->pattern);
  if (topic.length < length || memcmp(topic.data, credential->pattern, length) != 0)
    return false;
  return credential->prefix || topic.length == length;
}
