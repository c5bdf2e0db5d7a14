--- Checks the history of one topic: what producers sent, what consumers of one group received,
-- and what the topic holds at the end.
--
--     local delivery = require "spec.support.delivery"
--     local report = delivery.check {
--       producers = delivery.read_all(paths), consumers = delivery.read_all(more),
--       log = delivery.log(client, topic),
--     }
--     assert.same({}, report.faults)
--
-- Each process writes a file, with one event a line and fields separated by tabs. A value is sent
-- by one producer only, and differs from all others. The events:
--
--   sent ID VALUE ...                   request ID is about to be sent, first or again
--   acknowledged ID PARTITION OFFSET ...  stored; "-" for an unknown place
--   refused ID CODE                     surely not stored
--   unknown ID CODE                     nobody can tell
--   mixed ID STATE ...                  acknowledged, refused or unknown, for each message
--   received BATCH PARTITION OFFSET VALUE
--   handled PARTITION OFFSET            it need not come again, but may
--   finished PARTITION OFFSET           no member of the group may receive it again
--
-- A request without an outcome is unknown: the process was killed.
--
-- A fault has a `kind` and a `text`. The kinds:
--
--   lost        acknowledged and not in the log; or in the log and not received, or not handled
--   duplicated  twice in the log; or received after it was finished
--   reordered   in the log behind a later message of its producer; or received behind a later one
--   phantom     in the log and never sent, or only refused; or received and not in the log

local delivery = {}

local LISTED = 20 -- faults of each kind that a report lists
local SHOWN = 40  -- bytes of a value in a fault

-- Reading -----------------------------------------------------------------------------------------

local function fields_of(line)
  local fields = {}
  for field in (line .. "\t"):gmatch "([^\t]*)\t" do fields[#fields + 1] = field end
  return fields
end

local events = {}

function events.sent(seen, fields)
  local request = { values = {}, states = {}, places = {} }
  for index = 3, #fields do request.values[index - 2], request.states[index - 2] = fields[index], "unknown" end
  seen.open[fields[2]] = request
  table.insert(seen.requests, request)
end

local function set_states(seen, fields)
  local request = assert(seen.open[fields[2]], "an outcome without a request")
  for index in ipairs(request.values) do request.states[index] = fields[1] end
  return request
end

events.refused, events.unknown = set_states, set_states

function events.acknowledged(seen, fields)
  local request = set_states(seen, fields)
  for index in ipairs(request.values) do
    request.places[index] = { partition = tonumber(fields[1 + 2 * index]), offset = tonumber(fields[2 + 2 * index]) }
  end
end

function events.mixed(seen, fields)
  local request = set_states(seen, fields)
  for index in ipairs(request.values) do request.states[index] = fields[2 + index] end
end

function events.received(seen, fields)
  table.insert(seen.events, { what = "received", batch = fields[2], partition = tonumber(fields[3]),
    offset = tonumber(fields[4]), value = fields[5] })
end

function events.finished(seen, fields)
  table.insert(seen.events, { what = fields[1], partition = tonumber(fields[2]), offset = tonumber(fields[3]) })
end

events.handled = events.finished

--- What one process saw: `requests` and `events`, in their order. A last line that a kill cut off
-- is left out.
function delivery.parse(text)
  local seen = { requests = {}, events = {}, open = {} }
  for line in text:gmatch "([^\n]*)\n" do
    local fields = fields_of(line)
    if events[fields[1]] then events[fields[1]](seen, fields) end
  end
  return seen
end

function delivery.read_all(paths)
  local all = {}
  for index, path in ipairs(paths) do
    local file = io.open(path, "rb")
    all[index] = delivery.parse(file and file:read "*a" or "")
    if file then file:close() end
  end
  return all
end

--- What a topic holds: for each partition `count`, the offset after the last one, and the values by
-- offset.
function delivery.log(client, topic)
  local log = {}
  for partition = 0, assert(client:topics())[topic] - 1 do
    local values = { count = 0 }
    for message in client:records { topic = topic, partition = partition, to = "latest" } do
      values[message.offset] = message.value
      values.count = message.offset + 1
    end
    log[partition] = values
  end
  return log
end

-- Checking ----------------------------------------------------------------------------------------

local Check = {}
Check.__index = Check

function Check:fault(kind, ...)
  local counts = self.report.counts
  counts[kind] = counts[kind] + 1
  if counts[kind] <= LISTED then table.insert(self.report.faults, { kind = kind, text = string.format(...) }) end
end

local function short(value)
  return #value > SHOWN and value:sub(1, SHOWN) .. "..." or value
end

local function place_name(place)
  return ("%d %d"):format(place.partition, place.offset)
end

-- The places of each value in the log, in the order of partitions and offsets.
function Check:find_places()
  self.places = {}
  for partition, values in pairs(self.log) do
    for offset = 0, values.count - 1 do
      local value = values[offset]
      if value then
        self.places[value] = self.places[value] or {}
        table.insert(self.places[value], { partition = partition, offset = offset })
        self.report.counts.stored = self.report.counts.stored + 1
      end
    end
  end
end

local function is_at(places, wanted)
  for _, place in ipairs(places) do
    if place.partition == wanted.partition and place.offset == wanted.offset then return true end
  end
  return false
end

-- What is known of a value: whether it was `acknowledged`, and how many requests were left
-- `unknown`.
function Check:find_sent(value, producer)
  local known = self.sent[value]
  if not known then
    self.rank = self.rank + 1
    known = { producer = producer, rank = self.rank, unknown = 0 }
    self.sent[value] = known
  end
  return known
end

function Check:take_request(request, producer)
  local counts = self.report.counts
  for index, value in ipairs(request.values) do
    local known, state = self:find_sent(value, producer), request.states[index]
    counts[state] = counts[state] + 1
    if state == "unknown" then known.unknown = known.unknown + 1 end
    if state == "acknowledged" then
      known.acknowledged = true
      self:check_stored(value, request.places[index] or {})
    end
  end
end

function Check:check_stored(value, place)
  local places = self.places[value]
  if not places then
    self:fault("lost", "%s was acknowledged, and is not in the log", short(value))
  elseif place.offset and not is_at(places, place) then
    self:fault("lost", "%s was acknowledged at %s, where the log has another message", short(value), place_name(place))
  end
end

-- With `plain`, a producer without keys, each unknown request explains a copy.
function Check:check_copies(value, places)
  local known = self.sent[value]
  if not known then
    return self:fault("phantom", "%s is in the log, and was never sent", short(value))
  end
  local explained = (known.acknowledged and 1 or 0) + known.unknown
  if explained == 0 then
    self:fault("phantom", "%s is in the log, and was refused", short(value))
  elseif #places > (self.plain and explained or 1) then
    self:fault("duplicated", "%s is in the log %d times, last at %s", short(value), #places,
      place_name(places[#places]))
  end
  self.report.counts.copies = self.report.counts.copies + #places - 1
end

-- In each partition, the messages of each producer stand in the order of their first sending.
function Check:check_log_order()
  for partition, values in pairs(self.log) do
    local last, seen = {}, {}
    for offset = 0, values.count - 1 do
      local value = values[offset]
      local known = value and not seen[value] and self.sent[value]
      if known then
        seen[value] = true
        local before = last[known.producer]
        if before and before.rank > known.rank then
          self:fault("reordered", "%s is in the log at %d %d, behind a later message", short(value), partition, offset)
        end
        last[known.producer] = before and before.rank > known.rank and before or known
      end
    end
  end
end

function Check:check_received(event, consumer)
  local name = place_name(event)
  local values = self.log[event.partition] or {}
  if values[event.offset] ~= event.value then
    self:fault("phantom", "%s was received at %s, where the log has %s", short(event.value), name,
      short(tostring(values[event.offset])))
  end
  local counts = self.report.counts
  counts.received = counts.received + 1
  if self.received[name] then counts.again = counts.again + 1 end
  if consumer.finished[name] or (self.follow and self.finished[name]) then
    self:fault("duplicated", "%s was received again at %s, after it was finished", short(event.value), name)
  end
  local last = consumer.last[event.partition] or -1
  if event.offset < last and not consumer.received[name] then
    self:fault("reordered", "%s was received at %s, after %d", short(event.value), name, last)
  end
  consumer.last[event.partition] = math.max(last, event.offset)
  consumer.received[name] = true
  self.received[name] = true
end

-- Consumers at the same time have no common order: what one finished and another receives is
-- compared only for those that `follow` each other.
function Check:take_consumer(seen)
  local consumer = { last = {}, received = {}, finished = {} }
  for _, event in ipairs(seen.events) do
    local name = place_name(event)
    if event.what == "received" then
      self:check_received(event, consumer)
    else
      self.handled[name] = true
      consumer.finished[name] = consumer.finished[name] or event.what == "finished"
    end
  end
  for name, finished in pairs(consumer.finished) do self.finished[name] = self.finished[name] or finished end
end

function Check:check_consumed()
  for partition, values in pairs(self.log) do
    for offset = 0, values.count - 1 do
      local name = ("%d %d"):format(partition, offset)
      if values[offset] and not self.received[name] then
        self:fault("lost", "%s is in the log at %s, and was not received", short(values[offset]), name)
      elseif values[offset] and not self.handled[name] then
        self:fault("lost", "%s is in the log at %s, and was received, but not handled", short(values[offset]), name)
      end
    end
  end
end

--- Compares `producers`, `consumers` (a list; nil: no group) and `log`. Options: `plain`: the
-- producers use no keys, so an unknown request may have stored a copy; `follow`: the consumers ran
-- one after another, in the order of the list. Returns `faults`, at most twenty of each kind, and
-- `counts`: of each kind of fault; of messages `acknowledged`, `refused`, `unknown`, `stored`,
-- `received`; `copies`, in the log beyond the first; `again`, received beyond the first.
function delivery.check(history)
  local counts = { lost = 0, duplicated = 0, reordered = 0, phantom = 0, acknowledged = 0, refused = 0, unknown = 0,
    stored = 0, received = 0, copies = 0, again = 0 }
  local check = setmetatable({
    log = history.log, plain = history.plain, follow = history.follow, rank = 0,
    sent = {}, received = {}, handled = {}, finished = {}, report = { faults = {}, counts = counts },
  }, Check)
  check:find_places()
  for _, producer in ipairs(history.producers) do
    for _, request in ipairs(producer.requests) do check:take_request(request, producer) end
  end
  for value, places in pairs(check.places) do check:check_copies(value, places) end
  check:check_log_order()
  for _, consumer in ipairs(history.consumers or {}) do check:take_consumer(consumer) end
  if history.consumers then check:check_consumed() end
  return check.report
end

return delivery
