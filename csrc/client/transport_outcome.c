#include "client/transport_outcome.h"

#include <stdio.h>
#include <string.h>

#include "client/proxy.h"
#include "common/utf8.h"

/* The errors for the codes of curl; any other code is TRANSPORT_FAILED. */
static const struct {
  CURLcode code;
  enum uk_error error;
} curl_errors[] = {
  {CURLE_OUT_OF_MEMORY, UK_E_NO_MEMORY},
  {CURLE_COULDNT_RESOLVE_HOST, UK_E_RESOLVE_FAILED},
  {CURLE_COULDNT_RESOLVE_PROXY, UK_E_RESOLVE_FAILED},
  {CURLE_COULDNT_CONNECT, UK_E_CONNECT_FAILED},
  {CURLE_OPERATION_TIMEDOUT, UK_E_TIMEOUT},
  {CURLE_SSL_CONNECT_ERROR, UK_E_TLS_FAILED},
  {CURLE_PEER_FAILED_VERIFICATION, UK_E_TLS_FAILED},
  {CURLE_SSL_CACERT_BADFILE, UK_E_TLS_FAILED},
  {CURLE_SSL_CERTPROBLEM, UK_E_TLS_FAILED},
  {CURLE_SSL_CIPHER, UK_E_TLS_FAILED},
  {CURLE_SSL_ISSUER_ERROR, UK_E_TLS_FAILED},
  {CURLE_SSL_INVALIDCERTSTATUS, UK_E_TLS_FAILED},
  {CURLE_GOT_NOTHING, UK_E_CONNECTION_LOST},
  {CURLE_PARTIAL_FILE, UK_E_CONNECTION_LOST},
  {CURLE_SEND_ERROR, UK_E_CONNECTION_LOST},
  {CURLE_RECV_ERROR, UK_E_CONNECTION_LOST},
  {CURLE_ABORTED_BY_CALLBACK, UK_E_CONNECTION_LOST},
  {CURLE_BAD_CONTENT_ENCODING, UK_E_BAD_RESPONSE},
  {CURLE_WEIRD_SERVER_REPLY, UK_E_BAD_RESPONSE},
  {CURLE_UNSUPPORTED_PROTOCOL, UK_E_BAD_RESPONSE},
  {CURLE_HTTP2, UK_E_BAD_RESPONSE},
};

static enum uk_error listed_error(CURLcode code)
{
  for (size_t i = 0; i < sizeof curl_errors / sizeof *curl_errors; i++)
    if (curl_errors[i].code == code)
      return curl_errors[i].error;
  return UK_E_TRANSPORT_FAILED;
}

static bool is_unsent(enum uk_error error)
{
  return error == UK_E_CONNECT_FAILED || error == UK_E_RESOLVE_FAILED || error == UK_E_TLS_FAILED;
}

/* The error for headers that are too long. UK_OK when the code has another reason. */
static enum uk_error header_error(struct uk_transport *transport, CURLcode code)
{
  if (code == CURLE_OUT_OF_MEMORY && transport->sends > 0 && !transport->framing.headed) {
    /* curl says the same of both. */
    snprintf(transport->message, sizeof transport->message,
             "out of memory, or a line of the response's headers is over 100 KB");
    return UK_E_NO_MEMORY;
  }
  if (code != CURLE_WRITE_ERROR || transport->header_bytes <= UK_RESPONSE_HEADERS_MAX)
    return UK_OK;
  snprintf(transport->message, sizeof transport->message,
           "the headers of the response are over %d bytes", UK_RESPONSE_HEADERS_MAX);
  return UK_E_BAD_RESPONSE;
}

static enum uk_error error_of(struct uk_transport *transport, CURLcode code)
{
  enum uk_error error = header_error(transport, code);
  if (error != UK_OK)
    return error;
  error = listed_error(code);
  if (code == CURLE_WRITE_ERROR && transport->body->error != UK_OK) {
    transport->message[0] = '\0';
    return transport->body->error == UK_E_TOO_LARGE ? UK_E_RESPONSE_TOO_LARGE : UK_E_NO_MEMORY;
  }
  if (code == CURLE_ABORTED_BY_CALLBACK)
    transport->message[0] = '\0';
#if LIBCURL_VERSION_NUM >= 0x075000
  if (code == CURLE_OPERATION_TIMEDOUT &&
      transport->sends == 0) /* the request was not sent: it can be retried */
    return UK_E_CONNECT_FAILED;
#endif
  if (is_unsent(error) && transport->sends > 0) {
    /* A kept-alive connection died with the request on it, and curl could not connect again. */
    transport->message[0] = '\0';
    return UK_E_CONNECTION_LOST;
  }
  if (error == UK_E_TRANSPORT_FAILED && transport->message[0] == '\0')
    snprintf(transport->message, sizeof transport->message, "%s", curl_easy_strerror(code));
  return error;
}

/* Adds the proxy to the message of an error: the server may be well. */
static void name_proxy(struct uk_transport *transport, enum uk_error error)
{
  char text[CURL_ERROR_SIZE];
  const char *name = transport->settings->proxy_name;
  if (name[0] == '\0' || error == UK_E_RESPONSE_TOO_LARGE || error == UK_E_NO_MEMORY)
    return;
  snprintf(text, sizeof text, "%s",
           transport->message[0] != '\0' ? transport->message : uk_error_text(error));
  uk_proxy_append(transport->message, sizeof transport->message, text, name);
}

enum uk_error uk_transport_outcome(struct uk_transport *transport, CURLcode code)
{
  const enum uk_error error = error_of(transport, code);
  /* curl quotes the server: the names in its certificate, for example. */
  uk_utf8_replace_controls(transport->message, strlen(transport->message));
  name_proxy(transport, error);
  return error;
}
