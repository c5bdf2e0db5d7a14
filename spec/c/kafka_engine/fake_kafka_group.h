/* fake_kafka_group: everything that an instance of a group depends on, faked by the test:
 * librdkafka's consumer, the coordinator, the executor, the topics and the clock. One thread, no
 * cluster; time passes only when the test says so.
 *
 * It defines the functions that it fakes, so one file of a test program includes it, and the
 * program links neither librdkafka's nor the engine's. fake.log gets one word for each call of the
 * instance:
 *
 *   ask              asks the coordinator which member has the instance: fake_answer read(t/0)
 *   asks for committed offsets, if fake.asks_committed is set: fake_read. Otherwise
 *                    nothing is committed
 *   verify(t/0@5)    reads the record at offset 5, if fake.asks_records is set: fake_saw and the
 *                    like, then fake_records_read. Otherwise the record is not there any more, but
 *                    others are: the position is good
 *   starts(t/0=first t/1=-1)   asks where partitions start without a commit, if fake.asks_starts is
 *                    set: fake_started, fake_starts_late. Otherwise that cannot be learned
 *   subscribe(t,u)   unsubscribe   close   reap
 *   assign(t/0@5)    from offset 5; "?": from the committed offset; "first"; unassign
 *   commit(t/0=3)    "t/0=3+10": with the metadata of position 10: fake_committed
 *   seek(t/0@3)   nudge   forget(t)   watermarks(t/0)   probe
 *
 * What librdkafka would lose or crash on fails when the last instance has ended: lists, queues and
 * errors that nobody destroyed, and queues that still wake a task whose handle is reaped. */
#ifndef FAKE_KAFKA_GROUP_H
#define FAKE_KAFKA_GROUP_H

#include <dlfcn.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "server/kafka_engine/group/kafka_instance.h"
#include "server/kafka_engine/cluster/kafka_starts.h"
#include "server/kafka_engine/cluster/kafka_watermarks.h"
#include "server/kafka_engine/group/kafka_position_metadata.h"

enum { FAKE_LOG_SIZE = 4096, FAKE_PARTITIONS = 4, FAKE_PREFETCH = 1600 };

/* What a librdkafka queue returns. */
struct fake_event {
  rd_kafka_event_type_t type;
  rd_kafka_resp_err_t code;
  bool fatal;
  rd_kafka_topic_partition_list_t *list;
  rd_kafka_topic_partition_t *place;
  const rd_kafka_message_t *message;
  void *opaque;
  struct fake_event *next;
};

struct fake_queue {
  struct fake_handle *handle;
  struct uk_kafka_task *task; /* that an event wakes, or NULL */
  struct fake_event *first;
};

struct fake_handle {
  struct fake_queue control, records, forwarded;
  rd_kafka_conf_t *conf;
  int queues, watched; /* not destroyed; waking a task */
  bool is_consumer;    /* its control queue has the events of the group */
  int forwards;        /* partitions whose records go to `records` */
  char member[64];
  rd_kafka_resp_err_t fatal, refuses; /* refuses: a subscription or commit, at once */
  bool assignment_lost, closed, close_fails;
};

static struct {
  int64_t now;
  char log[FAKE_LOG_SIZE];
  struct uk_kafka_groups *groups;
  struct uk_kafka_settings *settings;
  struct uk_list tasks;
  struct fake_handle *handle;    /* the last one created */
  struct uk_list member_queries; /* not answered yet */
  struct uk_kafka_committed_query *committed_query;
  struct uk_kafka_record_query *record_query;
  struct uk_kafka_watermarks *watermarks;
  struct uk_kafka_starts *starts;
  struct uk_committed *probe;
  void *commits[8]; /* the opaque of each commit that is under way, and its list */
  rd_kafka_topic_partition_list_t *commit_lists[8];
  size_t commit_count;
  const char *error_text; /* of errors; NULL: that of their code */
  int refreshes;
  int wakes;                                /* of librdkafka's main thread */
  char refreshed[64];                       /* the first letters of their topics */
  char asked_group[16], asked_instance[16]; /* of the last query about a member */
  struct uk_kafka_places places;            /* of the last check */
  bool changes;                             /* the operation that it was for */
  size_t missing_from, missing_upto;        /* the topics of a consume that are to be created */
  int lists, errors, confs;                 /* not destroyed yet */
  int members_freed;                        /* what asks about members */
  enum uk_error check_error;                /* of each request that is checked */
  void (*opening)(void);                    /* runs while a handle opens; once */
  size_t headers;                           /* of records */
  rd_kafka_resp_err_t refuses_first;        /* a new handle refuses what it is asked for */
  bool seeks_fail;
  int32_t broker;        /* the leader of every partition */
  int64_t life;          /* of the topics: their records have it as their timestamp */
  int32_t leaderless;    /* -1: no partition is */
  int32_t partitions;    /* of every topic; 0: not known */
  bool asks_committed;   /* the test answers what is committed */
  bool asks_starts;      /* the test answers where partitions start */
  bool renewed;          /* every topic was created again while the server was running */
  bool asks_records;     /* the test answers which records are there */
  bool cut_off;          /* no broker can be reached */
  bool missing;          /* no topic exists until it is created */
  bool refuses_handles;  /* rd_kafka_new fails */
  size_t key_size, size; /* of records, in bytes */
} fake;

__attribute__((format(printf, 1, 2))) static void fake_note(const char *format, ...)
{
  size_t length = strlen(fake.log);
  va_list arguments;
  if (length > 0 && length + 1 < sizeof fake.log)
    fake.log[length++] = ' ';
  va_start(arguments, format);
  vsnprintf(fake.log + length, sizeof fake.log - length, format, arguments);
  va_end(arguments);
}

static void fake_note_list(const char *word, const rd_kafka_topic_partition_list_t *list,
                           const char *sign)
{
  char text[1024] = "";
  size_t length = 0;
  for (int i = 0; i < list->cnt; i++) {
    const rd_kafka_topic_partition_t *at = &list->elems[i];
    const char *space = i > 0 ? " " : "";
    length += (size_t)snprintf(text + length, sizeof text - length, "%s%s/%d", space, at->topic,
                               (int)at->partition);
    if (sign != NULL && at->offset == RD_KAFKA_OFFSET_INVALID)
      length += (size_t)snprintf(text + length, sizeof text - length, "%s?", sign);
    else if (sign != NULL && at->offset == RD_KAFKA_OFFSET_BEGINNING)
      length += (size_t)snprintf(text + length, sizeof text - length, "%sfirst", sign);
    else if (sign != NULL)
      length +=
        (size_t)snprintf(text + length, sizeof text - length, "%s%" PRId64, sign, at->offset);
    const struct uk_kafka_position_metadata metadata = uk_kafka_position_metadata_read(at);
    if (sign != NULL && *sign == '=' && metadata.position != at->offset)
      length +=
        (size_t)snprintf(text + length, sizeof text - length, "+%" PRId64, metadata.position);
  }
  fake_note("%s(%s)", word, text);
}

/* Checks the log since the last check, and clears it. */
#define FAKE_DID(wanted)                                                                           \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

static char fake_bytes[1 << 16]; /* of every record */

/* The parts that the groups are given, which nobody here looks into. */
static struct {
  char control, executor, reaper, blocking, committed, records;
} fake_parts;

/* Lists and configurations are librdkafka's own, but counted. */

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size)
{
  union {
    void *symbol;
    rd_kafka_topic_partition_list_t *(*call)(int size);
  } own = {.symbol = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_new")};
  int lists = fake.lists;
  rd_kafka_topic_partition_list_t *list = own.call(size);
  fake.lists = lists + 1;
  return list;
}

rd_kafka_topic_partition_list_t *
rd_kafka_topic_partition_list_copy(const rd_kafka_topic_partition_list_t *list)
{
  union {
    void *symbol;
    rd_kafka_topic_partition_list_t *(*call)(const rd_kafka_topic_partition_list_t *list);
  } own = {.symbol = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_copy")};
  int lists = fake.lists;
  rd_kafka_topic_partition_list_t *copied = own.call(list);
  fake.lists = lists + 1; /* whatever librdkafka called to copy it */
  return copied;
}

void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *list)
{
  union {
    void *symbol;
    void (*call)(rd_kafka_topic_partition_list_t *list);
  } own = {.symbol = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_destroy")};
  int lists = fake.lists;
  own.call(list);
  fake.lists = lists - 1;
}

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
  union {
    void *symbol;
    rd_kafka_conf_t *(*call)(void);
  } own = {.symbol = dlsym(RTLD_NEXT, "rd_kafka_conf_new")};
  fake.confs++;
  return own.call();
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *conf)
{
  union {
    void *symbol;
    void (*call)(rd_kafka_conf_t *conf);
  } own = {.symbol = dlsym(RTLD_NEXT, "rd_kafka_conf_destroy")};
  own.call(conf);
  fake.confs--;
}

/* The clock and the executor. */

int64_t uk_clock_monotonic(void)
{
  return fake.now;
}

int64_t uk_clock_epoch(void)
{
  return fake.now;
}

void uk_kafka_task_init(struct uk_kafka_task *task, struct uk_kafka_executor *executor,
                        void (*run)(struct uk_kafka_task *task, int64_t now),
                        void (*free_)(struct uk_kafka_task *task))
{
  CHECK(executor == (struct uk_kafka_executor *)&fake_parts.executor);
  *task = (struct uk_kafka_task){.executor = executor, .run = run, .free = free_};
  task->timer.time = UK_TIMER_NEVER;
  uk_list_add_first(&fake.tasks, &task->link);
}

static struct uk_kafka_task *fake_first_task(void)
{
  return UK_LIST_FIRST(&fake.tasks, struct uk_kafka_task, link);
}

static struct uk_kafka_task *fake_next_task(struct uk_kafka_task *task)
{
  return UK_LIST_NEXT(&fake.tasks, task, struct uk_kafka_task, link);
}

static bool fake_is_live(const struct uk_kafka_task *task)
{
  struct uk_kafka_task *each = fake_first_task();
  while (each != NULL && each != task)
    each = fake_next_task(each);
  return each != NULL;
}

/* A task that has ended must not be woken. */
void uk_kafka_task_wake(struct uk_kafka_task *task)
{
  if (!CHECK(fake_is_live(task)) || !CHECK(task->state != UK_TASK_ENDED))
    return;
  task->state = task->state == UK_TASK_RUNNING || task->state == UK_TASK_RUNNING_WOKEN
                  ? UK_TASK_RUNNING_WOKEN
                  : UK_TASK_READY;
}

void uk_kafka_task_at(struct uk_kafka_task *task, int64_t time)
{
  CHECK(task->state != UK_TASK_ENDED);
  task->timer.time = time;
}

void uk_kafka_task_end(struct uk_kafka_task *task)
{
  task->state = UK_TASK_ENDED;
}

static void fake_run(struct uk_kafka_task *task)
{
  task->state = UK_TASK_RUNNING;
  task->run(task, fake.now);
  if (task->state == UK_TASK_RUNNING_WOKEN) {
    task->state = UK_TASK_READY;
  } else if (task->state == UK_TASK_RUNNING) {
    task->state = UK_TASK_IDLE;
  } else {
    uk_list_remove(&task->link);
    task->free(task);
  }
}

/* Runs whatever is woken until nothing is. A task that wakes itself without end fails. The task of
 * a member that could not be added to the table never runs, and was freed with it. */
static void fake_settle(void)
{
  if (fake.groups->count == 0)
    fake.tasks = (struct uk_list){.head = {NULL, NULL}};
  for (int rounds = 0;; rounds++) {
    struct uk_kafka_task *task = fake_first_task();
    while (task != NULL && task->state != UK_TASK_READY && task->timer.time > fake.now)
      task = fake_next_task(task);
    if (task == NULL || !CHECK(rounds < 1000))
      return;
    if (task->timer.time <= fake.now)
      task->timer.time = UK_TIMER_NEVER;
    fake_run(task);
  }
}

/* Lets time pass: each timer fires at its time. */
static void fake_pass(int64_t milliseconds)
{
  int64_t until = fake.now + milliseconds;
  fake_settle();
  while (fake.now < until) {
    int64_t next = until;
    for (struct uk_kafka_task *task = fake_first_task(); task != NULL; task = fake_next_task(task))
      next = task->timer.time < next ? task->timer.time : next;
    fake.now = next > fake.now ? next : fake.now + 1;
    fake_settle();
  }
}

void uk_kafka_queue_watch(rd_kafka_queue_t *watched, struct uk_kafka_task *task)
{
  struct fake_queue *queue = (struct fake_queue *)watched;
  CHECK(queue->task == NULL);
  queue->task = task;
  queue->handle->watched++;
}

void uk_kafka_queue_unwatch(rd_kafka_queue_t *watched)
{
  struct fake_queue *queue = (struct fake_queue *)watched;
  CHECK(queue->task != NULL);
  queue->task = NULL;
  queue->handle->watched--;
}

/* The coordinator. */

struct uk_kafka_members *uk_kafka_members_new(rd_kafka_t *control,
                                              struct uk_kafka_executor *executor,
                                              struct uk_kafka_topics *topics)
{
  CHECK(control == (rd_kafka_t *)&fake_parts.control);
  CHECK(executor == (struct uk_kafka_executor *)&fake_parts.executor);
  return (struct uk_kafka_members *)topics;
}

void uk_kafka_members_free(struct uk_kafka_members *members)
{
  CHECK(members == (struct uk_kafka_members *)&fake);
  fake.members_freed++;
}

void uk_kafka_members_ask(struct uk_kafka_members *members, struct uk_kafka_member_query *query)
{
  CHECK(members == (struct uk_kafka_members *)&fake);
  snprintf(fake.asked_group, sizeof fake.asked_group, "%s", query->group);
  snprintf(fake.asked_instance, sizeof fake.asked_instance, "%s", query->instance);
  uk_list_add(&fake.member_queries, &query->query.link);
  query->live = false;
  query->holds = query->group_holds = NULL;
  fake_note(query->whole ? "ask" : "ask-again");
}

/* The first one without an answer. */
static struct uk_kafka_member_query *fake_member_query(void)
{
  struct uk_link *link = uk_list_first(&fake.member_queries);
  return (struct uk_kafka_member_query *)UK_LIST_ENTRY(link, struct uk_kafka_query, link);
}

/* "t/0 t/1" as a list; NULL as NULL. */
static rd_kafka_topic_partition_list_t *fake_list(const char *text)
{
  char name[16];
  int partition, length;
  if (text == NULL)
    return NULL;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
  for (; sscanf(text, " %15[^/]/%d%n", name, &partition, &length) == 2; text += length)
    rd_kafka_topic_partition_list_add(list, name, partition);
  return list;
}

/* Answers the first query: the member that has the instance, NULL if none has; what it holds, and
 * what the group holds, as lists. */
static void fake_answer_with(rd_kafka_resp_err_t code, const char *member, const char *holds,
                             const char *group_holds)
{
  struct uk_kafka_member_query *query = fake_member_query();
  REQUIRE(query != NULL);
  uk_list_remove(&query->query.link);
  query->query.code = code;
  query->live = member != NULL;
  snprintf(query->member, sizeof query->member, "%s", member != NULL ? member : "");
  query->holds = fake_list(holds);
  query->group_holds = fake_list(group_holds);
  query->query.then(&query->query);
  fake_settle();
}

static void fake_answer(const char *member)
{
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, member, NULL, NULL);
}

/* The cluster's topics and offsets. */

void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  check->operation->error = fake.check_error;
  fake.places = check->places;
  fake.changes = check->changes;
  bool creates = fake.missing && check->create != NULL;
  for (size_t i = fake.missing_from; creates && i < fake.missing_upto; i++) {
    check->index = i;
    check->create(check->create_context, check, uk_kafka_places_topic(&check->places, i));
  }
  if (!creates)
    check->then(check);
}

static void fake_create(void *context, struct uk_kafka_check *check, struct uk_slice topic)
{
  CHECK(context == &fake_parts);
  fake_note("create(%.*s)", (int)topic.length, topic.data);
  if (check->index + 1 == fake.missing_upto)
    check->then(check);
}

int32_t uk_kafka_topics_partitions(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  (void)topics;
  (void)topic;
  return fake.partitions;
}

bool uk_kafka_topics_leaderless(struct uk_kafka_topics *topics, struct uk_slice topic,
                                int32_t partition)
{
  (void)topics;
  (void)topic;
  return partition == fake.leaderless;
}

bool uk_kafka_topics_is_renewed(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  return uk_slice_is(topic, "t") && fake.renewed;
}

void uk_kafka_topics_refresh(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  if (strlen(fake.refreshed) + 1 < sizeof fake.refreshed)
    strncat(fake.refreshed, topic.data, 1);
  fake.refreshes++;
}

void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  (void)topics;
  fake_note("forget(%.*s)", (int)topic.length, topic.data);
}

bool uk_kafka_topics_each(struct uk_kafka_topics *topics,
                          void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                          void *argument)
{
  (void)topics;
  each(argument, uk_slice_text("none"), 0);
  each(argument, uk_slice_text("any"), fake.partitions);
  each(argument, uk_slice_text("more"), fake.partitions);
  return true;
}

enum uk_error uk_kafka_topics_contact(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  (void)topics;
  if (fake.cut_off && size > 0)
    snprintf(detail, size, "the Kafka cluster does not answer: test");
  return fake.cut_off ? UK_E_UNAVAILABLE : UK_OK;
}

void uk_kafka_committed_ask(struct uk_kafka_committed *committed, struct uk_committed *operation)
{
  CHECK(committed == (struct uk_kafka_committed *)&fake_parts.committed);
  fake.probe = operation;
  fake_note("probe");
}

void uk_kafka_committed_read(struct uk_kafka_committed *committed,
                             struct uk_kafka_committed_query *query)
{
  CHECK(committed == (struct uk_kafka_committed *)&fake_parts.committed);
  CHECK_EQ_STR(query->group, "g");
  CHECK(fake.committed_query == NULL);
  if (!fake.asks_committed) {
    query->work.query.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    query->work.query.then(&query->work.query);
    return;
  }
  fake.committed_query = query;
  fake_note_list("read", query->list, NULL);
}

void uk_kafka_starts_ask(struct uk_kafka_starts *starts, struct uk_kafka_blocking *blocking)
{
  CHECK(blocking == (struct uk_kafka_blocking *)&fake_parts.blocking);
  CHECK(starts->control == (rd_kafka_t *)&fake_parts.control);
  CHECK(starts->topics == (struct uk_kafka_topics *)&fake);
  CHECK(starts->work.query.deadline > fake.now);
  CHECK(fake.starts == NULL);
  if (!fake.asks_starts) {
    starts->work.query.then(&starts->work.query);
    return;
  }
  fake.starts = starts;
  fake_note_list("starts", starts->list, "=");
}

/* The answer: each partition starts there; negative: it could not be learned. */
__attribute__((unused)) static void fake_started(int64_t offset)
{
  struct uk_kafka_starts *starts = fake.starts;
  REQUIRE(starts != NULL);
  fake.starts = NULL;
  for (int i = 0; i < starts->list->cnt; i++)
    starts->list->elems[i].offset = offset < 0 ? starts->list->elems[i].offset : offset;
  starts->work.query.then(&starts->work.query);
  fake_settle();
}

/* The question's time is over before a thread is free for it. */
__attribute__((unused)) static void fake_starts_late(void)
{
  REQUIRE(fake.starts != NULL);
  fake.starts->work.query.code = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake_started(-1);
}

/* The records before positions. */

void uk_kafka_record_reader_ask(struct uk_kafka_record_reader *reader,
                                struct uk_kafka_record_query *query)
{
  CHECK(reader == (struct uk_kafka_record_reader *)&fake_parts.records);
  CHECK(fake.record_query == NULL);
  for (size_t i = 0; i < query->count; i++) {
    struct uk_kafka_record_place *place = &query->places[i];
    place->seen = (struct uk_record_sighting){.offset = place->offset + 1,
                                              .ended_at = UK_RECORD_UNSEEN,
                                              .first = UK_RECORD_UNSEEN,
                                              .end = UK_RECORD_UNSEEN};
    place->broker = fake.broker;
    if (fake.asks_records)
      fake_note("verify(%s/%d@%" PRId64 ")", place->topic.text, (int)place->partition,
                place->offset);
  }
  if (fake.asks_records)
    fake.record_query = query;
  else
    query->query.then(&query->query);
}

__attribute__((unused)) static struct uk_record_mark fake_mark(int64_t life)
{
  const struct uk_record record = {.timestamp = life,
                                   .has_value = true,
                                   .key = uk_slice_of("", fake.key_size),
                                   .value = uk_slice_of(fake_bytes, fake.size)};
  return uk_record_mark_of(&record);
}

__attribute__((unused)) static struct uk_kafka_record_place *fake_place(int32_t partition)
{
  struct uk_kafka_record_query *query = fake.record_query;
  size_t i = 0;
  while (i + 1 < query->count && query->places[i].partition != partition)
    i++;
  CHECK_EQ_INT(query->places[i].partition, partition);
  return &query->places[i];
}

/* The reader finds a record of that life in its place. */
__attribute__((unused)) static void fake_saw(int32_t partition, int64_t life)
{
  struct uk_kafka_record_place *place = fake_place(partition);
  place->seen.offset = place->offset;
  place->seen.mark = fake_mark(life);
}

/* It finds that the partition ends there; -1: the offset is out of range. */
__attribute__((unused)) static void fake_saw_end(int32_t partition, int64_t offset)
{
  struct uk_kafka_record_place *place = fake_place(partition);
  place->seen.offset = UK_RECORD_UNSEEN;
  place->seen.ended_at = offset;
}

/* Answers a query for the range. */
__attribute__((unused)) static void fake_range(int64_t first, int64_t end, rd_kafka_resp_err_t code)
{
  struct uk_kafka_watermarks *watermarks = fake.watermarks;
  REQUIRE(watermarks != NULL);
  fake.watermarks = NULL;
  for (size_t i = 0; i < watermarks->count; i++) {
    watermarks->first[i].offset = first;
    watermarks->end[i].offset = end;
  }
  watermarks->work.query.code = code;
  watermarks->work.query.then(&watermarks->work.query);
  fake_settle();
}

/* Answers the pending query. */
static void fake_records_read(void)
{
  struct uk_kafka_record_query *query = fake.record_query;
  REQUIRE(query != NULL);
  fake.record_query = NULL;
  query->query.then(&query->query);
  fake_settle();
}

void uk_kafka_watermarks_ask(struct uk_kafka_watermarks *watermarks,
                             struct uk_kafka_blocking *blocking)
{
  CHECK(blocking == (struct uk_kafka_blocking *)&fake_parts.blocking);
  CHECK(watermarks->control == (rd_kafka_t *)&fake_parts.control);
  fake.watermarks = watermarks;
  fake_note("watermarks(%.*s/%d)", (int)watermarks->first->topic.length,
            watermarks->first->topic.data, (int)watermarks->first->partition);
}

/* What was committed for a partition that is read; `note` NULL: nothing is noted. */
__attribute__((unused)) static void fake_committed_is(int32_t partition, int64_t offset,
                                                      const char *note)
{
  for (int i = 0; i < fake.committed_query->list->cnt; i++) {
    rd_kafka_topic_partition_t *at = &fake.committed_query->list->elems[i];
    if (at->partition != partition)
      continue;
    at->offset = offset;
    if (note != NULL)
      at->metadata_size = (size_t)asprintf((char **)&at->metadata, "%s", note);
  }
}

static void fake_read(rd_kafka_resp_err_t code)
{
  struct uk_kafka_committed_query *query = fake.committed_query;
  REQUIRE(query != NULL);
  fake.committed_query = NULL;
  query->work.query.code = code;
  query->work.query.then(&query->work.query);
  fake_settle();
}

/* Handles. */

static struct fake_handle *fake_of(const rd_kafka_t *handle)
{
  return (struct fake_handle *)(uintptr_t)handle;
}

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
  struct fake_handle *handle = fake.refuses_handles ? NULL : calloc(1, sizeof *handle);
  CHECK_EQ_INT(type, RD_KAFKA_CONSUMER);
  snprintf(text, size, "no handle");
  void (*opening)(void) = fake.opening;
  fake.opening = NULL;
  if (opening != NULL)
    opening();
  if (handle == NULL)
    return NULL;
  handle->conf = conf;
  handle->control.handle = handle->records.handle = handle->forwarded.handle = handle;
  handle->refuses = fake.refuses_first;
  fake.handle = handle;
  return (rd_kafka_t *)handle;
}

static void fake_empty(struct fake_queue *queue);

void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument)
{
  struct fake_handle *reaped = fake_of(handle);
  (void)argument;
  CHECK(reaper == (struct uk_kafka_reaper *)&fake_parts.reaper);
  CHECK(then == NULL);
  CHECK_EQ_INT(reaped->watched, 0);
  CHECK_EQ_INT(reaped->queues, 0);
  fake_note("reap");
  fake_empty(&reaped->control);
  fake_empty(&reaped->records);
  rd_kafka_conf_destroy(reaped->conf);
  if (fake.handle == reaped)
    fake.handle = NULL;
  free(reaped);
}

const rd_kafka_conf_t *rd_kafka_conf(rd_kafka_t *handle)
{
  return fake_of(handle)->conf;
}

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *handle)
{
  fake_of(handle)->is_consumer = true;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

char *rd_kafka_memberid(const rd_kafka_t *handle)
{
  return fake_of(handle)->member[0] != '\0' ? strdup(fake_of(handle)->member) : NULL;
}

void rd_kafka_mem_free(rd_kafka_t *handle, void *bytes)
{
  (void)handle;
  free(bytes);
}

int rd_kafka_assignment_lost(rd_kafka_t *handle)
{
  return fake_of(handle)->assignment_lost;
}

rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *handle, char *text, size_t size)
{
  snprintf(text, size, "fatal");
  return fake_of(handle)->fatal;
}

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *handle,
                                       const rd_kafka_topic_partition_list_t *list)
{
  char text[512] = "";
  for (int i = 0; i < list->cnt; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? "," : "",
             list->elems[i].topic);
  fake_note("subscribe(%s)", text);
  return fake_of(handle)->refuses;
}

rd_kafka_resp_err_t rd_kafka_unsubscribe(rd_kafka_t *handle)
{
  (void)handle;
  fake_note("unsubscribe");
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *handle, const rd_kafka_topic_partition_list_t *list)
{
  (void)handle;
  if (list == NULL)
    fake_note("unassign");
  else
    fake_note_list("assign", list, "@");
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_error_t *rd_kafka_seek_partitions(rd_kafka_t *handle,
                                           rd_kafka_topic_partition_list_t *list, int timeout)
{
  CHECK_EQ_INT(timeout, 0);
  fake_note_list("seek", list, "@");
  fake.errors += fake.seeks_fail;
  return fake.seeks_fail ? (rd_kafka_error_t *)handle : NULL;
}

rd_kafka_resp_err_t
rd_kafka_commit_queue(rd_kafka_t *handle, const rd_kafka_topic_partition_list_t *list,
                      rd_kafka_queue_t *queue,
                      void (*callback)(rd_kafka_t *handle, rd_kafka_resp_err_t code,
                                       rd_kafka_topic_partition_list_t *list, void *opaque),
                      void *opaque)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake_of(handle)->control);
  CHECK(callback == NULL);
  fake_note_list("commit", list, "=");
  if (fake_of(handle)->refuses != RD_KAFKA_RESP_ERR_NO_ERROR)
    return fake_of(handle)->refuses;
  fake.commit_lists[fake.commit_count] = rd_kafka_topic_partition_list_copy(list);
  fake.commits[fake.commit_count++] = opaque;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Of nothing, for nobody: wakes librdkafka. */
rd_kafka_resp_err_t rd_kafka_commit(rd_kafka_t *handle, const rd_kafka_topic_partition_list_t *list,
                                    int asynchronous)
{
  (void)fake_of(handle);
  CHECK_EQ_INT(list->cnt, 0);
  CHECK_EQ_INT(asynchronous, 1);
  fake.wakes++;
  return RD_KAFKA_RESP_ERR__NO_OFFSET;
}

rd_kafka_error_t *rd_kafka_consumer_close_queue(rd_kafka_t *handle, rd_kafka_queue_t *queue)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake_of(handle)->records);
  fake_note("close");
  fake.errors += fake_of(handle)->close_fails;
  return fake_of(handle)->close_fails ? (rd_kafka_error_t *)handle : NULL;
}

void rd_kafka_error_destroy(rd_kafka_error_t *error)
{
  fake.errors -= error != NULL;
}

int rd_kafka_consumer_closed(rd_kafka_t *handle)
{
  return fake_of(handle)->closed;
}

rd_kafka_error_t *rd_kafka_sasl_set_credentials(rd_kafka_t *handle, const char *username,
                                                const char *password)
{
  (void)handle;
  (void)username;
  (void)password;
  fake_note("nudge");
  return NULL;
}

/* Queues. */

static rd_kafka_queue_t *fake_queue_of(struct fake_queue *queue)
{
  queue->handle->queues++;
  return (rd_kafka_queue_t *)queue;
}

rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *handle)
{
  return fake_queue_of(&fake_of(handle)->control);
}

rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *handle)
{
  return fake_queue_of(&fake_of(handle)->records);
}

rd_kafka_queue_t *rd_kafka_queue_get_partition(rd_kafka_t *handle, const char *topic,
                                               int32_t partition)
{
  (void)topic;
  (void)partition;
  return fake_queue_of(&fake_of(handle)->forwarded);
}

void rd_kafka_queue_forward(rd_kafka_queue_t *from, rd_kafka_queue_t *to)
{
  struct fake_handle *handle = ((struct fake_queue *)from)->handle;
  CHECK(from == (rd_kafka_queue_t *)&handle->forwarded);
  CHECK(to == (rd_kafka_queue_t *)&handle->records);
  handle->forwards++;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
  ((struct fake_queue *)queue)->handle->queues--;
}

size_t rd_kafka_queue_length(rd_kafka_queue_t *queue)
{
  size_t count = 0;
  for (struct fake_event *event = ((struct fake_queue *)queue)->first; event != NULL;
       event = event->next)
    count++;
  return count;
}

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout)
{
  struct fake_event *event = ((struct fake_queue *)queue)->first;
  CHECK_EQ_INT(timeout, 0);
  if (event != NULL)
    ((struct fake_queue *)queue)->first = event->next;
  return (rd_kafka_event_t *)event;
}

/* Events. */

static const struct fake_event *fake_event_of(const rd_kafka_event_t *event)
{
  return (const struct fake_event *)event;
}

void rd_kafka_event_destroy(rd_kafka_event_t *event)
{
  struct fake_event *destroyed = (struct fake_event *)event;
  if (destroyed == NULL)
    return;
  if (destroyed->list != NULL)
    rd_kafka_topic_partition_list_destroy(destroyed->list);
  free((void *)(uintptr_t)destroyed->message);
  free(destroyed);
}

rd_kafka_event_type_t rd_kafka_event_type(const rd_kafka_event_t *event)
{
  return fake_event_of(event)->type;
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event)
{
  return fake_event_of(event)->code;
}

const char *rd_kafka_event_error_string(rd_kafka_event_t *event)
{
  return fake.error_text != NULL ? fake.error_text : rd_kafka_err2str(fake_event_of(event)->code);
}

int rd_kafka_event_error_is_fatal(rd_kafka_event_t *event)
{
  return fake_event_of(event)->fatal;
}

rd_kafka_topic_partition_list_t *rd_kafka_event_topic_partition_list(rd_kafka_event_t *event)
{
  return fake_event_of(event)->list;
}

/* The caller destroys it, once. */
rd_kafka_topic_partition_t *rd_kafka_event_topic_partition(rd_kafka_event_t *event)
{
  rd_kafka_topic_partition_t *place = fake_event_of(event)->place;
  ((struct fake_event *)event)->place = NULL;
  return place;
}

void rd_kafka_topic_partition_destroy(rd_kafka_topic_partition_t *place)
{
  free(place->topic);
  free(place);
}

void *rd_kafka_event_opaque(rd_kafka_event_t *event)
{
  return fake_event_of(event)->opaque;
}

const rd_kafka_message_t *rd_kafka_event_message_next(rd_kafka_event_t *event)
{
  return fake_event_of(event)->message;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic)
{
  return (const char *)topic;
}

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **headers)
{
  (void)message;
  *headers = (rd_kafka_headers_t *)&fake_parts;
  return fake.headers > 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

size_t rd_kafka_header_cnt(const rd_kafka_headers_t *headers)
{
  (void)headers;
  return fake.headers;
}

rd_kafka_resp_err_t rd_kafka_header_get_all(const rd_kafka_headers_t *headers, size_t index,
                                            const char **name, const void **value, size_t *length)
{
  (void)headers;
  *name = "name";
  *value = "value";
  *length = 5;
  return index < fake.headers ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type)
{
  *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
  return (int64_t)(intptr_t)message->_private;
}

/* Each record comes from the broker that led when it was put there. */
int32_t rd_kafka_message_broker_id(const rd_kafka_message_t *message)
{
  return message->err;
}

static void fake_empty(struct fake_queue *queue)
{
  struct fake_event *event;
  while ((event = queue->first) != NULL) {
    queue->first = event->next;
    if (event->place != NULL)
      rd_kafka_topic_partition_destroy(event->place);
    rd_kafka_event_destroy((rd_kafka_event_t *)event);
  }
}

static struct fake_event *fake_put(struct fake_queue *queue, rd_kafka_event_type_t type,
                                   rd_kafka_resp_err_t code)
{
  struct fake_event *event = calloc(1, sizeof *event), **link = &queue->first;
  while (*link != NULL)
    link = &(*link)->next;
  *event = (struct fake_event){.type = type, .code = code};
  *link = event;
  if (queue->task != NULL)
    uk_kafka_task_wake(queue->task);
  return event;
}

/* librdkafka's events. Each runs the tasks that it wakes. */

/* The group gives the instance these partitions, as the member of that name. */
static void fake_assigned(const char *member, const char *partitions)
{
  struct fake_handle *handle = fake.handle;
  snprintf(handle->member, sizeof handle->member, "%s", member);
  struct fake_event *event =
    fake_put(&handle->control, RD_KAFKA_EVENT_REBALANCE, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
  event->list = fake_list(partitions);
  for (int i = 0; i < event->list->cnt; i++)
    event->list->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
  fake_settle();
}

__attribute__((unused)) static void fake_revoked(bool lost)
{
  fake.handle->assignment_lost = lost;
  fake_put(&fake.handle->control, RD_KAFKA_EVENT_REBALANCE, RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
  fake_settle();
}

__attribute__((unused)) static void fake_error(rd_kafka_resp_err_t code, bool fatal)
{
  fake_put(&fake.handle->control, RD_KAFKA_EVENT_ERROR, code)->fatal = fatal;
  fake_settle();
}

/* The outcome of the first commit under way. */
__attribute__((unused)) static void fake_committed(rd_kafka_resp_err_t code)
{
  REQUIRE(fake.commit_count > 0);
  struct fake_event *event = fake_put(&fake.handle->control, RD_KAFKA_EVENT_OFFSET_COMMIT, code);
  event->opaque = fake.commits[0];
  event->list = fake.commit_lists[0];
  fake.commit_count--;
  memmove(fake.commits, fake.commits + 1, fake.commit_count * sizeof fake.commits[0]);
  memmove(fake.commit_lists, fake.commit_lists + 1,
          fake.commit_count * sizeof fake.commit_lists[0]);
  fake_settle();
}

/* A record of topic "t"; it waits in the queue. */
static void fake_record(int32_t partition, int64_t offset)
{
  struct fake_event *event =
    fake_put(&fake.handle->records, RD_KAFKA_EVENT_FETCH, RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_message_t *message = calloc(1, sizeof *message);
  *message = (rd_kafka_message_t){.rkt = (rd_kafka_topic_t *)(uintptr_t) "t",
                                  .partition = partition,
                                  .offset = offset,
                                  .payload = fake_bytes,
                                  .err = (rd_kafka_resp_err_t)fake.broker,
                                  .len = fake.size,
                                  .key_len = fake.key_size,
                                  ._private = (void *)(intptr_t)fake.life};
  event->message = message;
}

/* The end, or an error, of a partition of "t". */
__attribute__((unused)) static void fake_said(rd_kafka_resp_err_t code, int32_t partition,
                                              int64_t offset)
{
  struct fake_event *event = fake_put(&fake.handle->records, RD_KAFKA_EVENT_ERROR, code);
  event->place = calloc(1, sizeof *event->place);
  event->place->topic = strdup("t");
  event->place->partition = partition;
  event->place->offset = offset;
}

/* Life. */

/* With these properties of librdkafka. */
static bool fake_open_with(const struct uk_kafka_property *properties, size_t count)
{
  char message[UK_MESSAGE_SIZE];
  const struct uk_kafka_options options = {.brokers = "127.0.0.1:1",
                                           .properties = properties,
                                           .property_count = count,
                                           .prefetch_bytes = FAKE_PREFETCH,
                                           .max_message_bytes = 1 << 20};
  memset(&fake, 0, sizeof fake);
  fake.now = 1000000;
  fake.leaderless = -1;
  fake.size = 5;
  fake.partitions = FAKE_PARTITIONS;
  fake.missing_upto = 1;
  if (uk_kafka_settings_new(&fake.settings, &options, message, sizeof message) != UK_OK)
    return false;
  const struct uk_kafka_groups_parts parts = {
    .settings = fake.settings,
    .control = (rd_kafka_t *)&fake_parts.control,
    .executor = (struct uk_kafka_executor *)&fake_parts.executor,
    .topics = (struct uk_kafka_topics *)&fake,
    .reaper = (struct uk_kafka_reaper *)&fake_parts.reaper,
    .blocking = (struct uk_kafka_blocking *)&fake_parts.blocking,
    .prefetch_bytes = FAKE_PREFETCH,
    .prefetch_budget = (int64_t)FAKE_PREFETCH * 3,
    .committed = (struct uk_kafka_committed *)&fake_parts.committed,
    .records = (struct uk_kafka_record_reader *)&fake_parts.records,
    .create = fake_create,
    .create_context = &fake_parts,
  };
  fake.groups = uk_kafka_groups_new(&parts);
  return fake.groups != NULL;
}

static bool fake_open(void)
{
  return fake_open_with(NULL, 0);
}

/* Ends every instance; answers pending queries first. */
static void fake_close(void)
{
  while (!uk_list_is_empty(&fake.member_queries))
    fake_answer_with(RD_KAFKA_RESP_ERR__DESTROY, NULL, NULL, NULL);
  if (fake.committed_query != NULL)
    fake_read(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  if (fake.starts != NULL)
    fake_started(-1);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_pass(20000);
  if (fake.record_query != NULL)
    fake_records_read();
  while (!uk_list_is_empty(&fake.member_queries))
    fake_answer_with(RD_KAFKA_RESP_ERR__DESTROY, NULL, NULL, NULL);
  fake_pass(20000);
  CHECK_EQ_INT(fake.groups->count, 0);
  if (fake.groups->count == 0)
    uk_kafka_groups_free(fake.groups);
  CHECK_EQ_INT(fake.members_freed, 1);
  for (size_t i = 0; i < fake.commit_count; i++)
    rd_kafka_topic_partition_list_destroy(fake.commit_lists[i]);
  CHECK_EQ_INT(fake.lists, 0);
  CHECK_EQ_INT(fake.errors, 0);
  uk_kafka_settings_free(fake.settings);
  CHECK_EQ_INT(fake.confs, 0);
}

#endif
