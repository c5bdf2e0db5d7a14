#include "server/log_engine/log_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The handler may not allocate, and the first use of a thread-local variable of a loaded module
 * may, except in this model. */
#ifdef __GLIBC__
#define TLS_MODEL __attribute__((tls_model("initial-exec")))
#else
#define TLS_MODEL
#endif

static _Thread_local struct uk_log_guard *current TLS_MODEL;

static struct sigaction before_bus, before_segv;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Writes with one call, and without stdio: the process's memory may be damaged. */
static void end_process(const char *text)
{
  char line[400] = "upstash-kafka: data.mdb is damaged, which was found inside a write: ";
  strncat(line, text, sizeof line - strlen(line) - 1);
  strncat(line, "; the process ends; run upstash-kafka check\n", sizeof line - strlen(line) - 1);
  ssize_t written = write(STDERR_FILENO, line, strlen(line));
  (void)written;
  _exit(1);
}

static void jump(struct uk_log_guard *guard, const char *text, bool may_have_written)
{
  if (guard->writes && may_have_written)
    end_process(text);
  guard->text[0] = '\0';
  strncat(guard->text, text, sizeof guard->text - 1);
  current = guard->outer;
  siglongjmp(guard->jump, 1);
}

/* The default action is taken when the instruction is repeated, or when the signal that was sent
 * comes again. */
static void pass_on(int number, siginfo_t *info, void *context, const struct sigaction *before)
{
  bool handled = before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN;
  if (handled && (before->sa_flags & SA_SIGINFO) != 0) {
    before->sa_sigaction(number, info, context);
  } else if (handled) {
    before->sa_handler(number);
  } else if (before->sa_handler == SIG_DFL || info->si_code > 0) {
    signal(number, SIG_DFL);
    if (info->si_code <= 0)
      raise(number);
  }
}

/* A handler that was installed later, and calls ours, may block signals: after the jump they would
 * stay blocked, and the next fault would end the process. */
static void restore_mask(const void *context)
{
  const ucontext_t *interrupted = context;
  pthread_sigmask(SIG_SETMASK, &interrupted->uc_sigmask, NULL);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
  struct uk_log_guard *guard = current;
  if (guard == NULL || info->si_code <= 0) {
    pass_on(number, info, context, number == SIGBUS ? &before_bus : &before_segv);
    return;
  }
  restore_mask(context);
  if (number == SIGBUS)
    jump(guard, "a page cannot be read, because the file was cut or the disk failed (SIGBUS)",
         false);
  else
    jump(guard, "a page points to memory that does not exist (SIGSEGV)", true);
}

/* The signal is not blocked in the handler: one that was there before ours may jump, too. */
static void install(void)
{
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigemptyset(&action.sa_mask);
  action.sa_sigaction = on_signal;
  sigaction(SIGBUS, NULL, &before_bus);
  sigaction(SIGSEGV, NULL, &before_segv);
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
}

void uk_log_guard_install(void)
{
  pthread_once(&once, install);
}

void uk_log_guard_enter(struct uk_log_guard *guard)
{
  guard->outer = current;
  current = guard;
}

void uk_log_guard_leave(struct uk_log_guard *guard)
{
  current = guard->outer;
}

void uk_log_guard_assert(const char *text)
{
  if (current != NULL)
    jump(current, text, true);
}
