/* Finds out how the library answers a malformed request, and whether it leaves a well-formed one
 * where it was received. The first depends on how it was linked and on what else in the process
 * loaded it first, so only trying it shows which applies. */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/http/http_lines.h"
#include "server/http/http_private.h"
#include "server/http/http_refusal.h"

enum { ITERATIONS_MAX = 16, ANSWER_SIZE = 1024 };
static const char malformed[] = "GET / HTTP/9.9\r\n\r\n";
static const char well_formed[] = "GET / HTTP/1.1\r\nHost: x\r\nA:\r\nB:\t y \r\n\r\n";

/* A daemon without a listening socket or a thread; it works only inside MHD_run. Without
 * MHD_USE_ERROR_LOG it logs nothing. */
static struct MHD_Daemon *start_silent(struct uk_http *http)
{
  return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
                          uk_http_on_request, http,                                          //
                          MHD_OPTION_NOTIFY_CONNECTION, uk_http_on_connection, (void *)http, //
                          MHD_OPTION_END);
}

/* Serves one request that was already sent through `served`. The daemon takes over that socket. */
static void serve(struct MHD_Daemon *daemon, int served, int client)
{
  const struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
  char byte;
  if (MHD_add_connection(daemon, served, (const struct sockaddr *)&nowhere, sizeof nowhere) !=
      MHD_YES)
    return;
  for (int i = 0; i < ITERATIONS_MAX && recv(client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0; i++)
    MHD_run(daemon);
}

static bool is_refused_in_json(int served, int client)
{
  struct uk_http http = {
    .tls = true, .acceptor = {.wake = -1}}; /* so that closing the connection writes nothing */
  char answer[ANSWER_SIZE] = "";
  uk_http_register(&http);
  struct MHD_Daemon *daemon = start_silent(&http);
  if (daemon != NULL) {
    serve(daemon, served, client);
    MHD_stop_daemon(daemon);
  } else {
    close(served);
  }
  uk_http_unregister(&http);
  (void)!recv(client, answer, sizeof answer - 1, MSG_DONTWAIT);
  return strstr(answer, "Content-Type: application/json") != NULL;
}

/* Sends `request` to ends[0]. */
static bool send_to_pair(int ends[2], const char *request)
{
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return false;
  const size_t length = strlen(request);
  if (send(ends[1], request, length, MSG_NOSIGNAL) == (ssize_t)length)
    return true;
  close(ends[0]);
  close(ends[1]);
  return false;
}

bool uk_http_refusals_are_json(void)
{
  int ends[2];
  if (!send_to_pair(ends, malformed))
    return false;
  bool json = is_refused_in_json(ends[0], ends[1]);
  close(ends[1]);
  return json;
}

static enum MHD_Result note_lines(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **exchange)
{
  bool *kept = context;
  (void)url;
  (void)upload;
  (void)upload_size;
  (void)exchange;
  *kept = uk_http_lines_hold(connection, method, version);
  return MHD_NO;
}

bool uk_http_lines_are_kept(void)
{
  int ends[2];
  bool kept = false;
  if (!send_to_pair(ends, well_formed))
    return false;
  struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL,
                                               NULL, note_lines, &kept, MHD_OPTION_END);
  if (daemon != NULL) {
    serve(daemon, ends[0], ends[1]);
    MHD_stop_daemon(daemon);
  } else {
    close(ends[0]);
  }
  close(ends[1]);
  return kept;
}

bool uk_http_checks_heads(void)
{
  return uk_http_lines_are_kept();
}
