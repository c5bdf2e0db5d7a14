#include "server/access/logins.h"

#include <strings.h>

#include "common/base64.h"

void uk_logins_init(struct uk_logins *logins)
{
  logins->count = 0;
  logins->used = 0;
}

static struct uk_slice keep(struct uk_logins *logins, struct uk_slice text)
{
  char *to = logins->bytes + logins->used;
  if (text.length > 0)
    memcpy(to, text.data, text.length);
  logins->used += text.length;
  return uk_slice_of(to, text.length);
}

static bool is_known(const struct uk_logins *logins, const struct uk_login *login)
{
  for (unsigned i = 0; i < logins->count; i++) {
    if (uk_slice_equal(logins->all[i].username, login->username) &&
        uk_slice_equal(logins->all[i].password, login->password))
      return true;
  }
  return false;
}

static void add_one(struct uk_logins *logins, struct uk_login login)
{
  if (login.username.length > UK_LOGIN_PART_MAX || login.password.length > UK_LOGIN_PART_MAX ||
      logins->count == UK_LOGINS_MAX || is_known(logins, &login))
    return;
  struct uk_login *kept = &logins->all[logins->count++];
  kept->username = keep(logins, login.username);
  kept->password = keep(logins, login.password);
}

/* Reads the bytes as Latin-1 and writes them as UTF-8. */
static struct uk_slice from_latin1(char out[2 * UK_LOGIN_PART_MAX], struct uk_slice text)
{
  size_t length = 0;
  for (size_t i = 0; i < text.length; i++) {
    const unsigned char byte = (unsigned char)text.data[i];
    if (byte >= 0x80)
      out[length++] = (char)(0xc0 | byte >> 6);
    out[length++] = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
  }
  return uk_slice_of(out, length);
}

static bool is_ascii(struct uk_slice text)
{
  size_t i = 0;
  while (i < text.length && (unsigned char)text.data[i] < 0x80)
    i++;
  return i == text.length;
}

/* Clients encode both parts the same way. */
void uk_logins_add(struct uk_logins *logins, struct uk_slice username, struct uk_slice password)
{
  char names[2 * UK_LOGIN_PART_MAX], passwords[2 * UK_LOGIN_PART_MAX];
  if (username.length > UK_LOGIN_PART_MAX || password.length > UK_LOGIN_PART_MAX)
    return;
  add_one(logins, (struct uk_login){username, password});
  if (is_ascii(username) && is_ascii(password))
    return;
  add_one(logins,
          (struct uk_login){from_latin1(names, username), from_latin1(passwords, password)});
  explicit_bzero(passwords, sizeof passwords);
}

static struct uk_slice trim(struct uk_slice text)
{
  while (text.length > 0 && text.data[text.length - 1] == ' ')
    text.length--;
  for (; text.length > 0 && text.data[0] == ' '; text.length--)
    text.data++;
  return text;
}

bool uk_logins_add_basic(struct uk_logins *logins, struct uk_slice authorization)
{
  static const char scheme[] = "Basic ";
  enum { SCHEME = sizeof scheme - 1, ENCODED_MAX = (2 * UK_LOGIN_PART_MAX + 3) / 3 * 4 };
  char plain[ENCODED_MAX];
  if (authorization.length < SCHEME || strncasecmp(authorization.data, scheme, SCHEME) != 0)
    return false;
  const struct uk_slice encoded =
    trim(uk_slice_of(authorization.data + SCHEME, authorization.length - SCHEME));
  size_t length = 0;
  if (encoded.length > sizeof plain ||
      !uk_base64_decode(plain, &length, encoded.data, encoded.length))
    return false;
  const char *colon = memchr(plain, ':', length);
  if (colon != NULL) {
    const size_t name_length = (size_t)(colon - plain);
    uk_logins_add(logins, uk_slice_of(plain, name_length),
                  uk_slice_of(colon + 1, length - name_length - 1));
  }
  explicit_bzero(plain, length);
  return colon != NULL;
}

void uk_logins_copy(struct uk_logins *to, const struct uk_logins *from)
{
  uk_logins_init(to);
  for (unsigned i = 0; i < from->count; i++)
    add_one(to, from->all[i]);
}

void uk_logins_wipe(struct uk_logins *logins)
{
  explicit_bzero(logins->bytes, logins->used);
  uk_logins_init(logins);
}
