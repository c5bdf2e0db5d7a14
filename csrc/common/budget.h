/* budget: a bound on the memory of many holders together, such as all requests of a server.
 *
 * Each holder has an account. It takes from the budget in steps, so that most of its allocations
 * touch no memory that other threads share. A quarter of the budget is kept for small accounts:
 * however much the large ones ask for, a request of ordinary size gets its memory. */
#ifndef UK_BUDGET_H
#define UK_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum {
  UK_BUDGET_SMALL = 256 << 10,    /* bytes; a small account holds no more */
  UK_BUDGET_KEPT = 4,             /* one part in so many is for small accounts */
  UK_BUDGET_STEP = 4 << 10,       /* bytes taken at a time, up to UK_BUDGET_LARGE_STEP in all */
  UK_BUDGET_LARGE_STEP = 64 << 10 /* and beyond */
};

/* All zero: without a limit. Usable from any thread. */
struct uk_budget {
  atomic_size_t taken; /* bytes, by all accounts */
  size_t limit;        /* 0: none */
};

/* One thread at a time uses an account, the buffers and the arenas that belong to it. */
struct uk_account {
  struct uk_budget *budget;
  size_t held;   /* bytes taken from the budget: whole steps */
  size_t used;   /* bytes of those that are allocated */
  size_t denied; /* what it would have held when the budget last refused; 0 once it grants more */
};

void uk_budget_init(struct uk_budget *budget, size_t limit);

/* The most bytes that one account can ever hold. */
size_t uk_budget_most(const struct uk_budget *budget);

void uk_account_init(struct uk_account *account, struct uk_budget *budget);

/* Call it before an allocation of so many bytes. False: the budget has too little left, nothing
 * has changed but `denied`. `account` NULL, here and below: nothing is accounted for, true. */
bool uk_account_take(struct uk_account *account, size_t bytes);

/* Call it after so many bytes were freed. */
void uk_account_give(struct uk_account *account, size_t bytes);

/* Whether what was denied exceeds what one account can ever hold: it is useless to try again. */
bool uk_account_never_fits(const struct uk_account *account);

#endif
