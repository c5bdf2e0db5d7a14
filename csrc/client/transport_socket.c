#include "client/transport_socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

curl_socket_t uk_transport_socket(void *context, curlsocktype purpose,
                                  struct curl_sockaddr *address)
{
  (void)context;
  if (purpose != CURLSOCKTYPE_IPCXN)
    return CURL_SOCKET_BAD;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The wake-up descriptors of a multi handle: a pair of sockets, or in libcurl 8.5 a pipe. Older
 * versions do not close them on exec, and no function returns them. They get the lowest free
 * descriptors. Wakes that nobody has read yet tell them from descriptors that another thread opened
 * meanwhile. */
enum { CANDIDATES = 4, DESCRIPTORS_MAX = 65536, WAKES = 3 };

/* Writes the lowest free descriptors. Returns their number. */
static int find_free(int *descriptors)
{
  int count = 0;
  for (int i = 0; i < DESCRIPTORS_MAX && count < CANDIDATES; i++)
    if (fcntl(i, F_GETFD) < 0)
      descriptors[count++] = i;
  return count;
}

static bool is_unix_socket(int descriptor)
{
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

static bool is_pipe(int descriptor)
{
  struct stat status;
  return fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* True for the end that holds the wakes, and for the end that has sent them. A pipe holds them at
 * both of its ends. */
static bool is_wakeup(int descriptor)
{
  int unread = 0, sent = 0;
  if (is_pipe(descriptor))
    return ioctl(descriptor, FIONREAD, &unread) == 0 && unread == WAKES;
  if (!is_unix_socket(descriptor) || ioctl(descriptor, FIONREAD, &unread) != 0 ||
      ioctl(descriptor, SIOCOUTQ, &sent) != 0)
    return false;
  return unread == WAKES ? sent == 0 : unread == 0 && sent > 0;
}

CURLM *uk_transport_multi(void)
{
  int candidates[CANDIDATES];
  const int count = find_free(candidates);
  CURLM *multi = curl_multi_init();
  if (multi == NULL)
    return NULL;
  for (int i = 0; i < WAKES; i++)
    curl_multi_wakeup(multi);
  for (int i = 0; i < count; i++)
    if (is_wakeup(candidates[i]))
      fcntl(candidates[i], F_SETFD, FD_CLOEXEC);
  curl_multi_poll(multi, NULL, 0, 0, NULL); /* reads the wakes */
  return multi;
}
