/* transport_handle: a transport and its handle of curl, which this process creates, with all that
 * never changes set, and frees. Its callbacks take what arrives. For the files of the transport. */
#ifndef UK_TRANSPORT_HANDLE_H
#define UK_TRANSPORT_HANDLE_H

#include <curl/curl.h>
#include <sys/types.h>

#include "client/framing.h"
#include "client/request.h"
#include "client/response_notes.h"
#include "client/settings.h"

/* The most bytes of all header lines of a transfer together: those of interim responses and of a
 * proxy, and trailers, too. */
enum { UK_RESPONSE_HEADERS_MAX = 64 << 10 };

struct uk_transport {
  const struct uk_settings *settings;
  CURL *curl;               /* NULL until the first transfer */
  CURLM *multi;             /* runs `curl` and keeps its connection; NULL until it does */
  pid_t process;            /* the one that created them */
  curl_socket_t socket;     /* of the connection that is kept; CURL_SOCKET_BAD = none */
  unsigned signals;         /* that end a transfer */
  struct curl_slist *lines; /* the headers for curl, made from the next three fields */
  struct uk_buffer headers; /* the headers of the request */
  bool bodyless;
  CURLU *parsed;         /* the URL: curl need not parse it for each transfer */
  struct uk_buffer url;  /* what `parsed` holds */
  enum uk_method method; /* that curl is set to; 0 = none */
  int64_t timeout;       /* that curl is set to; -1 = none */
  /* Of the transfer under way. */
  struct uk_buffer *body;
  struct uk_framing framing;
  size_t header_bytes; /* of the header lines so far */
  int64_t retry_after; /* seconds, -1 = none */
  struct uk_response_notes notes;
  unsigned sends;
  bool resend;
  char message[CURL_ERROR_SIZE];
};

/* Initializes libcurl, once per process. False when libcurl fails. */
bool uk_transport_global(void);

/* Creates the handle of curl, unless this process has one: one from before a fork is not used. */
enum uk_error uk_transport_handle_prepare(struct uk_transport *transport);

/* Frees what curl holds, and resets the transport to the state before its first transfer. */
void uk_transport_handle_forget(struct uk_transport *transport);

#endif
