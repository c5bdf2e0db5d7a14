-- errors_page.lua: prints docs/errors.md, made from the one list in csrc/common/error.h.
-- `make docs/errors.md` writes it; `make lint` refuses a page that is not what this prints.

local file = assert(io.open("csrc/common/error.h"))
local header = file:read("*a"):gsub("\\\n", "\n")
file:close()

print [[
# Errors

A call that fails because of the network or the server returns `nil, message, details`. `details.code` is one of the words below and does not
change between versions; `details.status` is the HTTP status, or nil if there was none; `details.retriable` says whether the same call may
succeed later; `details.error` is the message again. Misuse (a wrong type, an unknown option, a closed client) raises an error instead.

The server answers an error as `{"error": message, "status": status}`. For a partly stored produce it adds `results`: see
[the REST API](rest-api.md#partly-stored-requests).

| code | status | retriable | meaning |
| --- | --- | --- | --- |]]
for word, status, retriable, text in header:gmatch 'X%([A-Z_]+,%s*"([a-z_]+)",%s*(%d+),%s*(%a+),%s*"(.-)"%)' do
  local retries = retriable == "true" and "yes" or "no"
  print(("| `%s` | %s | %s | %s |"):format(word, status == "0" and "-" or status, retries, text))
end
print [[

A code without a status comes from the client: no complete response arrived. A status that is not in the table becomes `bad_request` (4xx),
`internal` (5xx) or, for 502, `unavailable`.

The client retries `retriable` failures. Calls that must not be executed twice (`consume`, `delete_consumer`, `delete_topic`, and without the
option [`idempotent`](client.md#retries) `produce`, `produce_many`, `webhook`) are retried only after `connect_failed`, `resolve_failed`,
`too_many` and a 503. After any other failure of such a produce, its messages may or may not be stored, and a new call may store them twice. A
partly stored produce is never retried; `details.results` says what happened to each message. `health` is never retried.

A failed `consume` that the server may have executed (its response was lost, or cannot be read) has `details.again`: the
instance's next request acknowledges its messages, and the text says how to get them again
([client.md](client.md#when-a-response-is-lost)). `details.position` is the topic, partition and offset of the message
that cannot be read. A request that acknowledges a batch the server does not know (`ack`, `commit_batch`) fails with `conflict` and has no
effect: consume again with `ack = "none"`. The loops handle all of this for you.]]
