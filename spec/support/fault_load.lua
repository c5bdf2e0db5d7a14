--- Requests to a server whose system calls fail: several connections at once produce, consume,
-- commit, create and delete topics. Every answer is checked when it arrives. What the answers
-- promised is kept, in the form that history.lua compares with what is stored.
--
--     local load = fault_load.new(url, username, password)
--     load:run(200)
--     assert.same({}, load:verify(client)) -- without faults

local cjson = require "cjson"
local history = require "spec.support.history"
local http = require "spec.support.http"
local socket = require "socket"

local WORKERS = 8
local PATIENCE = 60 -- seconds without any answer: a bound for hangs
local TOPICS = { one = 1, four = 4 }
local READ = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Enable-Auto-Commit"] = "false" }

local fault_load = { TOPICS = TOPICS }

local Load = {}
Load.__index = Load

--- Nothing is sent yet. The topics must exist.
function fault_load.new(url, username, password)
  local load = setmetatable({
    client = http.client(url, username, password),
    workers = {}, problems = {}, statuses = {}, lost = 0,
    exists = {},    -- "yes", "no" or "unknown" for each topic that was created
    producers = {}, -- as in history.lua
    consumers = {},
  }, Load)
  for index = 1, WORKERS do
    local worker = { name = "w" .. index, number = 0, attempts = {}, got = {}, done = {}, next = {},
      committed = { [-1] = true } }
    load.workers[index] = worker
    load.producers[index] = { attempts = worker.attempts }
    load.consumers[index] = { got = worker.got, done = worker.done }
  end
  return load
end

function Load:problem(...)
  self.problems[#self.problems + 1] = string.format(...)
end

-- Steps: a request, and what each status says about its outcome. `lost` is called instead if the
-- connection breaks before the answer is whole.

local steps = {}

local function messages_of(worker)
  local attempt, list = { state = "open" }, {}
  for index = 1, worker.number % 3 + 1 do
    local topic = (worker.number + index) % 3 == 0 and "one" or "four"
    local size = (worker.number + index) % 20 == 0 and 20000 or 7 * worker.number % 300
    local value = ("%s-%d-%d-%s"):format(worker.name, worker.number, index, ("v"):rep(size))
    attempt[index] = { topic = topic, value = value }
    list[index] = { topic = topic, value = value, partition = topic == "four" and worker.number % 4 or nil }
  end
  return attempt, list
end

function steps.produce(load, worker)
  local attempt, list = messages_of(worker)
  table.insert(worker.attempts, attempt)
  return { method = "POST", path = "/produce", body = cjson.encode(list),
    [200] = function(entries)
      attempt.state = "ok"
      if #entries ~= #attempt then load:problem("%d results for %d messages", #entries, #attempt) end
      for index, message in ipairs(attempt) do
        local entry = entries[index] or {}
        message.partition, message.offset = entry.partition, entry.offset
        if entry.topic ~= message.topic then load:problem("a result for %s names %s", message.topic, entry.topic) end
      end
    end,
    [503] = function() attempt.state = "unavailable" end,
    [504] = function() attempt.state = "gateway_timeout" end,
    -- The server may still carry it out, after what the worker sends next.
    lost = function()
      table.remove(worker.attempts)
      table.insert(load.producers, { attempts = { attempt } })
    end }
end

function steps.create(load, worker)
  local name = ("%s-%d"):format(worker.name, worker.number)
  worker.topic = name
  load.exists[name] = "unknown"
  return { method = "POST", path = "/topics/" .. name, body = '{"partitions":2}',
    [201] = function(made)
      load.exists[name] = "yes"
      if made.topic ~= name or made.partitions ~= 2 then load:problem("%s was created otherwise", name) end
    end,
    [503] = function() load.exists[name] = "no" end,
    [504] = function() end,
    lost = function() worker.topic = nil end }
end

function steps.delete(load, worker)
  local name = worker.topic
  if not name then return steps.create(load, worker) end
  local before = load.exists[name]
  load.exists[name] = before == "no" and "no" or "unknown"
  return { method = "DELETE", path = "/topics/" .. name,
    [200] = function()
      if before == "no" then load:problem("%s was deleted, and did not exist", name) end
      load.exists[name] = "no"
    end,
    [404] = function()
      if before == "yes" then load:problem("%s was lost", name) end
      load.exists[name] = "no"
    end,
    [503] = function() load.exists[name] = before end,
    [504] = function() end,
    lost = function() worker.topic = nil end }
end

-- Messages come in order and without a gap; a message comes again only after a response was lost.
local function take(load, worker, message)
  local place = ("%s %d"):format(message.topic, message.partition)
  local expected = worker.next[place] or 0
  if message.offset > expected or (message.offset < expected and not worker.has_lost) then
    load:problem("%s got %s %d, expected %d", worker.name, place, message.offset, expected)
  end
  worker.next[place] = math.max(expected, message.offset + 1)
  table.insert(worker.got, message)
  worker.done[("%s %d"):format(place, message.offset)] = true
end

function steps.consume(load, worker)
  return { method = "POST", path = ("/consume/%s/i"):format(worker.name), headers = READ,
    body = '{"topics":["one","four"],"timeout":0,"max_messages":20}',
    [200] = function(messages)
      for _, message in ipairs(messages) do take(load, worker, message) end
      worker.received = #messages
    end,
    [503] = function() end,
    [504] = function() end,
    lost = function() worker.has_lost = true end }
end

function steps.commit(_, worker)
  local offset, before = worker.next["one 0"] or 0, {}
  for value in pairs(worker.committed) do before[value] = true end
  worker.committed[offset] = true
  local function no_change() worker.committed = before end
  return { method = "POST", path = ("/commit/%s/i"):format(worker.name),
    body = ('{"topic":"one","partition":0,"offset":%d}'):format(offset),
    -- What was lost earlier may be carried out later.
    [200] = function() worker.committed = worker.has_lost and worker.committed or { [offset] = true } end,
    [404] = no_change, -- the first consume failed, and the instance does not exist
    [503] = no_change,
    [504] = function() end,
    lost = function() worker.has_lost = true end }
end

local PLAN = { "produce", "create", "produce", "consume", "produce", "produce", "commit", "produce", "delete",
  "produce" }

-- Workers begin at different places of the plan.
local function next_step(load, worker, index)
  worker.number = worker.number + 1
  return steps[PLAN[(worker.number + 3 * index) % #PLAN + 1]](load, worker)
end

-- Answers.

local function check_error(load, response, body)
  if type(body.error) ~= "string" or body.status ~= response.status then
    load:problem("%d with the body %s", response.status, response.body)
  elseif response.status == 503 and not response.headers["retry-after"] then
    load:problem("503 without Retry-After")
  elseif response.status == 504 and not body.error:find "may have been" then
    load:problem("504 without a word about its outcome: %s", body.error)
  end
end

local function take_answer(load, step, response)
  local status = response.status
  load.statuses[status] = (load.statuses[status] or 0) + 1
  local decoded, body = pcall(cjson.decode, response.body)
  if not decoded or type(body) ~= "table" then
    load:problem("%d with the body %s", status, response.body:sub(1, 200))
  elseif status >= 400 then
    check_error(load, response, body)
  elseif body.error then
    load:problem("%d with the error %s", status, tostring(body.error))
  end
  if step[status] then
    step[status](body)
  else
    load:problem("%s is answered %d: %s", step.path, status, response.body:sub(1, 200))
  end
end

local function take_loss(load, worker, problem)
  load.lost = load.lost + 1
  if not tostring(problem):find "closed before a whole answer" then load:problem("%s", tostring(problem)) end
  worker.step.lost()
  worker.connection:close()
  worker.connection, worker.step = nil, nil
end

-- Looks for the worker's answer. True if it has come, or will not come.
local function look(load, worker)
  if not worker.connection:take() then return false end
  local whole, response = pcall(worker.connection.try_response, worker.connection, worker.step.method)
  if not whole then
    take_loss(load, worker, response)
    return true
  end
  if not response then return false end
  take_answer(load, worker.step, response)
  if worker.connection.buffer ~= "" then load:problem("bytes follow a response: %s", worker.connection.buffer) end
  if worker.connection.closed or (response.headers.connection or ""):lower() == "close" then
    worker.connection:close()
    worker.connection = nil
  end
  worker.step = nil
  return true
end

local function begin(load, worker, step)
  if worker.connection and not worker.connection:reusable() then
    worker.connection:close()
    worker.connection = nil
  end
  worker.connection = worker.connection or load.client:connect()
  worker.step = step
  worker.connection:send(load.client:build(step.method, step.path, { headers = step.headers, body = step.body }))
end

local function wait(load)
  local sockets = {}
  for _, worker in ipairs(load.workers) do
    if worker.step then sockets[#sockets + 1] = worker.connection.socket end
  end
  if #sockets > 0 then socket.select(sockets, nil, 1) end
end

--- Sends so many requests, and waits for all answers. `plan(worker, index)` makes each request;
-- nil for one that mixes everything.
function Load:run(count, plan)
  local sent, waiting, latest = 0, 0, http.now()
  repeat
    for index, worker in ipairs(self.workers) do
      if worker.step and look(self, worker) then
        waiting, latest = waiting - 1, http.now()
      elseif not worker.step and sent < count then
        sent, waiting = sent + 1, waiting + 1
        begin(self, worker, (plan or next_step)(self, worker, index))
      end
    end
    if waiting == #self.workers or sent == count then wait(self) end
    if http.now() - latest > PATIENCE then error(("%d requests have no answer"):format(waiting), 2) end
  until waiting == 0 and sent == count
end

--- How many requests failed so far.
function Load:failures()
  local failed = self.lost
  for status, count in pairs(self.statuses) do failed = failed + (status >= 500 and count or 0) end
  return failed
end

-- Comparing.

-- One consume of each worker. Returns how many messages came.
local function consume_all(load)
  local received = 0
  for _, worker in ipairs(load.workers) do worker.received = 0 end
  load:run(#load.workers, steps.consume)
  for _, worker in ipairs(load.workers) do received = received + worker.received end
  return received
end

local function drain(load)
  local failed = load:failures()
  while consume_all(load) > 0 do end
  if load:failures() > failed then load:problem "a consume failed without a fault" end
end

local function check_topics(load, client)
  local topics = assert(client:topics())
  for name, exists in pairs(load.exists) do
    if exists == "yes" and topics[name] ~= 2 then load:problem("the topic %s is lost", name) end
    if exists == "no" and topics[name] then load:problem("the topic %s exists", name) end
  end
  for name in pairs(topics) do
    if not TOPICS[name] and not load.exists[name] then load:problem("nobody created the topic %s", name) end
  end
end

local function check_committed(load, client)
  for _, worker in ipairs(load.workers) do
    local offsets = assert(client:committed(worker.name, "i", { topic = "one", partition = 0 }))
    if not worker.committed[offsets[1].offset] then
      load:problem("%s has committed %d", worker.name, offsets[1].offset)
    end
  end
end

local function check_messages(load, client)
  local kept = history.kept(client, TOPICS)
  local problems, counts = history.check_producers(kept, load.producers)
  for _, problem in ipairs(problems) do load:problem("%s", problem) end
  return kept, counts
end

--- Compares what was answered with what is stored. Returns all problems since the start, and the
-- counts of history.check_producers.
function Load:verify(client)
  local _, counts = check_messages(self, client)
  check_topics(self, client)
  check_committed(self, client)
  return self.problems, counts
end

--- Each worker is a group of its own. Consumes until each has got what there is, without a failure,
-- and compares that with what is stored. Returns all problems since the start.
function Load:verify_consumed(client)
  drain(self)
  local kept = check_messages(self, client)
  for _, consumer in ipairs(self.consumers) do
    for _, problem in ipairs((history.check_consumers(kept, { consumer }))) do self:problem("%s", problem) end
  end
  return self.problems
end

function Load:close()
  for _, worker in ipairs(self.workers) do
    if worker.connection then worker.connection:close() end
    worker.connection = nil
  end
end

return fault_load
