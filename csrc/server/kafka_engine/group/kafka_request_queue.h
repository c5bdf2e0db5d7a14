/* kafka_request_queue: requests for one instance of a group, from their arrival to their answer. */
#ifndef UK_KAFKA_REQUEST_QUEUE_H
#define UK_KAFKA_REQUEST_QUEUE_H

#include "common/list.h"
#include "server/kafka_engine/cluster/kafka_check.h"

enum uk_kafka_request_kind { UK_KAFKA_CONSUME, UK_KAFKA_COMMIT, UK_KAFKA_DELETE };

struct uk_kafka_groups;

struct uk_kafka_request {
  struct uk_kafka_check check;
  enum uk_kafka_request_kind kind;
  struct uk_operation *operation; /* NULL: answered, but librdkafka still holds the request */
  struct uk_kafka_groups *groups;
  struct uk_link link;
  int64_t arrived_at;
  bool client_asked; /* sink.is_client_alive was called */
  bool moved;      /* an instance of this server had the request, and was lost to another server */
  bool confirmed;  /* the instance was this server's at some time after the request arrived */
  bool held;       /* it waits until it is known what became of the instance's last response */
  bool sent;       /* commit or deletion: part of it may have been carried out */
  bool subscribes; /* consume: its topics count only after the outstanding batch */
  bool due;       /* it carries a commit that the group does not have: see kafka_instance_forward */
  bool rechecked; /* it was checked again whether its topics exist: it creates none */
  bool asked;     /* for that commit, the group was asked what it has */
  bool uncertain; /* that commit was sent in vain, and may have been made */
  uint64_t batch; /* that the commit acknowledges; 0: none */
  uint64_t created[UK_TOPICS_PER_CONSUME_MAX / 64]; /* a bit for each topic that it created */
};

/* What the request says about the batches of its instance. */
const struct uk_acknowledgement *
uk_kafka_request_acknowledgement(const struct uk_kafka_request *request);

/* Whether the client of a consume still waits: asks its sink, once. */
bool uk_kafka_request_is_client_alive(struct uk_kafka_request *request);

/* A queue is a struct uk_list of requests. */
void uk_kafka_requests_add(struct uk_list *requests, struct uk_kafka_request *request);
struct uk_kafka_request *uk_kafka_requests_take(struct uk_list *requests); /* NULL: it is empty */
struct uk_kafka_request *uk_kafka_requests_first(const struct uk_list *requests);
struct uk_kafka_request *uk_kafka_requests_last(const struct uk_list *requests);
struct uk_kafka_request *uk_kafka_requests_next(const struct uk_list *requests,
                                                const struct uk_kafka_request *request);
void uk_kafka_requests_remove(struct uk_kafka_request *request);
void uk_kafka_requests_add_first(struct uk_list *requests, struct uk_kafka_request *request);

/* The last consume; NULL: there is none. */
struct uk_kafka_request *uk_kafka_requests_last_consume(const struct uk_list *requests);
/* Moves the consumes to the end of `consumes`. */
void uk_kafka_requests_take_consumes(struct uk_list *requests, struct uk_list *consumes);

/* When the request ends. A consume whose commit is due waits for it as long as a commit would,
 * however little it would wait for records. */
int64_t uk_kafka_request_deadline(const struct uk_kafka_request *request);

/* Moves the requests whose deadline is at or before `now` to the end of `due`. INT64_MAX moves
 * all. */
void uk_kafka_requests_take_due(struct uk_list *requests, struct uk_list *due, int64_t now);
/* The earliest deadline of requests without an answer, or `time` if that is earlier. */
int64_t uk_kafka_requests_deadline(const struct uk_list *requests, int64_t time);

/* Ends the request with the outcome that its operation has. */
void uk_kafka_request_done(struct uk_kafka_request *request);
void uk_kafka_requests_done(struct uk_list *requests);

/* Ends the request with the error; the text may be "". A commit or deletion, or a consume whose
 * commit is due, that may have been carried out (`sent`) ends with GATEWAY_TIMEOUT instead of
 * UNAVAILABLE; one that was not ends with UNAVAILABLE instead of GATEWAY_TIMEOUT. */
void uk_kafka_request_fail(struct uk_kafka_request *request, enum uk_error error, const char *text);
void uk_kafka_requests_fail(struct uk_list *requests, enum uk_error error, const char *text);

/* Ends the request with CONFLICT: it names a batch that the instance does not have here. One that
 * may have been carried out, before the instance was lost, fails as such. */
void uk_kafka_request_conflict(struct uk_kafka_request *request);

#endif
