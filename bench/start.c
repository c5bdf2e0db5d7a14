/* start: the time from a server's exec to its first answer to /health, and its memory.
 *
 *   start PORT COMMAND [ARGUMENT...]
 *
 * Prints the milliseconds, and the resident kilobytes after a second of idling. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static bool health_answers(uint16_t port)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    bench_die("socket");
  static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  char answer[64] = "";
  bool answered = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                  write(fd, request, sizeof request - 1) > 0 && read(fd, answer, 63) > 0;
  close(fd);
  return answered && strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

static void pause_ms(long ms)
{
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static long resident_kb(pid_t child)
{
  char path[64], line[256];
  long kb = -1;
  snprintf(path, sizeof path, "/proc/%d/status", (int)child);
  FILE *status = fopen(path, "r");
  if (!status)
    bench_die(path);
  while (fgets(line, sizeof line, status))
    sscanf(line, "VmRSS: %ld", &kb);
  fclose(status);
  return kb;
}

int main(int argc, char **argv)
{
  if (argc < 3) {
    fprintf(stderr, "usage: start PORT COMMAND [ARGUMENT...]\n");
    return 2;
  }
  uint16_t port = (uint16_t)atoi(argv[1]);
  int64_t start = bench_now_ns(), limit = start + (int64_t)10e9;
  pid_t child = fork();
  if (child < 0)
    bench_die("fork");
  if (child == 0) {
    if (!freopen("/dev/null", "w", stdout))
      _exit(127);
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  struct timespec step = {0, 200000};
  while (!health_answers(port)) {
    if (bench_now_ns() > limit || waitpid(child, NULL, WNOHANG) == child) {
      errno = ETIMEDOUT;
      bench_die("no /health");
    }
    nanosleep(&step, NULL);
  }
  double ms = (double)(bench_now_ns() - start) / 1e6;
  pause_ms(1000);
  printf("%.1f %ld\n", ms, resident_kb(child));
  kill(child, SIGTERM);
  waitpid(child, NULL, 0);
  return 0;
}
