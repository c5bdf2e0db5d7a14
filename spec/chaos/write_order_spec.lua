-- for: log_store.c, log_store_write.c, log_identity.c. What the server
-- writes is recorded, and each state that the disk may have after a power cut is opened: it holds
-- what was answered by then, and nothing that was never sent.

local chaos = require "spec.support.chaos"
local delivery = require "spec.support.delivery"
local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local server = require "upstash.kafka.server"
local shell = require "spec.support.shell"
local write_order = require "spec.support.write_order"

local LIBRARY = shell.here .. "/build/spec/write_record.so"
local WORKERS = 3
local REQUESTS = chaos.whole and 60 or 12
local STATES = chaos.whole and 1500 or chaos.full and 200 or 60 -- at most

if os.getenv "LD_PRELOAD" then return pending "needs LD_PRELOAD, which is in use" end
if not folder.read(LIBRARY) then
  return pending "needs build/spec/write_record.so, which make c-tests builds where there is glibc"
end

describe("after a power cut", function()
  local run, place

  before_each(function() place = folder.make() end)

  after_each(function()
    if run then run:remove() end
    run = nil
    folder.remove(place)
  end)

  -- The values by place, and the set of all that were sent.
  local function read_workers()
    local values, sent = {}, {}
    for _, seen in ipairs(delivery.read_all(run.paths.produce)) do
      for _, request in ipairs(seen.requests) do
        for index, value in ipairs(request.values) do
          local where = assert(request.places[index], "every request was answered")
          values[where.partition .. " " .. where.offset] = value
          sent[value] = true
        end
      end
    end
    return values, sent
  end

  local function life_of(files)
    return files.identity and files.identity[0]:match "\nlife (%d+)\n"
  end

  -- Opens a state; returns its log.
  local function open_state(files)
    local data = folder.quick_name()
    assert(os.execute("mkdir " .. data))
    write_order.write(files, data)
    local handle, problem = server.start { listen = "127.0.0.1:0", data = data, username = "u", password = "p" }
    local log
    if handle then
      local client = kafka.new { url = handle:url(), username = "u", password = "p", retries = 0 }
      log = client:topics()[run.topic] and delivery.log(client, run.topic) or {}
      client:close()
      handle:stop()
    end
    local identity = folder.read(data .. "/identity")
    folder.remove(data)
    assert(handle, problem)
    assert.equal(life_of(files) or "1", identity:match "\nlife (%d+)\n")
    return log
  end

  -- What the log must have, and what it may have.
  local function check_state(log, answered, values, sent)
    for where in pairs(answered) do
      local partition, offset = where:match "^(%d+) (%d+)$"
      local found = log[tonumber(partition)]
      assert.equal(values[where], found and found[tonumber(offset)], where)
    end
    for _, stored in pairs(log) do
      for offset = 0, stored.count - 1 do assert.is_true(sent[stored[offset]], stored[offset]) end
    end
  end

  -- The places that a response to a produce names. In what a consume answers a key follows.
  local function take_answer(answered, event)
    for partition, offset, after in event.bytes:gmatch '"partition":(%d+),"offset":(%d+),"timestamp":%d+(.)' do
      if after == "}" then answered[partition .. " " .. offset] = true end
    end
  end

  -- Opens the states after an event: nothing that is open, everything, and a part of it.
  local function check_event(disk, answered, values, sent)
    local opened, hows = 0, { "none" }
    if #disk.open > 0 then hows = { "none", "all", function() return math.random(2) == 1 end } end
    for _, how in ipairs(hows) do
      check_state(open_state(disk:choose(how)), answered, values, sent)
      opened = opened + 1
    end
    return opened
  end

  -- Opens states after every event of `record`, or after some if these were too many.
  local function check_record(record, disk, values, sent)
    local answered, counts, opened, places = {}, {}, 0, 0
    local share = math.min(1, STATES / (2 * #record))
    for _, event in ipairs(record) do
      counts[event.kind] = (counts[event.kind] or 0) + 1
      disk:apply(event)
      if event.kind == "send" then take_answer(answered, event) end
      if math.random() < share then opened = opened + check_event(disk, answered, values, sent) end
    end
    opened = opened + check_event(disk, answered, values, sent)
    for _ in pairs(answered) do places = places + 1 end
    chaos.say("write order: %d writes, %d durable ones, %d syncs, %d renames; %d messages answered, %d states opened",
      counts.write or 0, counts.durable or 0, counts.sync or 0, counts.rename or 0, places, opened)
    return counts, places
  end

  -- Returns the record of a server under load, its folder before that, and what was sent.
  local function record_load()
    math.randomseed(5)
    run = chaos.start "log"
    run.server:signal "TERM"
    assert.equal(0, run.server:wait())
    local base = {}
    for _, name in ipairs { "data.mdb", "identity" } do base[name] = folder.read(run.data .. "/" .. name) end
    run.server_environment.LD_PRELOAD, run.server_environment.WRITE_RECORD = LIBRARY, place .. "/record"
    run:start_server()
    for index = 1, WORKERS do run:work("calls", "p" .. index, { count = REQUESTS }) end
    local function answered() return run:count("produce", "acknowledged") end
    run:await(answered, function() return answered() >= WORKERS * REQUESTS end)
    run:stop "produce"
    run.server:signal "TERM"
    assert.equal(0, run.server:wait())
    local values, sent = read_workers()
    return write_order.read(place .. "/record"), base, values, sent
  end

  it("the log holds what was answered, and nothing else", function()
    local record, base, values, sent = record_load()
    local counts, places = check_record(record, write_order.new(base), values, sent)
    assert.is_nil(counts.mapped)
    assert.is_true(places >= WORKERS * REQUESTS)
    assert.is_true(counts.durable > 10 and counts.sync > counts.durable)
  end)

  it("a disk that ignores syncs is found out", function()
    local record, base, values, sent = record_load()
    local ignorant = {}
    for _, event in ipairs(record) do
      if event.kind ~= "sync" then ignorant[#ignorant + 1] = event end
    end
    assert.is_false((pcall(check_record, ignorant, write_order.new(base), values, sent)))
  end)
end)
