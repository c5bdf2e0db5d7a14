#include "server/http/http_arrival.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Milliseconds. A system acknowledges within 200; it repeats what is lost for longer only if the
 * other one does not answer. */
enum { SILENCE = 5000 };

enum uk_arrival uk_arrival_judge(const struct uk_socket_facts *facts, bool shut, bool late)
{
  const bool all = facts->queued <= (facts->tcp && shut ? 1 : 0);
  const bool reset = facts->error != 0 || (facts->tcp && facts->over && !shut);
  if (reset || (facts->over && !all))
    return late && all ? UK_ARRIVAL_ENDED : UK_ARRIVAL_FAILED;
  if (facts->over)
    return UK_ARRIVAL_ENDED;
  if (all)
    return UK_ARRIVAL_OPEN;
  return facts->silent ? UK_ARRIVAL_FAILED : UK_ARRIVAL_DUE;
}

static bool has_hung_up(int socket)
{
  struct pollfd file = {.fd = socket};
  return poll(&file, 1, 0) > 0 && (file.revents & POLLHUP) != 0;
}

/* Reads the state before the error: the system sets the error before it closes the socket. */
enum uk_arrival uk_arrival_of(int socket, bool shut, bool late)
{
  struct tcp_info info = {0};
  struct uk_socket_facts facts = {0};
  socklen_t length = sizeof info;
  facts.tcp = getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0;
  facts.over = facts.tcp ? info.tcpi_state == TCP_CLOSE : has_hung_up(socket);
  facts.silent = info.tcpi_unacked > 0 && info.tcpi_last_ack_recv > SILENCE;
  length = sizeof facts.error;
  (void)getsockopt(socket, SOL_SOCKET, SO_ERROR, &facts.error, &length);
  (void)ioctl(socket, SIOCOUTQ, &facts.queued);
  return uk_arrival_judge(&facts, shut, late);
}
