#include "common/budget.h"

#include <stdint.h>

void uk_budget_init(struct uk_budget *budget, size_t limit)
{
  atomic_init(&budget->taken, 0);
  budget->limit = limit;
}

size_t uk_budget_most(const struct uk_budget *budget)
{
  const size_t large = budget->limit - budget->limit / UK_BUDGET_KEPT;
  if (budget->limit == 0)
    return SIZE_MAX;
  if (large >= UK_BUDGET_SMALL)
    return large;
  return budget->limit < UK_BUDGET_SMALL ? budget->limit : UK_BUDGET_SMALL;
}

void uk_account_init(struct uk_account *account, struct uk_budget *budget)
{
  *account = (struct uk_account){.budget = budget};
}

/* How much of the budget may be taken in all, for an account that will hold so many bytes. */
static size_t limit_for(const struct uk_budget *budget, size_t held)
{
  if (budget->limit == 0)
    return SIZE_MAX;
  return held <= UK_BUDGET_SMALL ? budget->limit : budget->limit - budget->limit / UK_BUDGET_KEPT;
}

/* Whole steps for so many bytes; SIZE_MAX if that overflows. */
static size_t whole_steps(size_t bytes)
{
  const size_t step = bytes <= UK_BUDGET_LARGE_STEP ? UK_BUDGET_STEP : UK_BUDGET_LARGE_STEP;
  return bytes <= SIZE_MAX - step ? (bytes + step - 1) / step * step : SIZE_MAX;
}

/* Never takes more than it may, not even for a moment: others would be refused meanwhile. */
static bool reserve(struct uk_budget *budget, size_t bytes, size_t limit)
{
  size_t taken = atomic_load_explicit(&budget->taken, memory_order_relaxed);
  do {
    if (taken > limit || bytes > limit - taken)
      return false;
  } while (!atomic_compare_exchange_weak_explicit(&budget->taken, &taken, taken + bytes,
                                                  memory_order_relaxed, memory_order_relaxed));
  return true;
}

static bool hold(struct uk_account *account, size_t bytes)
{
  const size_t held = whole_steps(bytes);
  if (!reserve(account->budget, held - account->held, limit_for(account->budget, held))) {
    account->denied = held;
    return false;
  }
  account->held = held;
  account->denied = 0;
  return true;
}

bool uk_account_take(struct uk_account *account, size_t bytes)
{
  if (account == NULL || account->budget == NULL)
    return true;
  const size_t used = bytes <= SIZE_MAX - account->used ? account->used + bytes : SIZE_MAX;
  if (used > account->held && !hold(account, used))
    return false;
  account->used = used;
  return true;
}

void uk_account_give(struct uk_account *account, size_t bytes)
{
  if (account == NULL || account->budget == NULL)
    return;
  account->used -= bytes;
  const size_t held = whole_steps(account->used);
  if (held < account->held) {
    atomic_fetch_sub_explicit(&account->budget->taken, account->held - held, memory_order_relaxed);
    account->held = held;
  }
}

bool uk_account_never_fits(const struct uk_account *account)
{
  return account->denied > 0 && account->denied > uk_budget_most(account->budget);
}
