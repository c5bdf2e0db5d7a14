#include "client/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/proxy.h"
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

/* Returns what is wrong with the URL, or NULL. `*host` is the position of the host, `*path` the one
 * after host and port. */
static const char *check_url(struct uk_slice url, size_t *host, size_t *path)
{
  *host = has_scheme(url, "http://") ? 7 : has_scheme(url, "https://") ? 8 : 0;
  if (*host == 0)
    return "url: http:// or https:// and a host expected";
  if (url.length > UK_SETTINGS_URL_MAX)
    return "url: too long";
  for (size_t i = 0; i < url.length; i++) {
    if ((unsigned char)url.data[i] <= ' ' || url.data[i] == 0x7f)
      return "url: contains a space or a control character";
    if (url.data[i] == '?' || url.data[i] == '#')
      return "url: must not have a query or a fragment";
  }
  const char *slash = memchr(url.data + *host, '/', url.length - *host);
  *path = slash != NULL ? (size_t)(slash - url.data) : url.length;
  if (*path == *host)
    return "url: a host expected after the scheme";
  if (memchr(url.data + *host, '@', *path - *host) != NULL)
    return "url: must not contain credentials; pass username and password";
  return NULL;
}

#define UNIX_HOST "unix:"
#define UNIX_URL "http://localhost"

/* The parts of a URL. */
struct url_parts {
  struct uk_slice base;   /* scheme, host and port; UNIX_URL for a unix socket */
  struct uk_slice prefix; /* the path, without trailing slashes */
  struct uk_slice socket; /* data NULL = none */
  struct uk_slice host;   /* without the port */
};

static struct uk_slice without_slashes(const char *data, const char *end)
{
  while (end > data && end[-1] == '/')
    end--;
  return uk_slice_of(data, (size_t)(end - data));
}

/* Reads "http://unix:/SOCKET" or "http://unix:/SOCKET:/PATH", as in nginx. `path` is the position
 * of SOCKET. */
static const char *read_socket(struct uk_slice url, size_t path, struct url_parts *parts)
{
  const char *start = url.data + path, *end = url.data + url.length;
  if (has_scheme(url, "https://"))
    return "url: https over a unix socket is not supported";
  if (start == end)
    return "url: the path of a unix socket expected after unix:";
  const char *colon = memchr(start, ':', (size_t)(end - start));
  const char *rest = colon != NULL ? colon + 1 : end;
  parts->base = uk_slice_text(UNIX_URL);
  parts->socket = uk_slice_of(start, (size_t)((colon != NULL ? colon : end) - start));
  parts->prefix = without_slashes(rest, end);
  if (rest < end && *rest != '/')
    return "url: a path expected after the unix socket and its ':'";
  return parts->socket.length > UK_SETTINGS_SOCKET_MAX
           ? "url: the path of the unix socket is too long"
           : NULL;
}

/* The host of "HOST" or "HOST:PORT", where a host in brackets may hold colons. */
static struct uk_slice without_port(struct uk_slice authority)
{
  const char *end = memchr(authority.data, ']', authority.length);
  if (end != NULL)
    return uk_slice_of(authority.data, (size_t)(end + 1 - authority.data));
  end = memchr(authority.data, ':', authority.length);
  return end != NULL ? uk_slice_of(authority.data, (size_t)(end - authority.data)) : authority;
}

static const char *read_url(struct uk_slice url, struct url_parts *parts)
{
  size_t host = 0, path = 0;
  const char *problem = check_url(url, &host, &path);
  if (problem != NULL)
    return problem;
  if (uk_slice_is(uk_slice_of(url.data + host, path - host), UNIX_HOST))
    return read_socket(url, path, parts);
  parts->host = without_port(uk_slice_of(url.data + host, path - host));
  parts->base = uk_slice_of(url.data, path);
  parts->prefix = without_slashes(url.data + path, url.data + url.length);
  return NULL;
}

static const char *check_credentials(const struct uk_settings_options *options)
{
  struct uk_slice username = options->username, password = options->password;
  if (username.data == NULL && password.data == NULL)
    return NULL;
  if (username.data == NULL || username.length == 0)
    return "username: missing, but there is a password";
  if (password.data == NULL)
    return "password: missing, but there is a username";
  if (memchr(username.data, ':', username.length) != NULL)
    return "username: must not contain ':'";
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

/* Copies the slice and a NUL to `*at`, and advances `*at` past them. */
static const char *keep(char **at, struct uk_slice slice)
{
  char *copy = *at;
  if (slice.length > 0)
    memcpy(copy, slice.data, slice.length);
  copy[slice.length] = '\0';
  *at += slice.length + 1;
  return copy;
}

/* A password never goes to a proxy for a server on this machine. */
static const char *proxy_for(const struct uk_settings_options *options,
                             const struct url_parts *parts)
{
  if (parts->socket.data != NULL || uk_proxy_is_loopback(parts->host))
    return "";
  return options->proxy;
}

/* One block of memory holds everything that the settings point to, the secret first. */
static bool copy_all(struct uk_settings *settings, const struct uk_settings_options *options,
                     const struct url_parts *parts)
{
  char name[UK_PROXY_NAME_SIZE];
  const char *ca_file = options->ca_file != NULL ? options->ca_file : "";
  const char *proxy = proxy_for(options, parts);
  uk_proxy_name(name, proxy, parts->host, has_scheme(options->url, "https://"));
  size_t url = parts->base.length + parts->prefix.length;
  size_t secret = strlen(UK_BASIC) + 1 +
                  uk_base64_encoded_size(options->username.length + 1 + options->password.length);
  size_t size = secret + url + 1 + strlen(ca_file) + 1 + parts->socket.length + 1 +
                (proxy != NULL ? strlen(proxy) : 0) + 1 + strlen(name) + 1;
  char *memory = calloc(1, size);
  if (memory == NULL)
    return false;
  char *at = memory + secret;
  *settings = (struct uk_settings){.options = *options, .memory = memory, .size = size};
  settings->options.url = settings->options.username = settings->options.password =
    uk_slice_of(NULL, 0);
  settings->url = uk_slice_of(at, url);
  settings->prefix = uk_slice_of(at + parts->base.length, parts->prefix.length);
  keep(&at, parts->base);
  at--;
  keep(&at, parts->prefix);
  settings->options.ca_file = options->ca_file != NULL ? keep(&at, uk_slice_text(ca_file)) : NULL;
  settings->socket = parts->socket.data != NULL ? keep(&at, parts->socket) : NULL;
  settings->proxy = proxy != NULL ? keep(&at, uk_slice_text(proxy)) : NULL;
  settings->proxy_name = keep(&at, uk_slice_text(name));
  settings->options.proxy = NULL;
  if (options->username.data != NULL) {
    write_authorization(memory, options);
    settings->authorization = memory;
  }
  return true;
}

bool uk_settings_init(struct uk_settings *settings, const struct uk_settings_options *options,
                      char *message, size_t size)
{
  struct url_parts parts = {.socket = {NULL, 0}};
  const char *problem = read_url(options->url, &parts);
  if (problem == NULL)
    problem = check_credentials(options);
  if (problem == NULL)
    problem = uk_proxy_check(options->proxy);
  if (problem == NULL && !copy_all(settings, options, &parts))
    problem = "out of memory";
  if (problem != NULL)
    snprintf(message, size, "%s", problem);
  return problem == NULL;
}

bool uk_settings_copy(struct uk_settings *copy, const struct uk_settings *settings)
{
  char *memory = malloc(settings->size);
  if (memory == NULL)
    return false;
  memcpy(memory, settings->memory, settings->size);
  *copy = *settings;
  copy->memory = memory;
  const char **const inside[] = {&copy->url.data,  &copy->prefix.data,   &copy->options.ca_file,
                                 &copy->socket,    &copy->authorization, &copy->proxy,
                                 &copy->proxy_name};
  for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
    if (*inside[i] != NULL)
      *inside[i] = memory + (*inside[i] - settings->memory);
  return true;
}

static bool same_text(const char *a, const char *b)
{
  return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool uk_settings_equal(const struct uk_settings *a, const struct uk_settings *b)
{
  const struct uk_settings_options *x = &a->options, *y = &b->options;
  return uk_slice_equal(a->url, b->url) && same_text(a->authorization, b->authorization) &&
         same_text(a->socket, b->socket) && same_text(a->proxy, b->proxy) &&
         same_text(x->ca_file, y->ca_file) && x->timeout == y->timeout &&
         x->connect_timeout == y->connect_timeout && x->retries == y->retries &&
         x->retry_delay == y->retry_delay && x->retry_delay_max == y->retry_delay_max &&
         x->max_response_bytes == y->max_response_bytes && x->binary == y->binary &&
         x->verify == y->verify && x->compress == y->compress && x->idempotent == y->idempotent;
}

void uk_settings_free(struct uk_settings *settings)
{
  if (settings->authorization != NULL)
    explicit_bzero(settings->memory, strlen(settings->memory));
  if (settings->proxy != NULL)
    explicit_bzero(settings->memory + (settings->proxy - settings->memory),
                   strlen(settings->proxy));
  free(settings->memory);
  *settings = (struct uk_settings){.memory = NULL};
}
