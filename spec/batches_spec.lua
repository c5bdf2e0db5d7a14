-- What the loops ask of a server that names its batches, call by call, when all goes well and when
-- responses are lost; loops_spec.lua is about one that does not.

local kafka = require "upstash.kafka"
local script = require "spec.support.loop_script"

local note, runs, loop, batch = script.note, script.runs, script.loop, script.batch
local fails, later, of, at, join = script.fails, script.later, script.of, script.at, script.join
local acks, position = script.acks, script.position
local GONE, AWAY, BROKEN, LARGE = script.GONE, script.AWAY, script.BROKEN, script.LARGE

local UNKNOWN = fails("conflict", 409, { retriable = false })
local CUT = fails("connection_lost")
local LATE = fails("timeout")
local DELETE = "delete_consumer g i {ack=none}"

local function commits(...)
  return script.commits(...) .. " {ack=none}"
end

-- A consume like that of acks, with another timeout and max_messages.
local function asks(id, timeout, most, ...)
  return (acks(id, ...):gsub("timeout=1000", (most and "max_messages=" .. most .. "," or "") .. "timeout=" .. timeout))
end

-- A message with contents.
local function message(offset, value, more)
  local all = { topic = "t", partition = 0, offset = offset, timestamp = 1, key = "", value = value }
  for key, other in pairs(more or {}) do all[key] = other end
  return all
end

local NAMES = "commit g i nil {commit_batch=b-1}"
local COMMITTED = "committed g i {{partition=0,topic=t}}"
local BEGIN = { { DELETE, GONE }, { acks "none", batch("b-1", at(0, 1)) }, { "> t/0/0" }, { "> t/0/1" } }
local FINISHED = position(2)
local END = { { DELETE, true }, { "closed true" } }

describe("a loop at a server that names its batches", function()
  before_each(script.begin)
  after_each(script.finish)

  it("makes one request per batch, which acknowledges and commits the batch before it", function()
    runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), batch("b-2", at(2)) }, { "> t/0/2" },
      { acks("b-2", position(3)), batch("b-3", join(of(0, 3), of(1, 7), of(0, 5))) }, { "> t/0/3" }, { "> t/1/7" },
      { "> t/0/5" }, { acks("b-3", position(6), position(8, 1)), batch("b-4", at(6)) }, { "> t/0/6" } }, END), 7)
  end)

  it("does so for whole batches, too", function()
    runs("batches", loop(), join({ BEGIN[1], BEGIN[2], { "> t/0/0 t/0/1" },
      { acks("b-1", FINISHED), batch("b-2", at(2)) }, { "> t/0/2" } }, END), 2)
  end)

  it("commits at once when no more messages come, and only once", function()
    runs("messages", loop { idle = 2500 }, join(BEGIN, { { acks("b-1", FINISHED), later(1000, {}) },
      { acks "b-1", later(1000, {}) }, { asks("b-1", 500), {} }, { DELETE, true } }))
  end)

  it("continues after a poll without messages with the last batch that it got", function()
    runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), {} }, { acks "b-1", batch("b-2", at(2)) },
      { "> t/0/2" }, { acks("b-2", position(3)), batch("b-3", at(3)) }, { "> t/0/3" } }, END), 4)
  end)

  it("holds no batch until the first one has arrived", function()
    runs("messages", loop(), join({ { DELETE, true }, { acks "none", {} }, { acks "none", AWAY }, { "sleep 100" },
      { acks "none", batch("b-1", at(0)) }, { "> t/0/0" } }, END), 1)
  end)

  it("commits with a request of its own when its limit is reached, and leaves the batch to a deletion", function()
    runs("messages", loop { limit = 2 }, {
      { DELETE, true }, { asks("none", 1000, 2), batch("b-1", at(0, 1, 2)) }, { "> t/0/0" }, { "> t/0/1" },
      { commits(FINISHED), AWAY }, { "sleep 100" }, { commits(FINISHED), true }, { DELETE, true },
    })
  end)

  it("commits the finished part of a batch that it is left in, and lets the rest come again", function()
    runs("messages", loop(), join({ { DELETE, true }, { acks "none", batch("b-1", at(0, 1, 2)) }, { "> t/0/0" },
      { "> t/0/1" }, { commits(position(1)), true } }, END), 2)
  end)

  it("commits in the middle of a batch after a third of the session, and the rest with the next poll", function()
    local function in_session(line) return (line:gsub(",timeout", ",session_timeout=3000,timeout")) end
    runs("messages", loop { session_timeout = 3000 }, join({ { DELETE, true },
      { in_session(acks "none"), batch("b-1", at(0, 1)) }, { "> t/0/0", 1000 }, { commits(position(1)), true },
      { "> t/0/1" }, { in_session(acks("b-1", FINISHED)), batch("b-2", at(2)) }, { "> t/0/2" } }, END), 3)
  end)

  it("does not repeat with the next poll what loop:commit has committed", function()
    script.answers = { true, batch("b-1", at(0, 1)), true, batch("b-2", at(2)), true, true }
    local client = kafka.new { url = "http://127.0.0.1:1" }
    local step, state = client:messages(loop())
    step(state)
    assert.is_true(state:commit(step(state)))
    step(state)
    assert.is_true(state:commit())
    assert.is_true(state:close())
    client:close()
    assert.same({ DELETE, acks "none", commits(FINISHED), acks "b-1", commits(position(3)), DELETE }, script.trace)
  end)

  describe("when the response of a poll is lost", function()
    for _, row in ipairs { { "cut", CUT }, { "late", LATE }, { "a 500", fails("internal", 500) },
      { "a 502", fails("unavailable", 502) }, { "a 504", fails("gateway_timeout", 504) } } do
      it("asks for it again, with the same commits: " .. row[1], function()
        runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), row[2] }, { "sleep 100" },
          { acks("b-1", FINISHED), row[2] }, { "sleep 200" }, { acks("b-1", FINISHED), batch("b-2", at(2)) },
          { "> t/0/2" }, { acks("b-2", position(3)), batch("b-3", at(3)) }, { "> t/0/3" } }, END), 4)
      end)
    end

    it("without commits, commits only the finished part of the next batch at its end", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), {} }, { acks "b-1", CUT }, { "sleep 100" },
        { acks "b-1", batch("b-2", at(2, 3)) }, { "> t/0/2" }, { "> t/0/3" }, { commits(position(3)), true } }, END), 4)
    end)

    it("asks again at once if waiting does not help, and raises the third time", function()
      local problem = runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), script.LOST },
        { acks("b-1", FINISHED), script.LOST }, { acks("b-1", FINISHED), script.LOST }, { NAMES, true },
        { DELETE, true }, { "raises connection_lost" } }))
      assert.equal("connection_lost", problem.code)
    end)

    it("before any batch, begins anew: the server may name none", function()
      runs("messages", loop(), join({ { DELETE, true }, { acks "none", CUT }, { "sleep 100" }, { DELETE, true },
        { acks "none", batch("b-1", at(0)) }, { "> t/0/0" } }, END), 1)
    end)

    it("commits what is finished if the loop ends then", function()
      runs("messages", loop { idle = 1000 }, join(BEGIN, { { acks("b-1", FINISHED), later(1000, CUT) },
        { NAMES, true }, { DELETE, true }, { "raises connection_lost" } }))
    end)

    it("commits at its end by naming the batch, so that it moves no commit of a later owner back", function()
      for _, code in ipairs { "conflict", "not_found" } do
        script.trace = {}
        runs("messages", loop { idle = 1000 }, join(BEGIN, { { acks("b-1", FINISHED), later(500, CUT) },
          { "sleep 100" }, { asks("b-1", 400, nil, FINISHED), later(400, AWAY) },
          { NAMES, fails(code) }, { COMMITTED, at(-1) }, { asks("none", 0, 1, FINISHED), {} }, { DELETE, true },
          { "raises unavailable" } }))
      end
      script.trace = {}
      runs("messages", loop { idle = 1000 }, join(BEGIN, { { acks("b-1", FINISHED), UNKNOWN },
        { acks("none", FINISHED), later(1000, CUT) }, { COMMITTED, at(2) }, { DELETE, true },
        { "raises connection_lost" } }))
      script.trace = {}
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), CUT }, { "sleep 100" },
        { acks("b-1", FINISHED), batch("b-2", at(2, 3)) }, { "> t/0/2" }, { "> t/0/3" },
        { commits(position(3)), true } }, END), 4)
    end)
  end)

  for _, failure in ipairs { AWAY, fails("too_many", 429), fails "connect_failed" } do
    local code = select(2, failure())
    it("retries a poll that was not executed, with its commits: " .. code, function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), failure }, { "sleep 100" },
        { acks("b-1", FINISHED), batch("b-2", at(2)) }, { "> t/0/2" } }, END), 3)
    end)
  end

  describe("that has forgotten the batch", function()
    it("says so at once that it holds none, with the same commits", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), UNKNOWN },
        { acks("none", FINISHED), batch("c-1", at(2)) }, { "> t/0/2" }, { acks("c-1", position(3)), {} },
        { acks "c-1", batch("c-2", at(3)) }, { "> t/0/3" } }, END), 4)
    end)

    it("keeps the commits until they are done", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), UNKNOWN }, { acks("none", FINISHED), CUT },
        { "sleep 100" }, { acks("none", FINISHED), AWAY }, { "sleep 200" },
        { acks("none", FINISHED), batch("c-1", at(2)) }, { "> t/0/2" } }, END), 3)
    end)

    it("raises if it does not even know that the loop holds none", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), UNKNOWN }, { acks("none", FINISHED), UNKNOWN },
        { commits(FINISHED), true }, { DELETE, true }, { "raises conflict" } }))
    end)

    it("does not get finished messages twice, but those that only have their offsets", function()
      local first = { message(0, "a"), message(1, "b"), message(2, "c"), message(3, "d"), message(4, "e") }
      local again = { message(0, "a"), message(1, "B"), message(2, "c", { key = "k" }),
        message(3, "d", { timestamp = 2 }), message(4, "e", { partition = 1 }), message(4, "e"), message(5, "f") }
      local lines = { { DELETE, true }, { acks "none", batch("b-1", first) } }
      for offset = 0, 4 do lines[#lines + 1] = { "> t/0/" .. offset } end
      runs("messages", loop(), join(lines, { { acks("b-1", position(5)), UNKNOWN },
        { acks("none", position(5)), batch("c-1", again) }, { "> t/0/1" }, { "> t/0/2" }, { "> t/0/3" }, { "> t/1/4" },
        { "> t/0/5" }, { acks("c-1", position(6), position(5, 1)), batch("c-2", { message(5, "f") }) },
        { "> t/0/5" } }, END), 11)
    end)

    it("in the middle of one gets its finished part, and sends the rest again", function()
      local function in_session(line) return (line:gsub(",timeout", ",session_timeout=3000,timeout")) end
      runs("messages", loop { session_timeout = 3000 }, join({ { DELETE, true },
        { in_session(acks "none"), batch("b-1", at(0, 1)) }, { "> t/0/0", 1000 }, { commits(position(1)), GONE },
        { in_session(acks("none", position(1))), batch("c-1", at(1)) }, { "> t/0/1" } }, END), 2)
    end)

    it("at the end of the loop gets the commit with a poll that makes the instance again", function()
      for _, answer in ipairs { batch("c-1", at(2)), {}, LARGE, BROKEN } do
        script.trace = {}
        runs("messages", loop { limit = 1 }, {
          { DELETE, true }, { asks("none", 1000, 1), batch("b-1", at(0)) }, { "> t/0/0" },
          { commits(position(1)), GONE }, { COMMITTED, at(-1) }, { asks("none", 0, 1, position(1)), answer },
          { DELETE, true },
        })
        script.trace = {}
        runs("messages", loop(), join({ { DELETE, true }, { acks "none", batch("b-1", at(0, 1)) }, { "> t/0/0" },
          { "> t/0/1" }, { commits(position(1)), GONE }, { COMMITTED, at(0) },
          { asks("none", 0, 1, position(1)), answer } }, END), 2)
      end
    end)

    it("at the end of the loop gets only the commits that the group does not have", function()
      runs("messages", loop { limit = 2 }, {
        { DELETE, true }, { asks("none", 1000, 2), batch("b-1", join(of(0, 3), of(1, 8))) }, { "> t/0/3" },
        { "> t/1/8" }, { commits(position(9, 1), position(4)), GONE },
        { "committed g i {{partition=1,topic=t},{partition=0,topic=t}}", join(of(1, 9), of(0, 3)) },
        { asks("none", 0, 1, position(4)), {} }, { DELETE, true },
      })
    end)

    it("creates no topic again that is gone, and no instance for what is committed", function()
      for _, answer in ipairs { GONE, at(1) } do
        script.trace = {}
        runs("messages", loop { limit = 1 }, {
          { DELETE, true }, { asks("none", 1000, 1), batch("b-1", at(0)) }, { "> t/0/0" },
          { commits(position(1)), GONE }, { COMMITTED, answer }, { DELETE, true },
        })
      end
      script.trace = {}
      runs("messages", loop(), { { DELETE, true }, { acks "none", batch("b-1", at(0, 1)) }, { "> t/0/0" },
        { "> t/0/1" }, { commits(position(1)), GONE }, { COMMITTED, GONE }, { DELETE, true },
        { "closed nil not_found" } }, 2)
    end)

    it("at the end of the loop waits for a failure that may pass, unless the loop is left", function()
      runs("messages", loop { limit = 1 }, {
        { DELETE, true }, { asks("none", 1000, 1), batch("b-1", at(0)) }, { "> t/0/0" },
        { commits(position(1)), GONE }, { COMMITTED, AWAY }, { "sleep 100" }, { COMMITTED, at(-1) },
        { asks("none", 0, 1, position(1)), CUT }, { "sleep 100" }, { asks("none", 0, 1, position(1)), {} },
        { DELETE, true },
      })
      script.trace = {}
      runs("messages", loop(), { { DELETE, true }, { acks "none", batch("b-1", at(0, 1)) }, { "> t/0/0" },
        { "> t/0/1" }, { commits(position(1)), GONE }, { COMMITTED, at(-1) },
        { asks("none", 0, 1, position(1)), AWAY }, { DELETE, true },
        { "closed nil unavailable" } }, 2)
    end)
  end)

  it("asks again for a response that repeats the batch before it", function()
    runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), batch("b-1", at(0, 1)) }, { "sleep 100" },
      { acks("b-1", FINISHED), batch("b-2", at(2)) }, { "> t/0/2" } }, END), 3)
    script.trace = {}
    runs("messages", loop { idle = 1000 }, join(BEGIN, { { acks("b-1", FINISHED), later(1000, batch("b-1", {})) },
      { NAMES, true }, { DELETE, true }, { "raises the response repeats the batch before it" } }))
  end)

  describe("whose response cannot be read", function()
    it("gets a new instance, and smaller batches, with the same commits", function()
      for _, unreadable in ipairs { LARGE, BROKEN, fails("integer_range", 200) } do
        script.trace = {}
        runs("messages", loop { max_messages = 8 }, join({ { DELETE, true }, { asks("none", 1000, 8),
          batch("b-1", at(0, 1)) }, { "> t/0/0" }, { "> t/0/1" }, { asks("b-1", 1000, 8, FINISHED), unreadable },
          { DELETE, true }, { asks("none", 1000, 4, FINISHED), batch("b-3", at(2)) }, { "> t/0/2" },
          { asks("b-3", 1000, 4, position(3)), batch("b-4", at(3)) }, { "> t/0/3" } }, END), 4)
      end
    end)
  end)

  describe("with commits that the server skips", function()
    local function on_skip(partitions)
      local texts = {}
      for index, entry in ipairs(partitions) do texts[index] = ("%s %d"):format(entry.topic, entry.partition) end
      for _, entry in ipairs(partitions) do assert.equal("number", type(entry.partition)) end
      note("skipped " .. table.concat(texts, ", "))
    end

    it("forgets and reports them", function()
      runs("messages", loop { on_skip = on_skip }, join(BEGIN, { { acks("b-1", FINISHED), UNKNOWN },
        { acks("none", FINISHED), batch("c-1", at(9), "t-0, a-b.c_1-23, ...") }, { "skipped t 0, a-b.c_1 23" },
        { "> t/0/9" }, { acks("c-1", position(10)), batch("c-2", at(10)) }, { "> t/0/10" } }, END), 4)
    end)

    it("forgets and reports them when no messages come, too", function()
      runs("messages", loop { on_skip = on_skip }, join(BEGIN, { { acks("b-1", FINISHED), UNKNOWN },
        { acks("none", FINISHED), batch(nil, {}, "t-0") }, { "skipped t 0" }, { acks "none", batch("c-1", at(9)) },
        { "> t/0/9" } }, END), 3)
    end)

    it("forgets them in silence without on_skip", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), batch(nil, {}, "t-0") },
        { acks "b-1", batch("b-2", at(3)) }, { "> t/0/3" } }, END), 3)
    end)

    it("reports them at its end, too", function()
      runs("messages", loop { on_skip = on_skip, limit = 1 }, {
        { DELETE, true }, { asks("none", 1000, 1), batch("b-1", at(0)) }, { "> t/0/0" }, { commits(position(1)), GONE },
        { COMMITTED, at(-1) }, { asks("none", 0, 1, position(1)), batch(nil, {}, "t-0") }, { "skipped t 0" },
        { DELETE, true },
      })
    end)

    it("ends if on_skip raises", function()
      local enough = setmetatable({}, { __tostring = function() return "enough" end })
      runs("messages", loop { on_skip = function() error(enough) end }, join(BEGIN,
        { { acks("b-1", FINISHED), batch(nil, {}, "t-0") }, { DELETE, true }, { "raises enough" } }))
    end)

    it("takes a function only", function()
      local client = kafka.new { url = "http://127.0.0.1:1" }
      assert.error_matches(function() client:messages(loop { on_skip = 1 }) end, "on_skip: function expected, got 1")
      client:close()
    end)
  end)

  describe("that is replaced by one that names none", function()
    it("commits with a request, as soon as the server refuses the field", function()
      for _, refusal in ipairs { fails("bad_request", 400, { retriable = false }), GONE } do
        script.trace = {}
        runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), refusal }, { commits(FINISHED), true },
          { acks "none", at(2) }, { "> t/0/2" }, { commits(position(3)), true },
          { (acks "none"):gsub("ack=none,", ""), at(3) }, { "> t/0/3" } }, END), 4)
      end
    end)

    it("commits through a new instance if the old one is gone", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), fails("bad_request", 400) },
        { commits(FINISHED), GONE }, { "committed g i {{partition=0,topic=t}}", of(0, -1) },
        { asks("none", 0, 1), {} }, { "commit g i " .. FINISHED, true }, { DELETE, true },
        { acks "none", at(2) }, { "> t/0/2" } }, END), 3)
    end)

    it("commits with a request if the response names no batch", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), at(2) }, { commits(FINISHED), true },
        { "> t/0/2" }, { commits(position(3)), true }, { (acks "none"):gsub("ack=none,", ""), at(3) },
        { "> t/0/3" } }, END), 4)
    end)

    it("drops the messages of such a response if its instance is gone before the commit", function()
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), at(2) }, { commits(FINISHED), GONE },
        { "committed g i {{partition=0,topic=t}}", at(2) }, { DELETE, true },
        { (acks "none"):gsub("ack=none,", ""), at(2) }, { "> t/0/2" } }, END), 3)
    end)

    it("raises what has nothing to do with the commits", function()
      local refusal = fails("bad_request", 400, { retriable = false })
      runs("messages", loop(), join(BEGIN, { { acks("b-1", FINISHED), refusal }, { commits(FINISHED), true },
        { acks "none", refusal }, { DELETE, true }, { "raises bad_request" } }))
    end)
  end)

  it("is noticed when it replaces one that names none", function()
    runs("messages", loop(), join({ { DELETE, true }, { acks "none", at(0) }, { "> t/0/0" },
      { commits(position(1)), true }, { (acks "none"):gsub("ack=none,", ""), {} },
      { (acks "none"):gsub("ack=none,", ""), batch("b-1", at(1)) }, { "> t/0/1" },
      { acks("b-1", FINISHED), batch("b-2", at(2)) }, { "> t/0/2" } }, END), 3)
  end)

  it("keeps a batch outstanding while the starting point of the group is committed", function()
    local options = loop()
    options.from = nil
    local function latest(line) return (line:gsub("earliest", "latest")) end
    runs("messages", options, join({ { "topics", { t = 1 } }, { "offsets latest {{partition=0,topic=t}}", at(0) },
      { DELETE, true }, { latest(acks "none"), batch("b-1", at(0)) },
      { "consumers", { { name = "g",
        instances = { { name = "i", topics = { { topic = "t", partitions = { 0 } } } } } } } },
      { "committed g i {{partition=0,topic=t}}", of(0, -1) }, { commits(position(0)), true }, { "> t/0/0" },
      { latest(acks("b-1", position(1))), batch("b-2", at(1)) }, { "> t/0/1" } }, END), 2)
  end)
end)
