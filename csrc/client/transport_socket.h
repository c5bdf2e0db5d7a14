/* transport_socket: descriptors of libcurl that no child process inherits. */
#ifndef UK_TRANSPORT_SOCKET_H
#define UK_TRANSPORT_SOCKET_H

#include <curl/curl.h>

/* Opens a socket that is closed on exec: a CURLOPT_OPENSOCKETFUNCTION. */
curl_socket_t uk_transport_socket(void *context, curlsocktype purpose,
                                  struct curl_sockaddr *address);

/* Creates a multi handle whose own descriptors are closed on exec. NULL when libcurl fails. */
CURLM *uk_transport_multi(void);

#endif
