#include "fault.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
/* Weak, so that a program linked without --wrap=free links all the same. */
void __real_free(void *memory) __attribute__((weak));

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

static atomic_long first_failure; /* 0: none */
static atomic_bool for_ever;
static atomic_long count;
static atomic_bool hit;
static atomic_long live;
static void (*_Atomic watcher)(const void *memory);

static void arm(long n, bool ever)
{
  atomic_store(&first_failure, 0);
  atomic_store(&for_ever, ever);
  atomic_store(&count, 0);
  atomic_store(&hit, false);
  atomic_store(&first_failure, n);
}

void fault_at(long n)
{
  arm(n, false);
}

void fault_from(long n)
{
  arm(n, true);
}

void fault_off(void)
{
  arm(0, false);
}

long fault_count(void)
{
  return atomic_load(&count);
}

bool fault_hit(void)
{
  return atomic_load(&hit);
}

long fault_live(void)
{
  return __real_free != NULL ? atomic_load(&live) : -1;
}

void fault_watch_free(void (*look)(const void *memory))
{
  atomic_store(&watcher, look);
}

static bool must_fail(void)
{
  long n = atomic_fetch_add(&count, 1) + 1;
  long first = atomic_load(&first_failure);
  bool fails = first > 0 && (n == first || (n > first && atomic_load(&for_ever)));
  if (fails)
    atomic_store(&hit, true);
  return fails;
}

static void *counted(void *memory)
{
  if (memory != NULL)
    atomic_fetch_add(&live, 1);
  return memory;
}

void *__wrap_malloc(size_t size)
{
  return must_fail() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t members, size_t size)
{
  return must_fail() ? NULL : counted(__real_calloc(members, size));
}

void *__wrap_realloc(void *old, size_t size)
{
  if (must_fail())
    return NULL;
  return old == NULL ? counted(__real_realloc(old, size)) : __real_realloc(old, size);
}

void __wrap_free(void *memory)
{
  void (*look)(const void *) = atomic_load(&watcher);
  if (memory != NULL && look != NULL)
    look(memory);
  if (memory != NULL)
    atomic_fetch_sub(&live, 1); /* last: who sees the count sees that nobody looks any more */
  __real_free(memory);
}

char *__wrap_strndup(const char *text, size_t length)
{
  length = strnlen(text, length);
  char *copy = __wrap_malloc(length + 1);
  if (copy != NULL) {
    memcpy(copy, text, length);
    copy[length] = '\0';
  }
  return copy;
}

char *__wrap_strdup(const char *text)
{
  return __wrap_strndup(text, SIZE_MAX - 1);
}
