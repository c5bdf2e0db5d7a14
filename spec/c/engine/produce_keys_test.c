/* for: produce_keys.c */
#include "server/engine/produce_keys.h"

#include <stdio.h>

#include "check.h"
#include "fault.h"
#include "server/engine/produce_answer.h"

enum { WINDOW = 1000, RECORDS = 3 };

static const struct uk_produce_keys_limits wide = {WINDOW, 100, 100000, 100, 100000};

/* One produce, as an API would hand it over. */
struct call {
  struct uk_produce produce;
  struct uk_record records[RECORDS];
};

static void make(struct call *call, const char *user, const char *key, int request)
{
  *call = (struct call){.produce = {.count = RECORDS}};
  call->produce.records = call->records;
  call->produce.key.user = uk_slice_text(user);
  call->produce.key.key = uk_slice_text(key);
  memset(call->produce.key.fingerprint, request, sizeof call->produce.key.fingerprint);
  for (size_t i = 0; i < RECORDS; i++)
    call->records[i] = (struct uk_record){.partition = -1, .timestamp = -1};
}

static enum uk_produce_keys_begun begin(struct uk_produce_keys *keys, struct call *call,
                                        int64_t now)
{
  return uk_produce_keys_begin(keys, &call->produce, now);
}

static void end(struct uk_produce_keys *keys, const struct call *call, int64_t now)
{
  struct uk_list waiting = {0};
  bool stored =
    call->produce.operation.error == UK_OK || call->produce.operation.error == UK_E_GATEWAY_TIMEOUT;
  CHECK_EQ_INT(uk_produce_keys_end(keys, &call->produce, now, &waiting), stored);
  CHECK(uk_list_is_empty(&waiting));
}

static void store(struct call *call, int64_t offset)
{
  for (size_t i = 0; i < RECORDS; i++) {
    call->records[i].partition = 1;
    call->records[i].offset = offset + (int64_t)i;
    call->records[i].timestamp = 77;
    call->records[i].error = UK_OK;
  }
  call->produce.operation.error = UK_OK;
  call->produce.each = false;
}

/* A whole produce with this key. */
static void produce(struct uk_produce_keys *keys, const char *user, const char *key, int64_t now)
{
  struct call call;
  make(&call, user, key, 1);
  CHECK_EQ_INT(begin(keys, &call, now), UK_PRODUCE_KEY_NEW);
  store(&call, 10);
  end(keys, &call, now);
}

/* What a request with this key meets; a new one stores nothing, so that the key is free again. */
static enum uk_produce_keys_begun meets(struct uk_produce_keys *keys, const char *user,
                                        const char *key, int64_t now)
{
  struct call call;
  make(&call, user, key, 1);
  enum uk_produce_keys_begun begun = begin(keys, &call, now);
  if (begun == UK_PRODUCE_KEY_NEW) {
    call.produce.operation.error = UK_E_UNAVAILABLE;
    end(keys, &call, now);
  }
  return begun;
}

static void the_same_request_gets_the_first_answer(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call call;
  produce(keys, "u", "k", 0);
  for (int i = 0; i < 3; i++) {
    make(&call, "u", "k", 1);
    CHECK_EQ_INT(begin(keys, &call, 1), UK_PRODUCE_KEY_ANSWERED);
    CHECK_EQ_INT(call.produce.operation.error, UK_OK);
    CHECK(call.produce.replayed && !call.produce.each);
    CHECK_EQ_INT(call.records[2].offset, 12);
    CHECK_EQ_INT(call.records[2].partition, 1);
    CHECK_EQ_INT(call.records[2].timestamp, 77);
  }
  uk_produce_keys_free(keys);
}

static void keys_are_a_user_s_own(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  produce(keys, "u", "k", 0);
  produce(keys, "v", "k", 0);
  produce(keys, "u", "l", 0);
  produce(keys, "", "k", 0);
  CHECK_EQ_INT(meets(keys, "v", "l", 1), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(meets(keys, "v", "k", 1), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(meets(keys, "", "k", 1), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

static void another_request_is_refused(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call first, other;
  make(&first, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &first, 0), UK_PRODUCE_KEY_NEW);
  make(&other, "u", "k", 2);
  CHECK_EQ_INT(begin(keys, &other, 0), UK_PRODUCE_KEY_ANSWERED); /* under way */
  CHECK_EQ_INT(other.produce.operation.error, UK_E_UNPROCESSABLE);
  store(&first, 5);
  end(keys, &first, 0);
  make(&other, "u", "k", 1);
  other.produce.key.fingerprint[sizeof other.produce.key.fingerprint - 1]++;
  CHECK_EQ_INT(begin(keys, &other, 0), UK_PRODUCE_KEY_ANSWERED); /* kept */
  CHECK_EQ_INT(other.produce.operation.error, UK_E_UNPROCESSABLE);
  CHECK_EQ_STR(other.produce.operation.message, "the idempotency key belongs to another request");
  CHECK(!other.produce.replayed);
  CHECK_EQ_INT(meets(keys, "u", "k", 0), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

static void what_stored_nothing_frees_its_key(void)
{
  static const enum uk_error errors[] = {UK_E_BAD_REQUEST, UK_E_UNAVAILABLE, UK_E_NOT_FOUND};
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call call;
  for (size_t i = 0; i < 3; i++) {
    make(&call, "u", "k", 1);
    CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_NEW);
    call.produce.operation.error = errors[i];
    end(keys, &call, 0);
  }
  CHECK_EQ_INT(meets(keys, "u", "k", 0), UK_PRODUCE_KEY_NEW);
  make(&call, "u", "k", 2); /* another request may have it, too */
  CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_NEW);
  call.produce.operation.error = UK_E_UNAVAILABLE;
  call.produce.each = true;
  call.records[0].error = UK_E_UNAVAILABLE;
  call.records[1].error = UK_E_TOO_LARGE;
  call.records[2].error = UK_E_UNAVAILABLE;
  end(keys, &call, 0);
  CHECK_EQ_INT(meets(keys, "u", "k", 0), UK_PRODUCE_KEY_NEW);
  uk_produce_keys_free(keys);
}

static void what_waits_is_handed_back_in_order(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call calls[4];
  struct uk_list waiting = {0};
  for (int i = 0; i < 4; i++) {
    make(&calls[i], "u", "k", 1);
    CHECK_EQ_INT(begin(keys, &calls[i], 0), i == 0 ? UK_PRODUCE_KEY_NEW : UK_PRODUCE_KEY_WAITS);
  }
  store(&calls[0], 5);
  uk_produce_keys_end(keys, &calls[0].produce, 0, &waiting);
  for (int i = 1; i < 4; i++) {
    CHECK(UK_LIST_TAKE(&waiting, struct uk_operation, link) == &calls[i].produce.operation);
    CHECK_EQ_INT(begin(keys, &calls[i], 0), UK_PRODUCE_KEY_ANSWERED);
    CHECK_EQ_INT(calls[i].records[1].offset, 6);
  }
  CHECK(uk_list_is_empty(&waiting));
  uk_produce_keys_free(keys);
}

static void what_waited_for_a_failure_is_next(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call calls[3];
  struct uk_list waiting = {0};
  for (int i = 0; i < 3; i++) {
    make(&calls[i], "u", "k", 1);
    begin(keys, &calls[i], 0);
  }
  calls[0].produce.operation.error = UK_E_UNAVAILABLE;
  uk_produce_keys_end(keys, &calls[0].produce, 0, &waiting);
  CHECK_EQ_INT(uk_list_count(&waiting), 2);
  while (!uk_list_is_empty(&waiting))
    uk_list_take(&waiting);
  CHECK_EQ_INT(begin(keys, &calls[1], 0), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(begin(keys, &calls[2], 0), UK_PRODUCE_KEY_WAITS);
  store(&calls[1], 9);
  uk_produce_keys_end(keys, &calls[1].produce, 0, &waiting);
  CHECK_EQ_INT(uk_list_count(&waiting), 1);
  CHECK_EQ_INT(begin(keys, &calls[2], 0), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

/* The first record was stored, the second surely not, and of the third nobody knows. */
static void fail_in_part(struct call *call, enum uk_error second, enum uk_error third)
{
  store(call, 20);
  call->records[1].error = second;
  call->records[2].error = third;
  call->produce.each = true;
  call->produce.operation.error = UK_E_GATEWAY_TIMEOUT;
}

static void after_a_part_what_is_missing_is_sent(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call call;
  make(&call, "u", "k", 1);
  begin(keys, &call, 0);
  fail_in_part(&call, UK_E_UNAVAILABLE, UK_OK);
  end(keys, &call, 0);
  make(&call, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_PARTIAL);
  CHECK_EQ_INT(call.records[0].error, UK_OK);
  CHECK_EQ_INT(call.records[0].offset, 20);
  CHECK_EQ_INT(call.records[1].error, UK_E_UNAVAILABLE);
  CHECK_EQ_INT(call.records[2].offset, 22);
  CHECK(!call.produce.replayed);
  struct call repeat;
  make(&repeat, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &repeat, 0), UK_PRODUCE_KEY_WAITS); /* under way again */
  call.records[1] = (struct uk_record){.partition = 1, .offset = 30, .timestamp = 78};
  call.produce.operation.error = UK_OK;
  call.produce.each = false;
  struct uk_list waiting = {0};
  uk_produce_keys_end(keys, &call.produce, 0, &waiting);
  CHECK(UK_LIST_TAKE(&waiting, struct uk_operation, link) == &repeat.produce.operation);
  make(&call, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(call.records[1].offset, 30);
  CHECK_EQ_INT(call.produce.operation.error, UK_OK);
  uk_produce_keys_free(keys);
}

static void what_is_unknown_is_not_missing(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call call;
  make(&call, "u", "part", 1);
  begin(keys, &call, 0);
  fail_in_part(&call, UK_OK, UK_E_GATEWAY_TIMEOUT);
  end(keys, &call, 0);
  make(&call, "u", "all", 1);
  begin(keys, &call, 0);
  call.produce.operation.error = UK_E_GATEWAY_TIMEOUT; /* without `each` */
  end(keys, &call, 0);
  for (int i = 0; i < 2; i++) {
    make(&call, "u", "part", 1);
    CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_ANSWERED);
    CHECK_EQ_INT(call.produce.operation.error, UK_E_GATEWAY_TIMEOUT);
    CHECK(call.produce.each);
    CHECK_EQ_INT(call.records[1].offset, 21);
    make(&call, "u", "all", 1);
    CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_ANSWERED);
    CHECK_EQ_INT(call.produce.operation.error, UK_E_GATEWAY_TIMEOUT);
    CHECK(!call.produce.each && !call.produce.replayed);
  }
  uk_produce_keys_free(keys);
}

static void only_an_unknown_record_keeps_the_key(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call call;
  make(&call, "u", "k", 1);
  begin(keys, &call, 0);
  fail_in_part(&call, UK_E_UNAVAILABLE, UK_E_GATEWAY_TIMEOUT);
  call.records[0].error = UK_E_UNAVAILABLE;
  end(keys, &call, 0);
  make(&call, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_PARTIAL);
  CHECK_EQ_INT(call.records[2].error, UK_E_GATEWAY_TIMEOUT);
  store(&call, 1);
  call.records[2].error = UK_E_GATEWAY_TIMEOUT;
  call.produce.operation.error = UK_E_GATEWAY_TIMEOUT;
  call.produce.each = true;
  end(keys, &call, 0);
  uk_produce_keys_free(keys);
}

static void a_key_is_free_after_the_window(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  produce(keys, "u", "k", 5);
  CHECK_EQ_INT(meets(keys, "u", "k", 5 + WINDOW - 1), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(meets(keys, "u", "k", 5 + WINDOW), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(uk_produce_keys_window(keys, 5 + WINDOW), WINDOW);
  uk_produce_keys_free(keys);
}

/* With keys of which only the first has not expired; `meets` removes others on its way. */
static void expired_keys_make_room(void)
{
  struct uk_produce_keys_limits limits = wide;
  limits.keys = limits.user_keys = 3;
  struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
  produce(keys, "u", "a", 0);
  produce(keys, "u", "b", 1);
  produce(keys, "u", "c", 2);
  produce(keys, "u", "d", WINDOW + 1);
  CHECK_EQ_INT(uk_produce_keys_window(keys, WINDOW + 1), WINDOW); /* none had to go early */
  CHECK_EQ_INT(meets(keys, "u", "c", WINDOW + 1), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(meets(keys, "u", "b", WINDOW + 1), UK_PRODUCE_KEY_NEW);
  uk_produce_keys_free(keys);
}

static void above_a_limit_the_oldest_goes(void)
{
  struct uk_produce_keys_limits limits = wide;
  limits.keys = 3;
  struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
  produce(keys, "u", "a", 10);
  produce(keys, "v", "b", 20);
  produce(keys, "u", "c", 30);
  CHECK_EQ_INT(uk_produce_keys_window(keys, 30), WINDOW);
  produce(keys, "v", "d", 40);
  CHECK_EQ_INT(uk_produce_keys_window(keys, 40), 30);
  CHECK_EQ_INT(meets(keys, "u", "a", 50), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(meets(keys, "v", "b", 50), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(uk_produce_keys_window(keys, 40 + WINDOW - 1), 30);
  CHECK_EQ_INT(uk_produce_keys_window(keys, 40 + WINDOW), WINDOW);
  uk_produce_keys_free(keys);
}

static void above_a_user_s_limit_the_user_s_oldest_goes(void)
{
  struct uk_produce_keys_limits limits = wide;
  limits.user_keys = 2;
  struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
  produce(keys, "v", "a", 0);
  produce(keys, "u", "a", 0);
  produce(keys, "u", "b", 0);
  produce(keys, "u", "c", 0);
  produce(keys, "u", "d", 0);
  CHECK_EQ_INT(meets(keys, "v", "a", 0), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(meets(keys, "u", "b", 0), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(meets(keys, "u", "c", 0), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(meets(keys, "u", "d", 0), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

static void bytes_are_limited_too(void)
{
  for (int of_user = 0; of_user < 2; of_user++) {
    struct uk_produce_keys_limits limits = wide;
    *(of_user ? &limits.user_bytes : &limits.bytes) = 1000; /* some keys, and not a hundred */
    struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
    char key[8];
    for (int i = 0; i < 100; i++) {
      snprintf(key, sizeof key, "%d", i);
      produce(keys, "u", key, 0);
    }
    CHECK_EQ_INT(meets(keys, "u", "99", 0), UK_PRODUCE_KEY_ANSWERED);
    CHECK_EQ_INT(meets(keys, "u", "98", 0), UK_PRODUCE_KEY_ANSWERED);
    CHECK_EQ_INT(meets(keys, "u", "80", 0), UK_PRODUCE_KEY_NEW);
    uk_produce_keys_free(keys);
  }
}

/* The user and the memory go with the last key. */
static void a_key_larger_than_the_limit_goes_at_once(void)
{
  struct uk_produce_keys_limits limits = wide;
  limits.user_bytes = 1;
  struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
  produce(keys, "u", "a", 0);
  CHECK_EQ_INT(meets(keys, "u", "a", 0), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(uk_produce_keys_window(keys, 0), 0);
  uk_produce_keys_free(keys);
}

static void a_key_of_another_server_is_known(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct uk_buffer answer;
  struct call call;
  make(&call, "u", "k", 1);
  store(&call, 40);
  uk_buffer_init(&answer, 1000);
  uk_produce_answer_write(&answer, &call.produce);
  struct uk_slice bytes = uk_slice_of(answer.data, answer.length);
  CHECK(uk_produce_keys_learn(keys, &call.produce.key, bytes, 100, 300));
  make(&call, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &call, 300), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(call.records[0].offset, 40);
  CHECK_EQ_INT(meets(keys, "u", "k", 100 + WINDOW), UK_PRODUCE_KEY_NEW);
  /* What this server knows itself counts. */
  produce(keys, "u", "own", 300);
  make(&call, "u", "own", 1);
  CHECK(uk_produce_keys_learn(keys, &call.produce.key, bytes, 300, 300));
  CHECK_EQ_INT(begin(keys, &call, 300), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(call.records[0].offset, 10);
  /* Bytes that are no answer to this request. */
  make(&call, "u", "bad", 1);
  CHECK(uk_produce_keys_learn(keys, &call.produce.key, uk_slice_text("?"), 300, 300));
  CHECK_EQ_INT(begin(keys, &call, 300), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(call.produce.operation.error, UK_E_GATEWAY_TIMEOUT);
  uk_buffer_free(&answer);
  uk_produce_keys_free(keys);
}

static void learned_keys_are_limited(void)
{
  struct uk_produce_keys_limits limits = wide;
  limits.keys = 2;
  struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
  struct call call;
  char key[2] = "a";
  for (; key[0] < 'e'; key[0]++) {
    make(&call, "u", key, 1);
    CHECK(uk_produce_keys_learn(keys, &call.produce.key, uk_slice_text("?"), 0, 0));
  }
  CHECK_EQ_INT(meets(keys, "u", "b", 0), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(meets(keys, "u", "c", 0), UK_PRODUCE_KEY_ANSWERED);
  CHECK_EQ_INT(meets(keys, "u", "d", 0), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

/* Each allocation of a produce fails once. Without memory for the key nothing may be sent, and
 * without memory for the answer it is unknown. */
static void lack_memory(bool repeats)
{
  bool hit = true;
  for (long n = 1; hit; n++) {
    long live = fault_live();
    struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
    struct call call;
    make(&call, "u", "k", 1);
    fault_at(n);
    if (begin(keys, &call, 0) == UK_PRODUCE_KEY_ANSWERED) {
      CHECK(fault_hit());
      fault_off();
      CHECK_EQ_INT(call.produce.operation.error, UK_E_NO_MEMORY);
      if (repeats)
        CHECK_EQ_INT(meets(keys, "u", "k", 0), UK_PRODUCE_KEY_NEW);
    } else {
      store(&call, 10);
      end(keys, &call, 0);
      hit = fault_hit();
      fault_off();
      make(&call, "u", "k", 1);
      CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_ANSWERED);
      CHECK(call.produce.operation.error == UK_OK ||
            (hit && call.produce.operation.error == UK_E_GATEWAY_TIMEOUT));
    }
    uk_produce_keys_free(keys);
    CHECK_EQ_INT(fault_live(), live);
  }
}

/* The client may ask again, or never. */
static void without_memory(void)
{
  lack_memory(false);
  lack_memory(true);
}

static void learning_without_memory(void)
{
  bool hit = true;
  for (long n = 1; hit; n++) {
    long live = fault_live();
    struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
    struct call call;
    make(&call, "u", "k", 1);
    fault_at(n);
    bool learned = uk_produce_keys_learn(keys, &call.produce.key, uk_slice_text("?"), 0, 0);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(learned, !hit);
    CHECK_EQ_INT(meets(keys, "u", "k", 0), learned ? UK_PRODUCE_KEY_ANSWERED : UK_PRODUCE_KEY_NEW);
    uk_produce_keys_free(keys);
    CHECK_EQ_INT(fault_live(), live);
  }
}

/* However long a produce takes, its key is not free meanwhile. */
static void a_key_under_way_does_not_expire(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call first, second;
  struct uk_list waiting = {0};
  make(&first, "u", "k", 1);
  make(&second, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &first, 0), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(begin(keys, &second, 2 * WINDOW), UK_PRODUCE_KEY_WAITS);
  store(&first, 5);
  CHECK(uk_produce_keys_end(keys, &first.produce, 2 * WINDOW, &waiting));
  CHECK_EQ_INT(uk_list_count(&waiting), 1);
  CHECK_EQ_INT(meets(keys, "u", "k", 3 * WINDOW - 1), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

/* The user is known as long as a request is under way, though no key is kept any more. */
static void a_key_under_way_outlives_the_user_s_others(void)
{
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  struct call first, second;
  struct uk_list waiting = {0};
  produce(keys, "u", "old", 0);
  make(&first, "u", "k", 1);
  make(&second, "u", "k", 1);
  CHECK_EQ_INT(begin(keys, &first, WINDOW - 1), UK_PRODUCE_KEY_NEW);
  CHECK_EQ_INT(meets(keys, "v", "k", WINDOW), UK_PRODUCE_KEY_NEW); /* removes "old" on its way */
  CHECK_EQ_INT(begin(keys, &second, WINDOW), UK_PRODUCE_KEY_WAITS);
  store(&first, 5);
  CHECK(uk_produce_keys_end(keys, &first.produce, WINDOW, &waiting));
  CHECK_EQ_INT(uk_list_count(&waiting), 1);
  CHECK_EQ_INT(meets(keys, "u", "k", WINDOW), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

/* Makes keys that expire at the window's end. */
static void produce_many(struct uk_produce_keys *keys, int count)
{
  char key[8];
  for (int i = 0; i < count; i++) {
    snprintf(key, sizeof key, "%d", i);
    produce(keys, "u", key, 0);
  }
}

/* Each call removes up to sixteen of them, so that they are gone sooner than new ones come. */
static void expired_keys_leave_no_memory(void)
{
  enum { AT_ONCE = 16 };
  struct uk_produce_keys *keys = uk_produce_keys_new(&wide);
  produce_many(keys, 1);
  CHECK_EQ_INT(meets(keys, "v", "k", WINDOW), UK_PRODUCE_KEY_NEW);
  const long empty = fault_live();
  produce_many(keys, 2 * AT_ONCE + 1);
  for (int i = 0; i < 3; i++) {
    CHECK(fault_live() > empty);
    CHECK_EQ_INT(meets(keys, "v", "k", WINDOW), UK_PRODUCE_KEY_NEW);
  }
  CHECK_EQ_INT(fault_live(), empty);
  struct call call;
  make(&call, "v", "k", 1);
  CHECK(uk_produce_keys_learn(keys, &call.produce.key, uk_slice_text("?"), WINDOW, WINDOW));
  const long learned = fault_live();
  CHECK_EQ_INT(meets(keys, "v", "k", 2 * WINDOW), UK_PRODUCE_KEY_NEW);
  produce_many(keys, 1);
  CHECK(uk_produce_keys_learn(keys, &call.produce.key, uk_slice_text("?"), WINDOW, WINDOW));
  CHECK_EQ_INT(fault_live(), learned);
  uk_produce_keys_free(keys);
}

/* A key that has expired did not go before its time, whatever made it go. */
static void an_expired_key_above_a_limit_shrinks_nothing(void)
{
  struct uk_produce_keys_limits limits = wide;
  limits.keys = 3;
  struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
  struct call call;
  make(&call, "u", "slow", 1);
  CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_NEW);
  produce_many(keys, 3);
  store(&call, 10);
  end(keys, &call, 3 * WINDOW);
  CHECK_EQ_INT(uk_produce_keys_window(keys, 3 * WINDOW), WINDOW);
  CHECK_EQ_INT(meets(keys, "u", "slow", 3 * WINDOW), UK_PRODUCE_KEY_ANSWERED);
  uk_produce_keys_free(keys);
}

/* The lowest limit of bytes at which a key of this name is kept, with an answer of so many runs. */
static size_t least_bytes(bool of_user, const char *key, size_t runs)
{
  for (size_t bytes = 1;; bytes++) {
    struct uk_produce_keys_limits limits = wide;
    *(of_user ? &limits.user_bytes : &limits.bytes) = bytes;
    struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
    struct call call;
    make(&call, "u", key, 1);
    CHECK_EQ_INT(begin(keys, &call, 0), UK_PRODUCE_KEY_NEW);
    store(&call, 10);
    for (size_t i = 1; i < runs; i++)
      call.records[i].partition = (int32_t)(1 + i);
    end(keys, &call, 0);
    const bool kept = meets(keys, "u", key, 0) == UK_PRODUCE_KEY_ANSWERED;
    uk_produce_keys_free(keys);
    if (kept)
      return bytes;
  }
}

/* The bytes of a key are those of its name and its answer, and of what belongs to it. */
static void every_byte_of_a_key_counts(void)
{
  const size_t least = least_bytes(false, "k", 1);
  CHECK(least > 1 + UK_PRODUCE_RUN_BYTES);
  for (int of_user = 0; of_user < 2; of_user++) {
    CHECK_EQ_INT(least_bytes(of_user, "k", 1), least);
    CHECK_EQ_INT(least_bytes(of_user, "k123456789", 1), least + 9);
    CHECK_EQ_INT(least_bytes(of_user, "k", 3), least + 2 * UK_PRODUCE_RUN_BYTES);
  }
}

/* What has gone counts no more, neither for its user nor for all. */
static void the_bytes_of_a_key_that_has_gone_are_free(void)
{
  for (int of_user = 0; of_user < 2; of_user++) {
    struct uk_produce_keys_limits limits = wide;
    *(of_user ? &limits.user_bytes : &limits.bytes) = 2 * least_bytes(false, "k", 1);
    struct uk_produce_keys *keys = uk_produce_keys_new(&limits);
    produce(keys, "u", "a", 0);
    produce(keys, "u", "b", WINDOW / 2);
    produce(keys, "u", "c", WINDOW);
    CHECK_EQ_INT(meets(keys, "u", "b", WINDOW), UK_PRODUCE_KEY_ANSWERED);
    CHECK_EQ_INT(meets(keys, "u", "c", WINDOW), UK_PRODUCE_KEY_ANSWERED);
    uk_produce_keys_free(keys);
  }
}

static void no_table_without_memory(void)
{
  fault_at(1);
  CHECK(uk_produce_keys_new(&wide) == NULL);
  fault_off();
}

static long live_at_start;

static void nothing_is_left_of_any_table(void)
{
  CHECK_EQ_INT(fault_live(), live_at_start);
}

int main(void)
{
  live_at_start = fault_live();
  CHECK_RUN(the_same_request_gets_the_first_answer);
  CHECK_RUN(keys_are_a_user_s_own);
  CHECK_RUN(another_request_is_refused);
  CHECK_RUN(what_stored_nothing_frees_its_key);
  CHECK_RUN(what_waits_is_handed_back_in_order);
  CHECK_RUN(what_waited_for_a_failure_is_next);
  CHECK_RUN(after_a_part_what_is_missing_is_sent);
  CHECK_RUN(what_is_unknown_is_not_missing);
  CHECK_RUN(only_an_unknown_record_keeps_the_key);
  CHECK_RUN(a_key_is_free_after_the_window);
  CHECK_RUN(expired_keys_make_room);
  CHECK_RUN(above_a_limit_the_oldest_goes);
  CHECK_RUN(above_a_user_s_limit_the_user_s_oldest_goes);
  CHECK_RUN(bytes_are_limited_too);
  CHECK_RUN(a_key_larger_than_the_limit_goes_at_once);
  CHECK_RUN(a_key_of_another_server_is_known);
  CHECK_RUN(learned_keys_are_limited);
  CHECK_RUN(without_memory);
  CHECK_RUN(learning_without_memory);
  CHECK_RUN(a_key_under_way_does_not_expire);
  CHECK_RUN(a_key_under_way_outlives_the_user_s_others);
  CHECK_RUN(expired_keys_leave_no_memory);
  CHECK_RUN(an_expired_key_above_a_limit_shrinks_nothing);
  CHECK_RUN(every_byte_of_a_key_counts);
  CHECK_RUN(the_bytes_of_a_key_that_has_gone_are_free);
  CHECK_RUN(no_table_without_memory);
  CHECK_RUN(nothing_is_left_of_any_table);
  return check_end();
}
