--- What producers and consumers in other processes saw, and whether it agrees with the server.
--
-- history_worker.lua writes one file per process and one line per event, with fields separated by
-- tabs:
--
--   try TOPIC VALUE TOPIC VALUE …                 one request is about to be sent
--   ok PARTITION OFFSET PARTITION OFFSET …        it was acknowledged
--   failed CODE                                   it was not acknowledged: stored or not
--   part PARTITION OFFSET - CODE …                some messages were acknowledged, others failed
--   got TOPIC PARTITION OFFSET VALUE              a loop returned a message to its body
--   done TOPIC PARTITION OFFSET                   the body has finished it
--
-- A killed process leaves its last request without an outcome.

local history = {}

local function fields_of(line)
  local fields = {}
  for field in (line .. "\t"):gmatch "([^\t]*)\t" do fields[#fields + 1] = field end
  return fields
end

local events = {}

function events.try(seen, fields)
  local attempt = { state = "open" }
  for index = 2, #fields, 2 do
    attempt[#attempt + 1] = { topic = fields[index], value = fields[index + 1] }
  end
  seen.attempts[#seen.attempts + 1] = attempt
end

function events.ok(seen, fields)
  local attempt = seen.attempts[#seen.attempts]
  attempt.state = "ok"
  for index, message in ipairs(attempt) do
    message.partition, message.offset = tonumber(fields[2 * index]), tonumber(fields[2 * index + 1])
  end
end

function events.failed(seen, fields)
  seen.attempts[#seen.attempts].state = fields[2]
end

function events.part(seen, fields)
  local attempt = seen.attempts[#seen.attempts]
  attempt.state = "part"
  for index, message in ipairs(attempt) do
    local partition, second = fields[2 * index], fields[2 * index + 1]
    if partition == "-" then
      message.code = second
    else
      message.partition, message.offset = tonumber(partition), tonumber(second)
    end
  end
end

function events.got(seen, fields)
  seen.got[#seen.got + 1] =
    { topic = fields[2], partition = tonumber(fields[3]), offset = tonumber(fields[4]), value = fields[5] }
end

function events.done(seen, fields)
  seen.done[table.concat(fields, " ", 2)] = true
end

--- What one process saw so far: its attempts, and the messages that it got and finished.
function history.read(path)
  local seen = { attempts = {}, got = {}, done = {} }
  local file = io.open(path)
  if not file then return seen end
  for line in file:lines() do
    local fields = fields_of(line)
    if events[fields[1]] then events[fields[1]](seen, fields) end
  end
  file:close()
  return seen
end

--- The same for several processes.
function history.read_all(paths)
  local all = {}
  for index, path in ipairs(paths) do all[index] = history.read(path) end
  return all
end

--- What the server stores: the messages of each topic and partition, by offset. `topics` maps names
-- to partitions.
function history.kept(client, topics)
  local kept = {}
  for topic, partitions in pairs(topics) do
    kept[topic] = {}
    for partition = 0, partitions - 1 do
      local values = { count = 0 }
      for message in client:records { topic = topic, partition = partition, to = "latest" } do
        assert(message.offset == values.count, ("%s %d: offset %d after %d messages"):format(
          topic, partition, message.offset, values.count))
        values[message.offset] = message.value
        values.count = values.count + 1
      end
      kept[topic][partition] = values
    end
  end
  return kept
end

local function each_kept(kept, visit)
  for topic, partitions in pairs(kept) do
    for partition, values in pairs(partitions) do
      for offset = 0, values.count - 1 do visit(topic, partition, offset, values[offset]) end
    end
  end
end

local function places_of(kept, problems)
  local places = {}
  each_kept(kept, function(topic, partition, offset, value)
    local name = topic .. " " .. value
    if places[name] then problems[#problems + 1] = "kept twice: " .. name end
    places[name] = { partition = partition, offset = offset }
  end)
  return places
end

local function check_order(message, place, last, problems)
  local where = message.topic .. " " .. place.partition
  if place.offset <= (last[where] or -1) then problems[#problems + 1] = "out of order: " .. message.value end
  last[where] = place.offset
end

-- One attempt: acknowledged messages are stored where the server said, and all are stored or none.
local function check_attempt(attempt, places, last, problems)
  local stored = 0
  for _, message in ipairs(attempt) do
    local place = places[message.topic .. " " .. message.value]
    if place then
      stored = stored + 1
      check_order(message, place, last, problems)
    end
    if attempt.state == "ok"
      and not (place and place.partition == message.partition and place.offset == message.offset) then
      problems[#problems + 1] = ("acknowledged but lost: %s %s"):format(message.topic, message.value)
    end
  end
  attempt.stored = stored
  if stored > 0 and stored < #attempt then
    problems[#problems + 1] = ("%d of %d messages kept: %s"):format(stored, #attempt, attempt[1].value)
  end
  -- These say that it was not executed.
  if stored > 0 and (attempt.state == "connect_failed" or attempt.state == "unavailable") then
    problems[#problems + 1] = ("kept after %s: %s"):format(attempt.state, attempt[1].value)
  end
end

--- Compares what producers saw with what is stored. Returns a list of problems, and counts:
-- `acknowledged` messages, and `unknown` attempts, of which `unknown_stored` are stored.
function history.check_producers(kept, producers)
  local problems, sent = {}, {}
  local counts = { acknowledged = 0, unknown = 0, unknown_stored = 0 }
  local places = places_of(kept, problems)
  for _, producer in ipairs(producers) do
    local last = {}
    for _, attempt in ipairs(producer.attempts) do
      for _, message in ipairs(attempt) do sent[message.topic .. " " .. message.value] = true end
      check_attempt(attempt, places, last, problems)
      if attempt.state == "ok" then
        counts.acknowledged = counts.acknowledged + #attempt
      else
        counts.unknown = counts.unknown + 1
        counts.unknown_stored = counts.unknown_stored + (attempt.stored > 0 and 1 or 0)
      end
    end
  end
  for name in pairs(places) do
    if not sent[name] then problems[#problems + 1] = "never sent: " .. name end
  end
  return problems, counts
end

-- Producers that retry ----------------------------------------------------------------------------

-- After these a message is certainly not stored.
local REFUSED = { connect_failed = true, resolve_failed = true, too_many = true, unavailable = true }

-- The outcome of each value over all its attempts: the `place` where it was acknowledged, and how
-- many attempts left open whether it is stored.
local function outcomes_of(producers)
  local outcomes = {}
  for _, producer in ipairs(producers) do
    for _, attempt in ipairs(producer.attempts) do
      for _, message in ipairs(attempt) do
        local name = message.topic .. " " .. message.value
        local outcome = outcomes[name] or { attempts = 0, open = 0 }
        outcomes[name] = outcome
        outcome.attempts = outcome.attempts + 1
        if message.partition then
          outcome.place = ("%d %d"):format(message.partition, message.offset)
        elseif not REFUSED[message.code or attempt.state] then
          outcome.open = outcome.open + 1
        end
      end
    end
  end
  return outcomes
end

local function check_copies(name, outcome, copies, problems)
  local found = false
  for _, place in ipairs(copies) do found = found or place == outcome.place end
  if outcome.place and not found then problems[#problems + 1] = "acknowledged but lost: " .. name end
  if #copies > (outcome.place and 1 or 0) + outcome.open then
    problems[#problems + 1] = ("%s: %d copies after %d attempts, of which %d were left open"):format(
      name, #copies, outcome.attempts, outcome.open)
  end
end

-- Values are KEY:NUMBER, and the numbers of each key rise. A repeated number is ignored.
local function check_keys(kept, problems)
  local last = {}
  each_kept(kept, function(topic, partition, offset, value)
    local key, number = value:match "^(.*):(%d+)$"
    local name = topic .. " " .. key
    number = tonumber(number)
    last[name] = last[name] or { number = 0, seen = {} }
    if not last[name].seen[number] and number < last[name].number then
      problems[#problems + 1] = ("%s stands for the first time at %d %d, after %d"):format(
        name .. ":" .. number, partition, offset, last[name].number)
    end
    last[name].seen[number] = true
    last[name].number = math.max(last[name].number, number)
  end)
end

--- Compares what producers saw with what is stored, for producers that repeat a message until it is
-- acknowledged and only then send the next one of its key. Returns a list of problems, and counts:
-- `acknowledged` values; attempts that `failed`, and how many of these are `open`, because the
-- message may be stored; `duplicates`, copies beyond the first.
function history.check_retrying(kept, producers)
  local problems, copies = {}, {}
  local counts = { acknowledged = 0, failed = 0, open = 0, duplicates = 0 }
  local outcomes = outcomes_of(producers)
  each_kept(kept, function(topic, partition, offset, value)
    local name = topic .. " " .. value
    copies[name] = copies[name] or {}
    table.insert(copies[name], ("%d %d"):format(partition, offset))
    if not outcomes[name] then problems[#problems + 1] = "never sent: " .. name end
  end)
  for name, outcome in pairs(outcomes) do
    local places = copies[name] or {}
    check_copies(name, outcome, places, problems)
    counts.acknowledged = counts.acknowledged + (outcome.place and 1 or 0)
    counts.failed = counts.failed + outcome.attempts - (outcome.place and 1 or 0)
    counts.open = counts.open + outcome.open
    counts.duplicates = counts.duplicates + math.max(#places - 1, 0)
  end
  check_keys(kept, problems)
  return problems, counts
end

--- Compares what the consumers of one group saw with what is stored: each message at least once,
-- and nothing else. Returns a list of problems and how many messages were repeated.
function history.check_consumers(kept, consumers)
  local problems, seen, again = {}, {}, 0
  for _, consumer in ipairs(consumers) do
    for _, message in ipairs(consumer.got) do
      local name = ("%s %d %d"):format(message.topic, message.partition, message.offset)
      local value = kept[message.topic][message.partition][message.offset]
      if value ~= message.value then
        problems[#problems + 1] = ("%s: got %s, kept %s"):format(name, message.value, tostring(value))
      end
      again = again + (seen[name] and 1 or 0)
      seen[name] = true
    end
  end
  each_kept(kept, function(topic, partition, offset)
    local name = ("%s %d %d"):format(topic, partition, offset)
    for _, consumer in ipairs(consumers) do
      if consumer.done[name] then return end
    end
    problems[#problems + 1] = "nobody was done with " .. name
  end)
  return problems, again
end

return history
