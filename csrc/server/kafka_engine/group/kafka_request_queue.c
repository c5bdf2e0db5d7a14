#include "server/kafka_engine/group/kafka_request_queue.h"

#include <stdlib.h>

#include "server/engine/deliveries.h"

static struct uk_kafka_request *request_of(const struct uk_link *link)
{
  return UK_LIST_ENTRY(link, struct uk_kafka_request, link);
}

/* What a request says. */

const struct uk_acknowledgement *
uk_kafka_request_acknowledgement(const struct uk_kafka_request *request)
{
  switch (request->kind) {
  case UK_KAFKA_CONSUME: return &((const struct uk_consume *)request->operation)->acknowledgement;
  case UK_KAFKA_COMMIT: return &((const struct uk_commit *)request->operation)->acknowledgement;
  case UK_KAFKA_DELETE: break;
  }
  return &((const struct uk_delete_consumer *)request->operation)->acknowledgement;
}

bool uk_kafka_request_is_client_alive(struct uk_kafka_request *request)
{
  struct uk_consume *consume = (struct uk_consume *)request->operation;
  if (request->client_asked || consume->sink.is_client_alive == NULL)
    return true;
  request->client_asked = true;
  return consume->sink.is_client_alive(request->operation);
}

/* Queues. */

void uk_kafka_requests_add(struct uk_list *requests, struct uk_kafka_request *request)
{
  uk_list_add(requests, &request->link);
}

struct uk_kafka_request *uk_kafka_requests_take(struct uk_list *requests)
{
  return request_of(uk_list_take(requests));
}

struct uk_kafka_request *uk_kafka_requests_first(const struct uk_list *requests)
{
  return request_of(uk_list_first(requests));
}

struct uk_kafka_request *uk_kafka_requests_last(const struct uk_list *requests)
{
  return request_of(uk_list_last(requests));
}

struct uk_kafka_request *uk_kafka_requests_next(const struct uk_list *requests,
                                                const struct uk_kafka_request *request)
{
  return request_of(uk_list_next(requests, &request->link));
}

void uk_kafka_requests_remove(struct uk_kafka_request *request)
{
  uk_list_remove(&request->link);
}

void uk_kafka_requests_add_first(struct uk_list *requests, struct uk_kafka_request *request)
{
  uk_list_add_first(requests, &request->link);
}

struct uk_kafka_request *uk_kafka_requests_last_consume(const struct uk_list *requests)
{
  struct uk_kafka_request *last = NULL;
  for (struct uk_kafka_request *request = uk_kafka_requests_first(requests); request != NULL;
       request = uk_kafka_requests_next(requests, request))
    last = request->kind == UK_KAFKA_CONSUME ? request : last;
  return last;
}

void uk_kafka_requests_take_consumes(struct uk_list *requests, struct uk_list *consumes)
{
  struct uk_kafka_request *request = uk_kafka_requests_first(requests);
  while (request != NULL) {
    struct uk_kafka_request *next = uk_kafka_requests_next(requests, request);
    if (request->kind == UK_KAFKA_CONSUME) {
      uk_kafka_requests_remove(request);
      uk_kafka_requests_add(consumes, request);
    }
    request = next;
  }
}

/* Deadlines. */

enum { COMMIT_TIME = 10000 }; /* milliseconds */

int64_t uk_kafka_request_deadline(const struct uk_kafka_request *request)
{
  int64_t deadline = request->operation->deadline;
  int64_t soonest = request->arrived_at + COMMIT_TIME;
  return request->kind == UK_KAFKA_CONSUME && request->due && deadline < soonest ? soonest
                                                                                 : deadline;
}

void uk_kafka_requests_take_due(struct uk_list *requests, struct uk_list *due, int64_t now)
{
  struct uk_kafka_request *request = uk_kafka_requests_first(requests);
  while (request != NULL) {
    struct uk_kafka_request *next = uk_kafka_requests_next(requests, request);
    if (uk_kafka_request_deadline(request) <= now || uk_operation_is_expired(request->operation)) {
      uk_kafka_requests_remove(request);
      uk_kafka_requests_add(due, request);
    }
    request = next;
  }
}

int64_t uk_kafka_requests_deadline(const struct uk_list *requests, int64_t time)
{
  for (const struct uk_kafka_request *request = uk_kafka_requests_first(requests); request != NULL;
       request = uk_kafka_requests_next(requests, request)) {
    if (request->operation != NULL && uk_kafka_request_deadline(request) < time)
      time = uk_kafka_request_deadline(request);
  }
  return time;
}

/* Answers. */

void uk_kafka_request_done(struct uk_kafka_request *request)
{
  struct uk_operation *operation = request->operation;
  free(request);
  operation->done(operation);
}

void uk_kafka_requests_done(struct uk_list *requests)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(requests)) != NULL)
    uk_kafka_request_done(request);
}

void uk_kafka_request_fail(struct uk_kafka_request *request, enum uk_error error, const char *text)
{
  bool late = (request->kind != UK_KAFKA_CONSUME || request->due) &&
              (error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT);
  if (late)
    error = request->sent ? UK_E_GATEWAY_TIMEOUT : UK_E_UNAVAILABLE;
  uk_operation_fail(request->operation, error, "%s%s", text,
                    late && request->sent ? "; it " UK_MAY_BE_DONE : "");
  uk_kafka_request_done(request);
}

void uk_kafka_requests_fail(struct uk_list *requests, enum uk_error error, const char *text)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(requests)) != NULL)
    uk_kafka_request_fail(request, error, text);
}

void uk_kafka_request_conflict(struct uk_kafka_request *request)
{
  if (request->sent) {
    uk_kafka_request_fail(request, UK_E_UNAVAILABLE, "the instance moved to another server");
    return;
  }
  uk_deliveries_refuse(uk_kafka_request_acknowledgement(request), request->operation);
  uk_kafka_request_done(request);
}
