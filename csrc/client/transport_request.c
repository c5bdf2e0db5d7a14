#include "client/transport_request.h"

#include <stdio.h>
#include <string.h>

static bool add_line(struct curl_slist **lines, const char *line)
{
  struct curl_slist *longer = curl_slist_append(*lines, line);
  if (longer != NULL)
    *lines = longer;
  return longer != NULL;
}

/* Builds the line "Authorization: ..." on the stack and wipes it. */
static bool add_authorization(struct curl_slist **lines, const char *authorization)
{
  char line[16384];
  snprintf(line, sizeof line, "Authorization: %s", authorization);
  bool added = add_line(lines, line);
  explicit_bzero(line, sizeof line);
  return added;
}

static bool add_lines(struct uk_transport *transport, const struct uk_client_request *request,
                      struct curl_slist **lines)
{
  const struct uk_buffer *headers = &request->headers;
  bool added = add_line(lines, "Expect:"); /* no 100-continue */
  if (added && transport->settings->authorization != NULL)
    added = add_authorization(lines, transport->settings->authorization);
  if (added && transport->bodyless)
    added = add_line(lines, "Content-Type:"); /* without this curl declares an empty body a form */
  for (size_t at = 0; added && at < headers->length; at += strlen(headers->data + at) + 1)
    added = add_line(lines, headers->data + at);
  return added;
}

/* Rebuilds the headers for curl unless they are those of the last transfer. */
static enum uk_error set_headers(struct uk_transport *transport,
                                 const struct uk_client_request *request)
{
  bool bodyless = request->body.length == 0;
  if (transport->lines != NULL && transport->bodyless == bodyless &&
      uk_slice_equal(uk_buffer_slice(&transport->headers), uk_buffer_slice(&request->headers)))
    return UK_OK;
  curl_easy_setopt(transport->curl, CURLOPT_HTTPHEADER, NULL);
  curl_slist_free_all(transport->lines);
  transport->lines = NULL;
  transport->bodyless = bodyless;
  uk_buffer_clear(&transport->headers);
  uk_buffer_append(&transport->headers, request->headers.data, request->headers.length);
  struct curl_slist *lines = NULL;
  if (transport->headers.error != UK_OK || !add_lines(transport, request, &lines)) {
    curl_slist_free_all(lines);
    return UK_E_NO_MEMORY;
  }
  transport->lines = lines;
  curl_easy_setopt(transport->curl, CURLOPT_HTTPHEADER, lines);
  return UK_OK;
}

static bool url_is(const struct uk_buffer *url, struct uk_slice base, struct uk_slice path)
{
  return url->length == base.length + path.length && url->length > 0 &&
         memcmp(url->data, base.data, base.length) == 0 &&
         memcmp(url->data + base.length, path.data, path.length) == 0;
}

static enum uk_error set_url(struct uk_transport *transport,
                             const struct uk_client_request *request)
{
  struct uk_slice base = transport->settings->url, path = uk_buffer_slice(&request->path);
  struct uk_buffer *url = &transport->url;
  if (url_is(url, base, path))
    return UK_OK;
  uk_buffer_clear(url);
  uk_buffer_append(url, base.data, base.length);
  uk_buffer_append(url, path.data, path.length);
  const char *text = uk_buffer_text(url);
  CURLUcode code = CURLUE_OUT_OF_MEMORY;
  if (text != NULL)
    code = curl_url_set(transport->parsed, CURLUPART_URL, text, CURLU_PATH_AS_IS);
  if (code == CURLUE_OK)
    return UK_OK;
  uk_buffer_clear(url);
  if (code == CURLUE_OUT_OF_MEMORY)
    return UK_E_NO_MEMORY;
  snprintf(transport->message, sizeof transport->message, "%s",
           curl_easy_strerror(CURLE_URL_MALFORMAT));
  return UK_E_TRANSPORT_FAILED;
}

static enum uk_error set_method(struct uk_transport *transport,
                                const struct uk_client_request *request)
{
  CURL *curl = transport->curl;
  if (transport->method != request->method) {
    const char *custom = request->method == UK_DELETE ? "DELETE" : NULL;
    transport->method = (enum uk_method)0;
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, custom) != CURLE_OK)
      return UK_E_NO_MEMORY;
    transport->method = request->method;
  }
  if (request->method != UK_POST)
    return UK_OK;
  /* A body makes the request a POST. */
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.length > 0 ? request->body.data : "");
  return UK_OK;
}

enum uk_error uk_transport_request_set(struct uk_transport *transport,
                                       const struct uk_client_request *request, int64_t timeout,
                                       bool resend)
{
  enum uk_error error = set_url(transport, request);
  if (error == UK_OK)
    error = set_headers(transport, request);
  if (error == UK_OK)
    error = set_method(transport, request);
  if (error != UK_OK)
    return error;
  if (transport->timeout != timeout)
    curl_easy_setopt(transport->curl, CURLOPT_TIMEOUT_MS, (long)timeout);
  transport->timeout = timeout;
  transport->sends = 0;
  transport->resend = resend;
#if LIBCURL_VERSION_NUM < 0x075000
  curl_easy_setopt(transport->curl, CURLOPT_FRESH_CONNECT, resend ? 0L : 1L);
#endif
  return UK_OK;
}
