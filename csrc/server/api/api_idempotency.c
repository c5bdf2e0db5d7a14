#include "server/api/api_idempotency.h"

#include <strings.h>
#include <xxhash.h>

#include "server/access/credentials.h"

/* The hash of the hashes of the parts so far, in an order of bytes that can be stored. Each part
 * has the same size in it, so that none can pass for the beginning of the next. */
struct fingerprint {
  XXH128_canonical_t whole, part;
};
_Static_assert(sizeof(XXH128_canonical_t) == sizeof((struct uk_produce_key){0}.fingerprint),
               "a fingerprint is one hash");

static void add(struct fingerprint *fingerprint, struct uk_slice part)
{
  XXH128_canonicalFromHash(&fingerprint->part, XXH3_128bits(part.data, part.length));
  XXH128_canonicalFromHash(&fingerprint->whole, XXH3_128bits(fingerprint, sizeof *fingerprint));
}

/* Credentials are those of the user, who is part of the key. */
static void add_parameter(void *argument, struct uk_slice name, struct uk_slice value)
{
  struct fingerprint *fingerprint = argument;
  if (uk_slice_is(name, "user") || uk_slice_is(name, "pass") ||
      (name.length > 0 && name.data[0] == '_'))
    return;
  add(fingerprint, name);
  add(fingerprint, value);
}

/* The value that counts, in one spelling; empty if absent. */
static struct uk_slice encoding(const struct uk_request *request)
{
  struct uk_slice text = uk_request_header(request, UK_HEADER_ENCODING);
  const struct uk_slice base64 = uk_slice_text(UK_ENCODING_BASE64);
  return text.length == base64.length && strncasecmp(text.data, base64.data, text.length) == 0
           ? base64
           : (struct uk_slice){0};
}

/* Of the method, the path, the query, the body and the encoding. Keys outlive the server's version,
 * so nothing in it may depend on that. False: out of memory. */
static bool take_fingerprint(struct uk_request *request, struct fingerprint *fingerprint)
{
  *fingerprint = (struct fingerprint){0};
  add(fingerprint, uk_slice_text(request->method == UK_POST ? "POST" : "GET"));
  add(fingerprint, uk_slice_text(uk_endpoints[request->endpoint].path));
  for (size_t i = 0; i < UK_PATH_PARAMETERS; i++)
    add(fingerprint, request->parameters[i]);
  if (!uk_request_each_parameter(request, add_parameter, fingerprint))
    return false;
  add(fingerprint, uk_slice_of(request->body, request->body_length));
  add(fingerprint, encoding(request));
  return true;
}

bool uk_api_read_produce_key(struct uk_request *request, struct uk_produce_key *key)
{
  struct fingerprint fingerprint;
  *key = (struct uk_produce_key){0};
  if (!uk_api_header_token(request, UK_HEADER_IDEMPOTENCY_KEY, UK_IDEMPOTENCY_KEY_MAX, &key->key))
    return false;
  if (key->key.data == NULL)
    return true;
  if (!take_fingerprint(request, &fingerprint)) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  key->user = uk_credential_username(request->credential);
  memcpy(key->fingerprint, &fingerprint.whole, sizeof key->fingerprint);
  return true;
}
