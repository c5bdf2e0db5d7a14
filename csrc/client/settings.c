#include "client/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base64.h"

#define UK_BASIC "Basic "

void uk_settings_options_default(struct uk_settings_options *options)
{
  *options = (struct uk_settings_options){
    .timeout = 30000,
    .connect_timeout = 5000,
    .retries = 3,
    .retry_delay = 100,
    .retry_delay_max = 10000,
    .max_response_bytes = 128 << 20,
    .verify = true,
  };
}

static bool has_scheme(struct uk_slice url, const char *scheme)
{
  size_t length = strlen(scheme);
  return url.length > length && strncasecmp(url.data, scheme, length) == 0;
}

/* What is wrong with the URL, NULL when nothing is. `*host` is where the host starts, `*path`
 * where it and the port end. */
static const char *check_url(struct uk_slice url, size_t *host, size_t *path)
{
  *host = has_scheme(url, "http://") ? 7 : has_scheme(url, "https://") ? 8 : 0;
  if (*host == 0)
    return "url: http:// or https:// and a host expected";
  if (url.length > UK_SETTINGS_URL_MAX)
    return "url: too long";
  for (size_t i = 0; i < url.length; i++) {
    if ((unsigned char)url.data[i] <= ' ' || url.data[i] == 0x7f)
      return "url: a space or control character in it";
    if (url.data[i] == '?' || url.data[i] == '#')
      return "url: no query and no fragment expected";
  }
  const char *slash = memchr(url.data + *host, '/', url.length - *host);
  *path = slash != NULL ? (size_t)(slash - url.data) : url.length;
  if (*path == *host)
    return "url: a host expected behind the scheme";
  if (memchr(url.data + *host, '@', *path - *host) != NULL)
    return "url: credentials in it; give them as username and password";
  return NULL;
}

static const char *check_credentials(const struct uk_settings_options *options)
{
  struct uk_slice username = options->username, password = options->password;
  if (username.data == NULL && password.data == NULL)
    return NULL;
  if (username.data == NULL || username.length == 0)
    return "username: absent, but there is a password";
  if (password.data == NULL)
    return "password: absent, but there is a username";
  if (memchr(username.data, ':', username.length) != NULL)
    return "username: a ':' in it";
  if (username.length > UK_SETTINGS_CREDENTIAL_MAX)
    return "username: too long";
  if (password.length > UK_SETTINGS_CREDENTIAL_MAX)
    return "password: too long";
  return NULL;
}

/* "Basic " and base64 of "username:password" at `out`. The plain text is wiped from the stack. */
static void write_authorization(char *out, const struct uk_settings_options *options)
{
  char plain[2 * UK_SETTINGS_CREDENTIAL_MAX + 1];
  size_t length = options->username.length;
  memcpy(plain, options->username.data, length);
  plain[length++] = ':';
  if (options->password.length > 0)
    memcpy(plain + length, options->password.data, options->password.length);
  length += options->password.length;
  size_t head = strlen(UK_BASIC);
  memcpy(out, UK_BASIC, head);
  uk_base64_encode(out + head, plain, length);
  out[head + uk_base64_encoded_size(length)] = '\0';
  explicit_bzero(plain, sizeof plain);
}

bool uk_settings_init(struct uk_settings *settings, const struct uk_settings_options *options,
                      char *message, size_t size)
{
  size_t host = 0, path = 0;
  const char *problem = check_url(options->url, &host, &path);
  if (problem == NULL)
    problem = check_credentials(options);
  if (problem != NULL) {
    snprintf(message, size, "%s", problem);
    return false;
  }
  size_t url_length = options->url.length;
  while (url_length > path && options->url.data[url_length - 1] == '/')
    url_length--;
  size_t secret = strlen(UK_BASIC) + 1 +
                  uk_base64_encoded_size(options->username.length + 1 + options->password.length);
  size_t ca_file = options->ca_file != NULL ? strlen(options->ca_file) + 1 : 0;
  char *memory = calloc(1, secret + url_length + 1 + ca_file);
  if (memory == NULL) {
    snprintf(message, size, "%s", "out of memory");
    return false;
  }
  char *url = memory + secret;
  memcpy(url, options->url.data, url_length);
  *settings = (struct uk_settings){.options = *options, .memory = memory};
  settings->options.url = settings->options.username = settings->options.password =
    uk_slice_of(NULL, 0);
  settings->url = uk_slice_of(url, url_length);
  settings->prefix = uk_slice_of(url + path, url_length - path);
  if (ca_file > 0)
    settings->options.ca_file = memcpy(url + url_length + 1, options->ca_file, ca_file);
  if (options->username.data != NULL) {
    write_authorization(memory, options);
    settings->authorization = memory;
  }
  return true;
}

void uk_settings_free(struct uk_settings *settings)
{
  if (settings->authorization != NULL)
    explicit_bzero(settings->memory, strlen(settings->memory));
  free(settings->memory);
  *settings = (struct uk_settings){.memory = NULL};
}
