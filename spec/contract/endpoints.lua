--- Every endpoint of the contract as a table: its name, its methods, a path and a body that it
-- serves. {topic}, {group}, {instance} and {fresh} (a topic that does not exist) stand for names
-- made by `endpoints.scene`; `live` means that the instance must be alive; `others` are methods of
-- another endpoint on the same path.

local service = require "spec.contract.service"

local POSITION = '{"topic":"{topic}","partition":0,"offset":0}'
local PARTITION = '{"topic":"{topic}","partition":0}'

local endpoints = {
  { name = "produce of one message", methods = { "GET" }, path = "/produce/{topic}/hello" },
  { name = "produce to a topic", methods = { "GET", "POST" }, path = "/produce/{topic}",
    body = '{"value":"hello"}' },
  { name = "produce", methods = { "GET", "POST" }, path = "/produce",
    body = '{"topic":"{topic}","value":"hello"}' },
  { name = "webhook", methods = { "GET", "POST" }, path = "/webhook", query = "?topic={topic}",
    body = "hello" },
  { name = "consume of a topic", methods = { "GET" }, path = "/consume/{group}/{instance}/{topic}",
    query = "?timeout=50" },
  { name = "consume", methods = { "GET", "POST" }, path = "/consume/{group}/{instance}",
    body = '{"topic":"{topic}","timeout":50}' },
  { name = "commit", methods = { "GET", "POST" }, path = "/commit/{group}/{instance}",
    body = POSITION, live = true },
  { name = "delete-consumer", methods = { "POST", "DELETE" },
    path = "/delete-consumer/{group}/{instance}", live = true },
  { name = "committed", methods = { "GET", "POST" }, path = "/committed/{group}/{instance}",
    body = PARTITION },
  { name = "consumers", methods = { "GET" }, path = "/consumers" },
  { name = "fetch", methods = { "GET", "POST" }, path = "/fetch",
    body = '{"topic":"{topic}","partition":0,"offset":0,"timeout":50}' },
  { name = "topics", methods = { "GET" }, path = "/topics" },
  { name = "offsets", methods = { "GET", "POST" }, path = "/offsets/latest", body = PARTITION },
  { name = "topic creation", methods = { "POST" }, path = "/topics/{fresh}",
    body = '{"partitions":1}', others = { "DELETE" } },
  { name = "topic deletion", methods = { "DELETE" }, path = "/topics/{topic}", others = { "POST" } },
}

for _, endpoint in ipairs(endpoints) do endpoint.query = endpoint.query or "" end

--- A new topic, a group and an instance, which is alive if `live`. The scene fills the braces of a
-- text.
function endpoints.scene(live)
  local names = {
    topic = service.topic(1), group = service.name "group", instance = service.name "instance",
    fresh = service.name "fresh",
  }
  if live then service.join(names.group, names.instance, names.topic) end
  return function(text)
    return text and (text:gsub("{(%w+)}", names))
  end, names
end

--- Sends a request that the endpoint serves; `changes` are options, and may replace the path.
function endpoints.request(endpoint, method, changes)
  changes = changes or {}
  local fill = endpoints.scene(endpoint.live and not changes.dead)
  local options = { body = fill(endpoint.body) }
  for name, value in pairs(changes) do options[name] = value end
  if options.body == false then options.body = nil end
  return service.request(method, fill((changes.path or endpoint.path) .. endpoint.query), options)
end

return endpoints
