-- errors_page.lua: prints docs/errors.md, made from the one list in csrc/common/error.h.
-- `make docs/errors.md` writes it; `make lint` refuses a page that is not what this prints.

local file = assert(io.open("csrc/common/error.h"))
local header = file:read("*a"):gsub("\\\n", "\n")
file:close()

print [[
# Errors

A call that the network or the server made fail returns `nil, message, details`. `details.code` is one of the words below and does not change between
versions; `details.status` is the HTTP status, or nil where there was none; `details.retriable` says whether the same call may succeed later;
`details.error` is the message again. Misuse (a wrong type, an unknown option, a closed client) raises instead.

The server answers an error as `{"error": message, "status": status}`. That of a produce of which a part is stored has `results` besides: see
[the REST API](rest-api.md#when-a-part-is-stored).

| code | status | retriable | meaning |
| --- | --- | --- | --- |]]
for word, status, retriable, text in header:gmatch 'X%([A-Z_]+,%s*"([a-z_]+)",%s*(%d+),%s*(%a+),%s*"(.-)"%)' do
  local retries = retriable == "true" and "yes" or "no"
  print(("| `%s` | %s | %s | %s |"):format(word, status == "0" and "-" or status, retries, text))
end
print [[

A code without a status is the client's own: no complete answer arrived. A status that is not in the table reads as `bad_request` (4xx), `internal` (5xx) or,
for 502, `unavailable`.

The client retries by itself what is retriable. Calls that must not be carried out twice (`produce`, `produce_many`, `webhook`, `consume`, `delete_consumer`, `delete_topic`)
are retried only after `connect_failed`, `resolve_failed`, `too_many` and a 503: after any other failure a produce may be stored or not, and sending it again may store it twice.
A produce of which a part is stored is not retried, whatever its code: `details.results` says what became of each.
`health` is never retried.

A `consume` that may have been carried out although it failed (its answer was lost, or cannot be read) has `details.again`: the server
counts its messages as delivered with the instance's next request, and the text says how to get them again
([client.md](client.md#when-a-response-is-lost)). `details.position` names the message that cannot be read: its topic, partition and
offset. The loops do this for you.]]
