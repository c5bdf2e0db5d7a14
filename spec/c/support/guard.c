#include "guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t page_size(void)
{
  return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t length)
{
  size_t page = page_size();
  return (length + page - 1) / page * page;
}

char *guard_copy(const void *data, size_t length)
{
  size_t size = whole_pages(length), page = page_size();
  char *base = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED || mprotect(base + size, page, PROT_NONE) != 0) {
    perror("guard_copy");
    abort();
  }
  char *copy = base + size - length;
  if (length > 0)
    memcpy(copy, data, length);
  return copy;
}

void guard_free(char *copy, size_t length)
{
  size_t size = whole_pages(length);
  munmap(copy + length - size, size + page_size());
}
