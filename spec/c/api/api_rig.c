#include "api_rig.h"

#include <stdlib.h>
#include <strings.h>

#include "check.h"
#include "common/base64.h"
#include "guard.h"
#include "server/api/dispatch.h"

enum {
  MAX_BYTES = 1 << 20, /* of a message or reply */
  ARENA_BYTES = 64 << 20,
  TEXT_SIZE = 1024 /* of a path */
};

bool api_rig_open(struct api_rig *rig, const struct uk_engine_methods *methods)
{
  *rig = (struct api_rig){.engine = {methods}};
  struct uk_access *access = access_rig_open();
  rig->server =
    (struct uk_server){.engine = &rig->engine, .access = access, .max_message_bytes = MAX_BYTES};
  return access != NULL && access_rig_add(access, "full", "p", UK_PERMIT_FULL, "*") == UK_OK &&
         access_rig_add(access, "produce", "p", UK_PERMIT_PRODUCE, "*") == UK_OK &&
         access_rig_add(access, "consume", "p", UK_PERMIT_CONSUME, "*") == UK_OK;
}

void api_rig_close(struct api_rig *rig)
{
  uk_access_close(rig->server.access);
}

/* A request, and what http does for it. */
struct call {
  struct uk_request request; /* first, so that either converts to the other */
  const struct api_rig *rig;
  char authorization[100];
  char path[TEXT_SIZE], query[TEXT_SIZE];
  int replies;
  bool early; /* the reply came before the operation ended */
};

static struct uk_slice header(const struct uk_request *request, const char *name)
{
  const struct call *call = (const struct call *)request;
  if (strcasecmp(name, "Authorization") == 0)
    return uk_slice_text(call->authorization);
  if (call->rig->header != NULL && strcasecmp(name, call->rig->header) == 0)
    return uk_slice_text(call->rig->header_value);
  for (size_t i = 0; i < call->rig->header_count; i++) {
    if (strcasecmp(name, call->rig->headers[i].name) == 0)
      return uk_slice_text(call->rig->headers[i].value);
  }
  return (struct uk_slice){0};
}

static void each_header(const struct uk_request *request, uk_header_visitor *each, void *argument)
{
  const struct call *call = (const struct call *)request;
  each(argument, uk_slice_text("Authorization"), uk_slice_text(call->authorization));
  if (call->rig->header != NULL)
    each(argument, uk_slice_text(call->rig->header), uk_slice_text(call->rig->header_value));
  for (size_t i = 0; i < call->rig->header_count; i++)
    each(argument, uk_slice_text(call->rig->headers[i].name),
         uk_slice_text(call->rig->headers[i].value));
}

static bool is_client_alive(const struct uk_request *request)
{
  return !((const struct call *)request)->rig->is_client_gone;
}

static void reply(struct uk_request *request)
{
  struct call *call = (struct call *)request;
  call->replies += !call->early;
}

static void reply_early(struct uk_request *request)
{
  struct call *call = (struct call *)request;
  CHECK(!call->early);
  call->early = true;
  call->replies++;
}

static void ask(const struct uk_request *request, struct uk_slice recipient)
{
  const struct api_rig *rig = ((const struct call *)request)->rig;
  (void)recipient;
  if (rig->asked != NULL)
    ++*rig->asked;
}

static void trust(const struct uk_request *request)
{
  const struct api_rig *rig = ((const struct call *)request)->rig;
  if (rig->trusted != NULL)
    ++*rig->trusted;
}

static bool follow(struct uk_request *request, struct uk_receipt *receipt)
{
  (void)receipt;
  return !((const struct call *)request)->rig->cannot_follow;
}

/* The engine must not look at it any more. */
static void drop_body(struct uk_request *request)
{
  const struct api_rig *rig = ((const struct call *)request)->rig;
  guard_free(request->body, request->body_length);
  if (rig->dropped != NULL)
    ++*rig->dropped;
}

static const struct uk_request_methods methods = {.header = header,
                                                  .each_header = each_header,
                                                  .is_client_alive = is_client_alive,
                                                  .drop_body = drop_body,
                                                  .reply = reply,
                                                  .reply_early = reply_early,
                                                  .ask = ask,
                                                  .follow = follow,
                                                  .trust = trust};

static void fill(struct call *call, const char *user, const char *path, const char *body)
{
  char login[64] = "";
  size_t length = strcspn(path, "?");
  size_t login_length = (size_t)snprintf(login, sizeof login, "%s:p", user);
  CHECK(strlen(path) < TEXT_SIZE);
  strcpy(call->authorization, "Basic ");
  uk_base64_encode(call->authorization + strlen("Basic "), login, login_length);
  snprintf(call->path, sizeof call->path, "%.*s", (int)length, path);
  snprintf(call->query, sizeof call->query, "%s", path[length] == '?' ? path + length + 1 : "");
  struct uk_request *request = &call->request;
  request->methods = &methods;
  request->path = call->path;
  request->query = call->query;
  request->status = 200;
  request->browser = call->rig->browser;
  uk_arena_init(&request->arena, ARENA_BYTES);
  uk_arena_init(&request->scratch, ARENA_BYTES);
  uk_buffer_init(&request->reply, call->rig->reply_bytes > 0 ? call->rig->reply_bytes : MAX_BYTES);
  request->body_length = call->rig->body_length > 0 ? call->rig->body_length : strlen(body);
  if (request->body_length > 0)
    request->body = guard_copy(body, request->body_length);
}

/* Runs the handler and finishes the reply, as http does. */
static void run(struct call *call)
{
  struct uk_request *request = &call->request;
  bool submitted = uk_dispatch_accept(request) && uk_dispatch_run(request);
  CHECK_EQ_INT(call->replies, submitted);
  if (!submitted)
    request->finish = NULL;
  uk_request_finish(request);
}

static long long retry_after(const struct uk_request *request)
{
  for (unsigned i = 0; i < request->reply_header_count; i++) {
    if (strcmp(request->reply_headers[i].name, "Retry-After") == 0)
      return atoll(request->reply_headers[i].value);
  }
  return -1;
}

static void write_headers(const struct uk_request *request, char *out, size_t size)
{
  size_t length = 0;
  for (unsigned i = 0; i < request->reply_header_count && length < size; i++)
    length += (size_t)snprintf(out + length, size - length, "%s: %s\n",
                               request->reply_headers[i].name, request->reply_headers[i].value);
}

/* As http does when the reply was written, or failed. */
static void end_receipt(const struct call *call)
{
  const struct uk_request *request = &call->request;
  struct uk_receipt *receipt = request->receipt;
  if (receipt == NULL)
    return;
  receipt->delivery = receipt->delivered != NULL ? *receipt->delivered : 0;
  if (receipt->delivery != 0)
    receipt->report(receipt, request->status == 200 && !call->rig->is_cut_off ? UK_RESPONSE_WRITTEN
                                                                              : UK_RESPONSE_FAILED);
  free(receipt);
}

void api_rig_ask(struct api_rig *rig, const char *user, enum uk_method method, const char *path,
                 const char *body, struct api_answer *answer)
{
  struct call call = {.rig = rig};
  struct uk_request *request = &call.request;
  request->server = &rig->server;
  request->method = method;
  fill(&call, user, path, body);
  run(&call);
  *answer = (struct api_answer){.status = request->status,
                                .carried_out = request->carried_out,
                                .retry_after = retry_after(request)};
  snprintf(answer->text, sizeof answer->text, "%.*s", (int)request->reply.length,
           request->reply.length > 0 ? request->reply.data : "");
  write_headers(request, answer->headers, sizeof answer->headers);
  end_receipt(&call);
  if (request->body != NULL)
    guard_free(request->body, request->body_length);
  uk_dispatch_end(request);
  uk_arena_free(&request->arena);
  uk_arena_free(&request->scratch);
  uk_buffer_free(&request->reply);
}
