--- A script of answers that replaces a server for a loop, and a clock that only sleeps move.
--
--     before_each(script.begin)
--     after_each(script.finish)
--     it("…", function() script.runs("messages", script.loop(), { { LINE, ANSWER }, … }, most) end)
--
-- The trace gets a line for each call. With `shows_batches` false it does not show that a request
-- holds no batch, as each request does at a server that names none.

local assert = require "luassert"
local core = require "upstash.kafka.core"
local kafka = require "upstash.kafka"
local host = require "upstash.kafka.host"

local METHODS = { "consume", "commit", "committed", "delete_consumer", "consumers", "fetch", "offsets", "topics" }

local script = { clock = 0, trace = {}, answers = {}, exiting = false, shows_batches = true }

local saved

-- A value on one line, with its fields sorted.
local function show(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts, keys = {}, {}
  for index, item in ipairs(value) do parts[index] = show(item) end
  for key in pairs(value) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = key .. "=" .. show(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function script.note(text)
  script.trace[#script.trace + 1] = text
end

local function without_batches(text)
  return (text:gsub(" {ack=none}$", ""):gsub("{ack=none,", "{"))
end

-- Replaces a method: adds a line to the trace and returns the next answer of the script.
local function answer_to(name)
  return function(_, ...)
    local words = { name }
    for index = 1, select("#", ...) do words[index + 1] = show((select(index, ...))) end
    local line = table.concat(words, " ")
    script.note(script.shows_batches and line or without_batches(line))
    local answer = table.remove(script.answers, 1)
    if answer == nil then error("the script has no answer for: " .. line, 0) end
    if type(answer) == "function" then return answer() end
    return answer
  end
end

function script.begin()
  saved = { now = core.now, sleep = core.sleep, delay = core.retry_delay, exiting = host.exiting }
  script.clock, script.trace, script.answers, script.exiting = 0, {}, {}, false
  function host.exiting() return script.exiting end
  for _, name in ipairs(METHODS) do
    saved[name] = core.methods[name]
    core.methods[name] = answer_to(name)
  end
  function core.now() return script.clock end
  function core.sleep(milliseconds)
    script.note("sleep " .. milliseconds)
    script.clock = script.clock + milliseconds
  end
  function core.retry_delay(attempt, _, policy)
    assert.equal(1000, policy.retries) -- a loop does not give up after the client's own retries
    return attempt * 100
  end
end

function script.finish()
  for _, name in ipairs(METHODS) do core.methods[name] = saved[name] end
  core.now, core.sleep, core.retry_delay, host.exiting = saved.now, saved.sleep, saved.delay, saved.exiting
end

-- Answers -----------------------------------------------------------------------------------------

function script.fails(code, status, more)
  return function()
    local details = { error = code, code = code, status = status, retriable = true }
    for key, value in pairs(more or {}) do details[key] = value end
    return nil, code, details
  end
end

script.GONE = script.fails("not_found", 404, { retriable = false })
script.AWAY = script.fails("unavailable", 503)
script.LOST = script.fails("connection_lost", nil, { retriable = false })
script.BROKEN = script.fails("bad_response", 200, { retriable = false })
script.LARGE = script.fails("response_too_large", 200, { retriable = false })

local function give(answer)
  if type(answer) == "function" then return answer() end
  return answer
end

function script.later(milliseconds, answer)
  return function()
    script.clock = script.clock + milliseconds
    return give(answer)
  end
end

--- The worker must exit from then on.
function script.stops(answer)
  return function()
    script.exiting = true
    return give(answer)
  end
end

--- Messages of a partition, with these offsets.
function script.of(partition, ...)
  local list = {}
  for index, offset in ipairs { ... } do list[index] = { topic = "t", partition = partition, offset = offset } end
  return list
end

function script.at(...) return script.of(0, ...) end

--- A response with the ID of its batch, and the partitions whose commits it skipped.
function script.batch(id, messages, skipped)
  return function() return messages, nil, { batch = id, commit_skipped = skipped } end
end

function script.join(...)
  local all = {}
  for _, list in ipairs { ... } do
    for _, message in ipairs(list) do all[#all + 1] = message end
  end
  return all
end

-- Running -----------------------------------------------------------------------------------------

function script.place(message)
  return ("%s/%d/%d"):format(message.topic, message.partition, message.offset)
end

-- Reads the lines and answers of a script. Returns the lines, and how long the bodies take.
local function read(lines)
  local expected, bodies = {}, {}
  for _, entry in ipairs(lines) do
    local line, answer = entry[1], entry[2]
    expected[#expected + 1] = line
    if line:find "^> " then
      bodies[#bodies + 1] = answer or 0
    elseif answer ~= nil then
      script.answers[#script.answers + 1] = answer
    end
  end
  return expected, bodies
end

local function note_item(item)
  local places = {}
  for index, message in ipairs(item[1] and item or { item }) do places[index] = script.place(message) end
  script.note("> " .. table.concat(places, " "))
end

--- Runs a loop on a script of { line, answer }: the lines that the trace must have, and the answers
-- to the calls among them. A line "> …" is what the loop hands out; its answer is how many
-- milliseconds the body takes. The loop is closed after `most` of those lines.
function script.runs(method, options, lines, most)
  local expected, bodies = read(lines)
  local client = kafka.new { url = "http://127.0.0.1:1" }
  local step, state = client[method](client, options)
  local fine, problem = pcall(function()
    local number = 0
    for item in step, state do
      number = number + 1
      note_item(item)
      script.clock = script.clock + (bodies[number] or 0)
      if number == most then break end
    end
  end)
  if not fine then script.note("raises " .. tostring(problem)) end
  if fine and most then
    local done, message = state:close()
    script.note("closed " .. tostring(done) .. (message and " " .. message or ""))
  end
  assert.is_nil(step(state)) -- an ended loop stays ended, and sends nothing
  assert.is_true(state:close())
  client:close()
  assert.same(expected, script.trace)
  assert.same({}, script.answers)
  return problem
end

-- Lines -------------------------------------------------------------------------------------------

local EARLIEST = "auto_commit=false,auto_offset_reset=earliest"

function script.asks(timeout, most, more)
  return "consume g i t {" .. EARLIEST .. (more or "") .. (most and ",max_messages=" .. most or "") .. ",timeout="
    .. timeout .. "}"
end

function script.position(offset, partition)
  return ("{offset=%d,partition=%d,topic=t}"):format(offset, partition or 0)
end

--- A consume that says which batch arrived last, and carries commits.
function script.acks(id, ...)
  local commits = select("#", ...) > 0 and ",commit={" .. table.concat({ ... }, ",") .. "}" or ""
  return "consume g i t {ack=" .. id .. "," .. EARLIEST .. commits .. ",timeout=1000}"
end

function script.commits(...) return "commit g i {" .. table.concat({ ... }, ",") .. "}" end

function script.loop(more)
  local options = { group = "g", instance = "i", topic = "t", from = "earliest" }
  for key, value in pairs(more or {}) do options[key] = value end
  return options
end

return script
