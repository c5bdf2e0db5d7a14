-- Each command, run in this process: its calls of the client or the server, what it writes, and
-- its exit status. The functions that use the network are replaced. For the command as a program
-- see command_spec.lua.

local command = require "upstash.kafka.command"
local command_line = require "upstash.kafka.command.line"
local core = require "upstash.kafka.core"
local format = require "upstash.kafka.command.format"

local unpack = table.unpack or unpack -- luacheck: compat

local URL = "http://127.0.0.1:1"

-- A value on one line, with its keys sorted.
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

-- A file that keeps what is written to it. `broken` is after how many writes and flushes they fail;
-- "once" means that only the first write fails.
local function sink(broken)
  local file = { text = "", left = tonumber(broken) or math.huge, flushes = 0 }
  function file:write(...)
    if broken == "once" then
      broken = nil
      return nil, "broken"
    end
    if self.left <= 0 then return nil, "broken" end
    self.left = self.left - 1
    self.text = self.text .. table.concat { ... }
    return self
  end
  function file:flush()
    if self.left <= 0 then return nil, "broken" end
    self.flushes = self.flushes + 1
    return self
  end
  return file
end

-- Runs a command line. Options: `answers`, { method = list of answers, each a value or a function
-- of the arguments }; `environment`; `lines` of standard input, or `reads`, what each read of it
-- returns: a text, or a number of milliseconds that pass without one, or, with a signal that
-- arrives meanwhile, { signal =, text = }, { signal =, ended = true } or { signal =, message = };
-- `unwatchable`: signals cannot be watched; `broken`, as above, for standard output; `watched`:
-- standard error is a terminal, and each look at the wall clock finds it two seconds later. Returns
-- what the command did.
local function run(words, options)
  options = options or {}
  local did = { calls = {}, out = sink(options.broken), err = sink() }
  local environment = options.environment or { UPSTASH_KAFKA_REST_URL = URL }
  local saved = { stdout = io.stdout, stderr = io.stderr, read_input = core.read_input, getenv = os.getenv,
    time = os.time, execute = os.execute, now = core.now, watch_signals = core.watch_signals }
  local methods, at = {}, 0
  for name, list in pairs(options.answers or {}) do
    local number = 0
    methods[name] = core.methods[name]
    core.methods[name] = function(_, ...)
      local line = { name }
      for index = 1, select("#", ...) do line[index + 1] = show((select(index, ...))) end
      did.calls[#did.calls + 1] = table.concat(line, " ")
      number = number + 1
      local answer = list[number]
      if type(answer) == "function" then return answer(...) end
      return answer
    end
  end
  rawset(io, "stdout", did.out)
  rawset(io, "stderr", did.err)
  local clock = 0
  local text = table.concat(options.lines or {}, "\n")
  local reads = options.reads or { #(options.lines or {}) > 0 and text .. "\n" }
  did.waits = {}
  local watch = { closed = 0 }
  did.watch = watch
  function watch.arrived(self) return self.signal end
  function watch.close(self) self.closed = self.closed + 1 end
  function core.watch_signals(names)
    if options.unwatchable then return nil, "no descriptors left" end
    did.signals = table.concat(names, " ")
    return words[1] == "produce" and watch or saved.watch_signals(names)
  end
  function core.read_input(milliseconds, signals)
    at = at + 1
    did.waits[at] = milliseconds
    assert.equal(watch, signals)
    local read = reads[at]
    if type(read) == "table" then
      watch.signal = read.signal
      if read.ended or read.message then return nil, read.message end
      return read.text or ""
    end
    if type(read) ~= "number" then return read or nil end
    clock = clock + read
    return ""
  end
  rawset(os, "getenv", function(name) return environment[name] end)
  function core.now() return clock end
  if options.watched then
    local now = 0
    rawset(os, "time", function()
      now = now + 2
      return now
    end)
    rawset(os, "execute", function(line)
      did.asked = line
      return true
    end)
  end
  local fine, status = pcall(command.main, words)
  core.now = saved.now
  core.watch_signals = saved.watch_signals
  rawset(os, "time", saved.time)
  rawset(os, "execute", saved.execute)
  for name in pairs(options.answers or {}) do core.methods[name] = methods[name] end
  rawset(io, "stdout", saved.stdout)
  rawset(io, "stderr", saved.stderr)
  core.read_input = saved.read_input
  rawset(os, "getenv", saved.getenv)
  assert.is_true(fine, status)
  did.status, did.out_text, did.err_text = status, did.out.text, did.err.text
  return did
end

local function fails(message)
  return function() return nil, message, { error = message, code = "bad_request", retriable = false } end
end

local METADATA = { topic = "t", partition = 2, offset = 7, timestamp = 1700000000123 }

local function message(offset, more)
  local all = { topic = "t", partition = 0, offset = offset, timestamp = 1, key = "", value = "v" .. offset,
    headers = {} }
  for key, value in pairs(more or {}) do all[key] = value end
  return all
end

describe("the command", function()
  it("prints its usage in each way to request it", function()
    for _, word in ipairs { "--help", "-h", "help" } do
      local did = run { word }
      assert.same({ 0, "" }, { did.status, did.err_text })
      assert.truthy(did.out_text:find("usage: upstash-kafka COMMAND", 1, true))
      assert.equal(1, did.out.flushes)
    end
  end)

  it("prints its version", function()
    assert.equal("upstash-kafka " .. core._VERSION .. "\n", run({ "--version" }).out_text)
  end)

  it("prints the client's version if the server is missing", function()
    local loaded = package.loaded["upstash.kafka.server"]
    package.loaded["upstash.kafka.server"] = nil
    package.preload["upstash.kafka.server"] = function() error("none here", 0) end
    local did = run { "--version" }
    package.preload["upstash.kafka.server"] = nil
    package.loaded["upstash.kafka.server"] = loaded
    assert.same({ 0, "upstash-kafka " .. core._VERSION .. "\n" }, { did.status, did.out_text })
  end)

  it("prints no version if both are missing", function()
    local saved = {}
    for _, name in ipairs { "upstash.kafka.server", "upstash.kafka.core" } do
      saved[name] = package.loaded[name]
      package.loaded[name] = nil
      package.preload[name] = function() error("none here", 0) end
    end
    local did = run { "--version" }
    for name, module in pairs(saved) do
      package.preload[name] = nil
      package.loaded[name] = module
    end
    assert.same({ 1, "", "upstash-kafka: neither upstash.kafka.server nor upstash.kafka.core can be loaded\n" },
      { did.status, did.out_text, did.err_text })
  end)

  it("refuses a missing and an unknown command", function()
    for text, words in pairs { ["no command given; see upstash-kafka --help"] = {},
      ["unknown command 'x'; see upstash-kafka --help"] = { "x" },
      ["unknown command '-v'; see upstash-kafka --help"] = { "-v" },
    } do
      local did = run(words)
      assert.same({ 2, "", "upstash-kafka: " .. text .. "\n" }, { did.status, did.out_text, did.err_text })
    end
  end)

  it("ends quietly after an interrupt", function()
    local did = run({ "topics" }, { answers = { topics = { function() error "interrupted!" end } } })
    assert.same({ 130, "", "" }, { did.status, did.out_text, did.err_text })
  end)

  it("has the options of docs/command.md, with the same values", function()
    local page = assert(io.open "docs/command.md")
    local text, shown = page:read("*a"):gsub("\\|", "|"), {}
    page:close()
    for _, words in ipairs { "serve", "check", "credentials add", "credentials remove", "produce", "consume", "fetch",
      "topics", "topics create", "topics delete", "groups", "offsets" } do
      local all = {}
      for word in words:gmatch "%S+" do all[#all + 1] = word end
      all[#all + 1] = "--help"
      for usage in run(all).out.text:gmatch "\n  (%-%-%S+ ?%S*)%s%s+%S" do
        usage = usage:gsub("%s+$", "")
        shown[usage] = true
        assert.truthy(text:find("`" .. usage .. "`", 1, true), words .. " " .. usage)
      end
    end
    for line in text:gmatch "\n| (`%-%-[^\n]*)" do
      for usage in line:match("^(.-`) |"):gmatch "`(%-%-[^`]*)`" do assert.truthy(shown[usage], usage) end
    end
  end)

  it("prints the help of a command, and runs nothing", function()
    for _, words in ipairs { { "topics", "--help" }, { "topics", "-h" }, { "topics", "create", "--help" },
      { "consume", "--group", "g", "-h" } } do
      local did = run(words)
      assert.equal(0, did.status)
      assert.equal("usage: upstash-kafka " .. table.concat(words, " "):match "^[a-z ]*[a-z]" .. " ",
        did.out_text:match "^usage: upstash%-kafka [a-z ]* ")
      assert.same({}, did.calls)
    end
  end)

  it("fails if standard output fails, also at the end", function()
    local did = run({ "--help" }, { broken = 0 })
    assert.same({ 1, "upstash-kafka: standard output: broken\n" }, { did.status, did.err_text })
    did = run({ "--help" }, { broken = 1 })
    assert.same({ 1, "upstash-kafka: standard output: broken\n" }, { did.status, did.err_text })
  end)

  it("accepts the client's options in each client command", function()
    for _, words in ipairs { { "topics" }, { "groups" } } do
      for _, word in ipairs { "--url", "http://127.0.0.1:2", "--username=u", "--password", "p", "--ca-file", "none" } do
        words[#words + 1] = word
      end
      local given
      local kafka = require "upstash.kafka"
      local new = kafka.new
      function kafka.new(options)
        given = options
        return new { url = URL }
      end
      local did = run(words, { answers = { topics = { {} }, consumers = { {} } }, environment = {} })
      kafka.new = new
      assert.equal(0, did.status, did.err_text)
      assert.same({ url = "http://127.0.0.1:2", username = "u", password = "p", ca_file = "none" }, given)
    end
  end)

  it("D5: names the option or the variable that is wrong", function()
    local SCHEME = "http:// or https:// and a host expected"
    for _, row in ipairs {
      { { "--url", "localhost:18090" }, {}, "--url: " .. SCHEME .. "; did you mean http://localhost:18090?" },
      { {}, { UPSTASH_KAFKA_REST_URL = "localhost:18090" },
        "$UPSTASH_KAFKA_REST_URL: " .. SCHEME .. "; did you mean http://localhost:18090?" },
      { { "--url", "ftp://x" }, {}, "--url: " .. SCHEME },
      { { "--url", URL, "--username", "a:b", "--password", "p" }, {}, "--username: must not contain ':'" },
      { { "--url", URL, "--username", "a" }, { UPSTASH_KAFKA_REST_PASSWORD = "p" },
        "--password: missing; UPSTASH_KAFKA_REST_PASSWORD goes only with UPSTASH_KAFKA_REST_URL" },
      { { "--username", "a" }, { UPSTASH_KAFKA_REST_URL = URL, UPSTASH_KAFKA_REST_PASSWORD = ("p"):rep(5000) },
        "$UPSTASH_KAFKA_REST_PASSWORD: too long" },
    } do
      local words = { "topics" }
      for _, word in ipairs(row[1]) do words[#words + 1] = word end
      local did = run(words, { environment = row[2] })
      assert.same({ 2, "upstash-kafka: " .. row[3] .. "\n" }, { did.status, did.err_text })
    end
  end)

  it("D5: says what is wrong with an argument in the words of the command", function()
    local did = run { "produce", "", "x" }
    assert.same({ 2, "upstash-kafka: topic: non-empty string expected\n" }, { did.status, did.err_text })
  end)

  it("fails after a failed write, even if later ones succeed", function()
    for words, answers in pairs { [{ "topics" }] = { topics = { { t = 1 } } },
      [{ "topics", "delete", "t" }] = { delete_topic = { true } },
      [{ "produce", "t", "x" }] = { produce = { METADATA } },
      [{ "fetch", "t", "--partition", "0", "--offset", "0" }] = { offsets = { { { offset = 1 } } },
        fetch = { { message(0) } } } } do
      local did = run(words, { answers = answers, broken = "once" })
      assert.same({ 1, "upstash-kafka: standard output: broken\n" }, { did.status, did.err_text })
    end
  end)

  it("says what to install if the client is missing", function()
    local loaded = package.loaded["upstash.kafka"]
    package.loaded["upstash.kafka"] = nil
    package.preload["upstash.kafka"] = function() error("none here", 0) end
    local did = run { "topics" }
    package.preload["upstash.kafka"] = nil
    package.loaded["upstash.kafka"] = loaded
    assert.equal(1, did.status)
    assert.truthy(did.err_text:find("(luarocks install upstash-kafka): none here", 1, true), did.err_text)
  end)

  it("refuses one word too many, one too few, and numbers below the minimum", function()
    for text, list in pairs {
      ["too many arguments"] = { { "topics", "x" }, { "topics", "list", "x" }, { "topics", "create", "t", "x" },
        { "topics", "delete", "t", "x" }, { "groups", "x" }, { "offsets", "t", "x" }, { "produce", "t", "x", "y" },
        { "fetch", "t", "u", "--partition", "0", "--offset", "0" }, { "serve", "x" } },
      ["too few arguments"] = { { "topics", "create" }, { "topics", "delete" }, { "offsets" }, { "produce" },
        { "fetch", "--partition", "0", "--offset", "0" }, { "consume", "--group", "g" } },
      ["of 1 or more expected, got '0'"] = { { "topics", "create", "t", "--partitions", "0" },
        { "topics", "create", "t", "--retention-ms", "0" }, { "topics", "create", "t", "--retention-bytes", "0" },
        { "produce", "t", "--batch", "0" }, { "consume", "t", "--group", "g", "--count", "0" },
        { "fetch", "t", "--partition", "0", "--offset", "0", "--count", "0" } },
      ["at most 10000 expected, got 10001"] = { { "produce", "t", "--batch", "10001" } },
      ["--partition is missing"] = { { "fetch", "t", "--offset", "0" } },
      ["--offset is missing"] = { { "fetch", "t", "--partition", "0" } },
      ["--group is missing"] = { { "consume", "t" } },
    } do
      for _, words in ipairs(list) do
        local did = run(words)
        assert.same({ 2, "" }, { did.status, did.out_text })
        assert.truthy(did.err_text:find(text, 1, true), table.concat(words, " ") .. ": " .. did.err_text)
      end
    end
  end)

  it("shows progress on a terminal: for produced lines, and for consumed messages unless they are printed there",
    function()
      local did = run({ "produce", "t", "--batch", "2" }, { lines = { "1", "2", "3" }, watched = true,
        answers = { produce_many = { {}, {} } } })
      assert.same({ "\rproduced 2 messages\rproduced 3 messages\nupstash-kafka: produced 3 messages to t\n",
        "test -t 2" }, { did.err_text, did.asked })
      did = run({ "fetch", "t", "--partition", "0", "--offset", "0" }, { watched = true, answers = {
        offsets = { { { offset = 2 } } }, fetch = { { message(0), message(1) } } } })
      assert.same({ "\rprinted 1 message\rprinted 2 messages\n", "test -t 2 && ! test -t 1" },
        { did.err_text, did.asked })
      did = run({ "consume", "t", "--group", "g", "--from", "earliest", "--count", "2" }, { watched = true, answers = {
        topics = { {} }, delete_consumer = { true, true }, consume = { { message(0), message(1) } },
        commit = { true } } })
      assert.same({ "\rprinted 2 messages\n", "test -t 2 && ! test -t 1" }, { did.err_text, did.asked })
    end)

  it("asks for a server if neither the options nor the environment name one", function()
    for _, environment in ipairs { {}, { UPSTASH_KAFKA_REST_URL = "" } } do
      local did = run({ "topics" }, { environment = environment })
      assert.same({ 2, "" }, { did.status, did.out_text })
      assert.truthy(did.err_text:find("--url", 1, true), did.err_text)
    end
  end)
end)

describe("produce", function()
  it("passes on the given options and no others", function()
    local did = run({ "produce", "t", "text", "--key", "", "--header=a=1", "--header", "b==", "--partition", "0" },
      { answers = { produce = { METADATA } } })
    assert.same({ "produce t text {headers={{key=a,value=1},{key=b,value==}},key=,partition=0}" }, did.calls)
    assert.equal("topic=t partition=2 offset=7 timestamp=1700000000123\n", did.out_text)
    did = run({ "produce", "t", "--", "-x" }, { answers = { produce = { METADATA } } })
    assert.same({ "produce t -x {}" }, did.calls)
  end)

  it("says why a message was not produced", function()
    local did = run({ "produce", "t", "x" }, { answers = { produce = { fails "no such topic" } } })
    assert.same({ 1, "", "upstash-kafka: no such topic\n" }, { did.status, did.out_text, did.err_text })
  end)

  -- Returns the sizes of the batches that the lines are sent in.
  local function sizes(lines, ...)
    local list = {}
    local answers = {}
    for number = 1, 50 do
      answers[number] = function(_, messages)
        list[#list + 1] = #messages
        return {}
      end
    end
    local did = run({ "produce", "t", ... }, { lines = lines, answers = { produce_many = answers } })
    assert.equal(0, did.status, did.err_text)
    return list, did
  end

  local function lines_of(count, bytes)
    local lines = {}
    for number = 1, count do lines[number] = ("x"):rep(bytes) end
    return lines
  end

  it("sends lines in batches of 1000 by default", function()
    assert.same({ 2, 2, 1 }, (sizes({ "1", "2", "3", "4", "5" }, "--batch", "2")))
    assert.same({ 2 }, (sizes({ "1", "2" }, "--batch", "2")))
    assert.same({ 1000, 1 }, (sizes(lines_of(1001, 1))))
    assert.same({ 10000 }, (sizes(lines_of(10000, 1), "--batch", "10000")))
  end)

  it("sends lines in batches of a MiB, exceeded by at most one line", function()
    assert.same({ 1, 1 }, (sizes { ("x"):rep(1048576), "y" }))
    assert.same({ 2, 1 }, (sizes { ("x"):rep(1048575), ("y"):rep(5), "z" }))
    assert.same({ 4, 2 }, (sizes(lines_of(6, 262144))))
  end)

  it("sends each line with the key, the headers and the partition", function()
    local did = run({ "produce", "t", "--key", "k", "--header", "a=1", "--partition", "3" }, { lines = { "x", "" },
      answers = { produce_many = { {} } } })
    local one = "{headers={{key=a,value=1}},key=k,partition=3,value=%s}"
    assert.same({ "produce_many t {" .. one:format "x" .. "," .. one:format "" .. "}" }, did.calls)
  end)

  local function values_of(messages)
    local values = {}
    for index, each in ipairs(messages) do values[index] = each.value end
    return table.concat(values, ",")
  end

  -- Returns the batches, as texts, that are sent when the input arrives so.
  local function batches(reads)
    local list, answers = {}, {}
    for number = 1, #reads do
      answers[number] = function(_, messages)
        list[#list + 1] = values_of(messages)
        return {}
      end
    end
    local did = run({ "produce", "t" }, { reads = reads, answers = { produce_many = answers } })
    assert.equal(0, did.status, did.err_text)
    return list, did
  end

  it("D4: lets a line wait for others for 100 ms at most", function()
    local list, did = batches { "a\n", 60, "b\n", 41, 5000, "c\n" }
    assert.same({ "a,b", "c" }, list)
    assert.same({ -1, 100, 40, 40, -1, -1, 100 }, did.waits)
  end)

  it("D4: takes a line that is there when the time of the first one is up", function()
    local list, did = batches { "a\n", 100, "b\n" }
    assert.same({ "a,b" }, list)
    assert.same({ -1, 100, 0, 0 }, did.waits)
    list = batches { "a\n", 101, "b\n" }
    assert.same({ "a", "b" }, list)
  end)

  it("D3: reads nothing after the end of the input", function()
    local list, did = batches { "a\nb" }
    assert.same({ "a,b" }, list)
    assert.same({ -1, 100 }, did.waits)
    list, did = batches {}
    assert.same({}, list)
    assert.same({ -1 }, did.waits)
  end)

  it("puts lines together that arrive in pieces", function()
    assert.same({ "abcd,,e" }, (batches { "a", "bc", "d\n\n", "e" }))
    assert.same({ "" }, (batches { "\n" }))
  end)

  it("refuses a line that is longer than a request", function()
    local piece = ("x"):rep(64 * 1024 * 1024)
    local reads = { piece, piece, piece, piece, "x" }
    local did = run({ "produce", "t" }, { answers = { produce_many = {} }, reads = reads })
    assert.same({ 1, "upstash-kafka: standard input: a line is longer than 268,435,456 bytes\n", {} },
      { did.status, did.err_text, did.calls })
    assert.equal(5, #did.waits)
  end)

  it("fails if standard input cannot be read", function()
    local read_input = core.read_input
    local reads = setmetatable({}, { __index = function()
      function core.read_input() return nil, "standard input: Is a directory" end
      return 1
    end })
    local did = run({ "produce", "t" }, { answers = { produce_many = {} }, reads = reads })
    core.read_input = read_input
    assert.same({ 1, "upstash-kafka: standard input: Is a directory\n" }, { did.status, did.err_text })
  end)

  it("D1: delivers what it has read when a signal arrives, and reads no more", function()
    for name, status in pairs { TERM = 0, HUP = 0, INT = 130 } do
      local list, answers = {}, {}
      for number = 1, 3 do
        answers[number] = function(_, messages)
          list[#list + 1] = values_of(messages)
          return {}
        end
      end
      local did = run({ "produce", "t", "--batch", "2" }, { reads = { "a\nb\nc\nd", { signal = name, text = "e\nf" } },
        answers = { produce_many = answers } })
      assert.same({ "a,b", "c,de" }, list)
      assert.same({ status, "", ("upstash-kafka: stopped by SIG%s; produced 4 messages to t; "):format(name)
        .. "the last line had not ended and was not produced\n" }, { did.status, did.out_text, did.err_text })
      assert.same({ -1, 100 }, did.waits)
      assert.same({ "INT TERM HUP", 1 }, { did.signals, did.watch.closed })
    end
  end)

  it("D1: counts a line that the signal did not cut", function()
    local did = run({ "produce", "t" }, { reads = { "a\n", { signal = "TERM" } }, answers = { produce_many = { {} } } })
    assert.same({ 0, "upstash-kafka: stopped by SIGTERM; produced 1 message to t\n" }, { did.status, did.err_text })
    did = run({ "produce", "t" }, { reads = { { signal = "TERM" } } })
    assert.same({ 0, "upstash-kafka: stopped by SIGTERM; produced 0 messages to t\n" }, { did.status, did.err_text })
    did = run({ "produce", "t" }, { reads = { "a\nb", { signal = "TERM", ended = true } },
      answers = { produce_many = { function(_, messages) return messages[2].value == "b" and {} or nil end } } })
    assert.same({ 0, "upstash-kafka: stopped by SIGTERM; produced 2 messages to t\n" }, { did.status, did.err_text })
    did = run({ "produce", "t" }, { reads = { "a", { signal = "HUP", message = "standard input: is gone" } } })
    assert.same({ 0, "upstash-kafka: stopped by SIGHUP; produced 0 messages to t; the last line had not ended and was "
      .. "not produced\n" }, { did.status, did.err_text })
  end)

  it("D1: gives the signals back if it fails, and fails if it cannot watch them", function()
    local did = run({ "produce", "t" }, { lines = { "a" }, answers = { produce_many = { fails "no" } } })
    assert.same({ 1, 1 }, { did.status, did.watch.closed })
    did = run({ "produce", "t" }, { lines = { "a" }, unwatchable = true })
    assert.same({ 1, "upstash-kafka: no descriptors left\n" }, { did.status, did.err_text })
  end)

  it("D12: takes what consume and fetch print", function()
    local function printed(...) return (format.formats.json(message(...)):gsub("\n$", "")) end
    local lines = {
      printed(5, { key = "k", headers = { { key = "a", value = "1" } } }),
      printed(6, { timestamp = 1700000000123 }),
      '{"topic":"t","value":null}',
    }
    local did = run({ "produce", "other", "--format", "json" }, { lines = lines, answers = { produce_many = { {} } } })
    assert.equal(0, did.status, did.err_text)
    assert.same({ "produce_many other {{headers={{key=a,value=1}},key=k,timestamp=1,value=v5},"
      .. "{headers={},timestamp=1700000000123,value=v6},{value=" .. show(core.null) .. "}}" }, did.calls)
    did = run({ "produce", "other", "--format", "json", "--key", "mine", "--header", "b=2", "--partition", "1" },
      { lines = { lines[1] }, answers = { produce_many = { {} } } })
    assert.same({ "produce_many other {{headers={{key=b,value=2}},key=mine,partition=1,timestamp=1,value=v5}}" },
      did.calls)
  end)

  it("D12: names a line that is not what they print, after the lines before it", function()
    for line, problem in pairs { ["x"] = "at byte 0: expected a value", ["5"] = "a JSON object expected",
      ["{}"] = "value is missing", ['{"value":"v","ofset":1}'] = 'unknown field "ofset"' } do
      local did = run({ "produce", "t", "--format", "json" },
        { lines = { '{"value":"a"}', line, '{"value":"b"}' }, answers = { produce_many = { {} } } })
      assert.equal(1, did.status)
      assert.truthy(did.err_text:find("^upstash%-kafka: line 2: " .. problem), did.err_text)
      assert.truthy(did.err_text:find("; line 1 was produced\n", 1, true), did.err_text)
      assert.same({ "produce_many t {{value=a}}" }, did.calls)
    end
  end)

  it("D5: names the line that is not UTF-8, and the way out", function()
    local problem = fails "message 2: value is not valid UTF-8 (binary = true sends any bytes)"
    local did = run({ "produce", "t", "--batch", "2" }, { lines = { "a", "b", "c", "d\255" },
      answers = { produce_many = { {}, problem } } })
    assert.same({ 1, "upstash-kafka: line 4: value is not valid UTF-8 (--binary sends any bytes); lines 1 to 2 were "
      .. "produced\n" }, { did.status, did.err_text })
    did = run({ "produce", "t", "d\255" }, { answers = { produce = {
      fails "message 1: value is not valid UTF-8 (binary = true sends any bytes)" } } })
    assert.same({ 1, "upstash-kafka: value is not valid UTF-8 (--binary sends any bytes)\n" },
      { did.status, did.err_text })
  end)

  it("D5: --binary sends any bytes, and --idempotent makes a client that repeats a produce", function()
    local kafka, given = require "upstash.kafka", nil
    local new = kafka.new
    function kafka.new(options)
      given = options
      return new(options)
    end
    for _, name in ipairs { "binary", "idempotent" } do
      run({ "produce", "t", "x", "--" .. name }, { answers = { produce = { METADATA } } })
      assert.is_true(given[name])
      run({ "produce", "t", "x" }, { answers = { produce = { METADATA } } })
      assert.is_nil(given[name])
    end
    kafka.new = new
  end)

  it("says how many lines it produced", function()
    for count, text in pairs { [0] = "0 messages", "1 message", "2 messages", [1234] = "1,234 messages" } do
      local _, did = sizes(lines_of(count, 1))
      assert.equal(("upstash-kafka: produced %s to t\n"):format(text), did.err_text)
      assert.equal("", did.out_text)
    end
  end)

  it("names the lines that were not produced", function()
    local did = run({ "produce", "t", "--batch", "2" }, { lines = lines_of(5, 1),
      answers = { produce_many = { {}, {}, fails "too large" } } })
    assert.equal(1, did.status)
    assert.truthy(did.err_text:find "^upstash%-kafka: lines 5 to 5 were not produced: too large; lines 1 to 4 were ",
      did.err_text)
    assert.equal(3, #did.calls)
  end)
end)

describe("consume", function()
  local DELETE = "delete_consumer g i {ack=none}"

  -- Runs consume as instance "i", with these answers to the method.
  local function consume(words, batches, options)
    local all = { "consume", "t", "--group", "g", "--instance", "i" }
    for _, word in ipairs(words) do all[#all + 1] = word end
    options = options or {}
    options.answers = { topics = { {} }, delete_consumer = { true, true, true }, consume = batches,
      commit = { true, true, true } }
    return run(all, options)
  end

  it("is a loop over batches that ends after --count", function()
    local did = consume({ "--from", "earliest", "--count", "3" }, { { message(0), message(1) }, { message(2) } })
    assert.equal(0, did.status, did.err_text)
    local ask = "consume g i t {%sauto_commit=false,auto_offset_reset=earliest,max_messages=%d,session_timeout=10000,"
      .. "timeout=1000}"
    -- This server names no batch: it gets commits of their own.
    assert.same({ "topics", DELETE,
      ask:format("ack=none,", 3), "commit g i {{offset=2,partition=0,topic=t}} {ack=none}",
      ask:format("", 1), "commit g i {{offset=3,partition=0,topic=t}} {ack=none}", DELETE }, did.calls)
    assert.equal("v0\nv1\nv2\n", did.out_text)
    assert.equal("INT TERM HUP", did.signals)
    assert.equal(3, did.out.flushes) -- of each batch, before it is committed, and at the end
  end)

  it("consumes all its topics, with an instance of its own", function()
    local instances = {}
    for _ = 1, 2 do
      local did = run({ "consume", "t", "u", "--group", "g", "--count", "1", "--from", "earliest" }, { answers = {
        topics = { {} }, delete_consumer = { true, true }, consume = { { message(0) } }, commit = { true } } })
      assert.equal(0, did.status, did.err_text)
      local instance, topics = did.calls[3]:match "^consume g (%S+) (%S+) "
      assert.equal("{t,u}", topics)
      assert.truthy(instance:find "^cli%-%x%x%x%x%x%x%x%x%x%x%x%x$", instance)
      instances[instance] = true
    end
    assert.truthy(next(instances, (next(instances)))) -- two of them
  end)

  it("starts at the end by default", function()
    local did = run({ "consume", "t", "--group", "g", "--count", "1" }, { answers = { topics = { {}, fails "stop" } } })
    assert.same({ "topics", "topics" }, did.calls) -- the second one is the loop's, for the ends
    assert.same({ 1, "upstash-kafka: stop\n" }, { did.status, did.err_text })
  end)

  it("D8: says on standard error why it waits, once", function()
    local sleep, delay = core.sleep, core.retry_delay
    function core.sleep() end
    function core.retry_delay() return 1 end
    local function waits(text, status)
      return function() return nil, text, { error = text, code = "c" .. status, status = status, retriable = true } end
    end
    local did = consume({ "--from", "earliest", "--count", "1" }, { waits("full", 429), waits("full", 429),
      waits("away", 503), { message(0) } })
    core.sleep, core.retry_delay = sleep, delay
    assert.same({ 0, "v0\n" }, { did.status, did.out_text })
    assert.equal("upstash-kafka: waiting: full\nupstash-kafka: away; trying again\n", did.err_text)
    assert.equal(2, did.err.flushes)
  end)

  it("names its instance by the time if the system has no random bytes", function()
    local open, time = io.open, os.time
    rawset(io, "open", function(path, ...)
      if path == "/dev/urandom" then return nil, "none" end
      return open(path, ...)
    end)
    rawset(os, "time", function() return 12 end)
    local did = run({ "consume", "t", "--group", "g", "--count", "1", "--from", "earliest" }, { answers = {
      topics = { {} }, delete_consumer = { true, true }, consume = { { message(0) } }, commit = { true } } })
    rawset(io, "open", open)
    rawset(os, "time", time)
    assert.equal("delete_consumer g cli-3132 {ack=none}", did.calls[2])
  end)

  it("is ended by a signal, and says nothing of it", function()
    local host = require "upstash.kafka.host"
    local watch_signals = host.watch_signals
    for signal, status in pairs { INT = 130, TERM = 0, HUP = 0 } do
      local watched, arrived
      function host.watch_signals(names)
        watched = table.concat(names, " ")
        return { arrived = function() return arrived end, close = function() end,
          call = function(_, method, ...) return method(...) end }
      end
      local did = consume({ "--from", "earliest" }, { { message(0) }, function()
        arrived = signal
        return { message(1) }
      end })
      assert.same({ status, "v0\n", "" }, { did.status, did.out_text, did.err_text })
      assert.equal("INT TERM HUP", watched)
      assert.same({ "commit g i {{offset=1,partition=0,topic=t}} {ack=none}", DELETE },
        { did.calls[#did.calls - 2], did.calls[#did.calls] })
    end
    host.watch_signals = watch_signals
  end)

  it("fails if the server cannot be reached at the start", function()
    local did = run({ "consume", "t", "--group", "g" }, { answers = { topics = { fails "nobody there" } } })
    assert.same({ 1, "upstash-kafka: nobody there\n" }, { did.status, did.err_text })
  end)

  it("commits nothing that could not be written, and closes its instance", function()
    for _, broken in ipairs { 0, 1, 2 } do -- two messages and the flush
      local did = consume({ "--from", "earliest", "--count", "2" }, { { message(0), message(1) } }, { broken = broken })
      assert.same({ 1, "upstash-kafka: standard output: broken\n" }, { did.status, did.err_text })
      assert.same(DELETE, did.calls[#did.calls])
      assert.equal(4, #did.calls)
    end
  end)
end)

describe("fetch", function()
  local function fetch(offset, more, answers)
    local words = { "fetch", "t", "--partition", "4", "--offset", offset }
    for _, word in ipairs(more) do words[#words + 1] = word end
    return run(words, { answers = answers })
  end

  local function at(offset) return { { topic = "t", partition = 4, offset = offset } } end

  it("reads up to the end that the partition had at the start", function()
    local did = fetch("5", {}, { offsets = { at(7) }, fetch = { { message(5), message(6) } } })
    assert.equal(0, did.status, did.err_text)
    assert.same({ "offsets latest {partition=4,topic=t}", "fetch t 4 5 {max_messages=2,timeout=1000}" }, did.calls)
    assert.equal("v5\nv6\n", did.out_text)
  end)

  it("reads from the earliest message", function()
    local did = fetch("earliest", { "--count", "1" }, { offsets = { at(3), at(7) }, fetch = { { message(3) } } })
    assert.same({ "offsets earliest {partition=4,topic=t}", "offsets latest {partition=4,topic=t}",
      "fetch t 4 3 {max_messages=1,timeout=1000}" }, did.calls)
  end)

  it("waits a second for a first message", function()
    for _, offset in ipairs { "7", "8" } do
      local did = fetch(offset, { "--count", "1" }, { offsets = { at(7) }, fetch = { { message(8) } } })
      assert.same({ "offsets latest {partition=4,topic=t}",
        ("fetch t 4 %s {max_messages=1,timeout=1000}"):format(offset) }, did.calls)
      assert.equal("v8\n", did.out_text)
    end
  end)

  it("says why it fails", function()
    for _, answers in ipairs { { offsets = { fails "no such partition" } },
      { offsets = { at(7) }, fetch = { fails "no such partition" } } } do
      local did = fetch("0", {}, answers)
      assert.same({ 1, "", "upstash-kafka: no such partition\n" }, { did.status, did.out_text, did.err_text })
    end
  end)
end)

describe("topics, groups and offsets", function()
  it("print tables with columns of the necessary width, names in order", function()
    local did = run({ "topics" }, { answers = { topics = { { bb = 10, a = 2, ccccccc = 1 } } } })
    assert.equal("TOPIC    PARTITIONS\na        2\nbb       10\nccccccc  1\n", did.out_text)
    did = run({ "groups" }, { answers = { consumers = { {
      { name = "g", instances = { { name = "idle", topics = {} },
        { name = "i", topics = { { topic = "t", partitions = { 0, 2 } }, { topic = "u", partitions = { 10 } } } } } },
      { name = "none", instances = {} },
    } } } })
    assert.equal("GROUP  INSTANCE  TOPIC  PARTITIONS\ng      idle      -      -\ng      i         t      0,2\n"
      .. "g      i         u      10\n", did.out_text)
  end)

  it("show both ends of each partition", function()
    local function ends(...)
      local list = {}
      for index, offset in ipairs { ... } do list[index] = { topic = "t", partition = index - 1, offset = offset } end
      return list
    end
    local did = run({ "offsets", "t" }, { answers = { topics = { { t = 2 } }, offsets = { ends(1, 2), ends(30, 4) } } })
    assert.equal("PARTITION  EARLIEST  LATEST\n0          1         30\n1          2         4\n", did.out_text)
    local both = "{{partition=0,topic=t},{partition=1,topic=t}}"
    assert.same({ "topics", "offsets earliest " .. both, "offsets latest " .. both }, did.calls)
    did = run({ "offsets", "u" }, { answers = { topics = { { t = 2 } } } })
    assert.equal(1, did.status)
    assert.equal('upstash-kafka: topic "u" does not exist\n', did.err_text)
  end)

  it("create a topic with the given settings, and delete it", function()
    local made = { topic = "made", partitions = 6 }
    local did = run({ "topics", "create", "t", "--partitions", "1", "--retention-ms=1", "--retention-bytes", "1" },
      { answers = { create_topic = { made } } })
    assert.same({ "create_topic t {partitions=1,retention_bytes=1,retention_ms=1}" }, did.calls)
    assert.equal("created made, partitions: 6\n", did.out_text)
    did = run({ "topics", "create", "t" }, { answers = { create_topic = { made } } })
    assert.same({ "create_topic t {}" }, did.calls)
    did = run({ "topics", "delete", "t" }, { answers = { delete_topic = { true } } })
    assert.same({ "delete_topic t" }, did.calls)
    assert.equal("deleted t\n", did.out_text)
    for _, words in ipairs { { "topics" }, { "topics", "create", "t" }, { "topics", "delete", "t" }, { "groups" },
      { "offsets", "t" } } do
      did = run(words, { answers = { topics = { fails "no" }, create_topic = { fails "no" },
        delete_topic = { fails "no" }, consumers = { fails "no" } } })
      assert.same({ 1, "", "upstash-kafka: no\n" }, { did.status, did.out_text, did.err_text })
    end
  end)
end)

describe("check", function()
  local SERVER = "upstash.kafka.server"

  -- Runs check with a server that reports these events and returns these results. Returns what the
  -- command did, and the options of server.check.
  local function check(words, events, results, options)
    local loaded, given, did = package.loaded[SERVER], nil, nil
    package.loaded[SERVER] = {
      check = function(all)
        given = { data = all.data, salvage = all.salvage }
        for _, event in ipairs(events) do all.report(unpack(event)) end
        return unpack(results, 1, 2)
      end,
    }
    local fine, raised = pcall(function() did = run({ "check", unpack(words) }, options) end)
    package.loaded[SERVER] = loaded
    assert.is_true(fine, raised)
    return did, given
  end

  local function counts(damaged)
    return { topics = 1, batches = 2000, records = 1234567, committed = 4, bytes = 8192, damaged = damaged }
  end

  local WHOLE = "whole: 1 topics, 2,000 batches, 1,234,567 messages, 4 committed offsets, 8,192 bytes\n"

  it("prints each line as it comes, then the counts", function()
    local did, given = check({ "dir" }, { { "note", "n 1" }, { "progress", 5, 9 }, { "note", "n 2" } }, { counts(0) })
    assert.same({ data = "dir" }, given)
    assert.same({ 0, "" }, { did.status, did.err_text })
    assert.equal("note: n 1\nnote: n 2\n" .. WHOLE, did.out_text)
  end)

  it("fails with the number of damaged places", function()
    for damaged, text in pairs { [1] = "1 place", [2] = "2 places", [1000] = "1,000 places" } do
      local did = check({ "dir" }, { { "damaged", "page 3" } }, { counts(damaged) })
      assert.same({ 1, "upstash-kafka: check: dir is damaged in " .. text .. "\n" }, { did.status, did.err_text })
      assert.equal("damaged: page 3\n" .. WHOLE, did.out_text)
    end
  end)

  it("says where it copied to, also after damage", function()
    for damaged = 0, 1 do
      local did, given = check({ "dir", "--salvage", "new" }, {}, { counts(damaged) })
      assert.same({ data = "dir", salvage = "new" }, given)
      assert.same({ damaged, WHOLE .. "copied to new\n" }, { did.status, did.out_text })
    end
  end)

  it("says why it failed", function()
    local did = check({ "dir" }, {}, { nil, "in use" })
    assert.same({ 1, "", "upstash-kafka: check: in use\n" }, { did.status, did.out_text, did.err_text })
  end)

  it("shows its progress to people, in pages", function()
    local did = check({ "dir" }, { { "progress", 1000, 2000000 }, { "progress", 2000000, 2000000 } }, { counts(0) },
      { watched = true })
    assert.same({ "\rchecked 1,000 of 2,000,000 pages\rchecked 2,000,000 of 2,000,000 pages\n", "test -t 2" },
      { did.err_text, did.asked })
  end)

  it("takes one folder, and needs the server", function()
    for text, words in pairs { ["too few arguments"] = {}, ["too many arguments"] = { "a", "b" },
      ["--salvage needs NEW"] = { "a", "--salvage" },
      ["--salvage: a non-empty text expected"] = { "a", "--salvage=" } } do
      local did, given = check(words, {}, { counts(0) })
      assert.same({ 2, "" }, { did.status, did.out_text })
      assert.truthy(did.err_text:find(text, 1, true), did.err_text)
      assert.is_nil(given)
    end
    local loaded, load = package.loaded[SERVER], package.preload[SERVER]
    for text, problem in pairs {
      ["install the rock upstash-kafka-server for " .. _VERSION] = "module '" .. SERVER .. "' not found:\n\tno field",
      ["none here"] = "none here",
    } do
      for name, words in pairs { check = { "check", "dir" }, serve = { "serve" } } do
        package.loaded[SERVER] = nil
        package.preload[SERVER] = function() error(problem, 0) end
        local did = run(words)
        package.preload[SERVER] = load
        package.loaded[SERVER] = loaded
        assert.same({ 1, ("upstash-kafka: %s requires the server: %s\n"):format(name, text) },
          { did.status, did.err_text })
      end
    end
  end)
end)

describe("serve", function()
  local NAMES = { "upstash.kafka.server", "upstash.kafka.launcher" }

  -- Runs serve with a fake server. Returns what it did, the options of the launcher, and the calls
  -- in order.
  local terminal = true
  local function serve(words, environment, allowed, problem, unstoppable)
    local saved, steps, did, given = {}, {}, nil, nil
    for _, name in ipairs(NAMES) do saved[name] = package.loaded[name] end
    package.loaded["upstash.kafka.server"] = {
      _VERSION = "x", defaults = { max_connections = 1000, listen = "here" },
      block_signals = function() steps[#steps + 1] = "block" end,
      keep_memory = function() steps[#steps + 1] = "keep" end,
      allow_files = function(count)
        steps[#steps + 1] = "files " .. count
        return allowed or count
      end,
      wait_for_signal = function(handle) steps[#steps + 1] = handle.stop and "wait" end,
      is_terminal = function(descriptor) return descriptor == 1 and terminal end,
      force_exit = function(milliseconds) steps[#steps + 1] = "force " .. milliseconds end,
    }
    package.loaded["upstash.kafka.launcher"] = {
      default_data = function() return "/data" end,
      start = function(options)
        steps[#steps + 1] = "start"
        given = options
        if problem then return nil, problem end
        local made = not options.password and not options.credentials
        return { url = "http://h:1", username = not options.credentials and (options.username or "kafka") or nil,
          password = options.password or made and "m'ade", password_file = made and "/d'ata/password" or nil,
          handle = { stop = function()
            steps[#steps + 1] = "stop"
            if unstoppable then return nil, unstoppable end
            return true
          end } }
      end,
    }
    local all = { "serve" }
    for _, word in ipairs(words) do all[#all + 1] = word end
    local fine, raised = pcall(function() did = run(all, { environment = environment or {} }) end)
    for _, name in ipairs(NAMES) do package.loaded[name] = saved[name] end
    assert.is_true(fine, raised)
    return did, given, table.concat(steps, ", ")
  end

  it("starts with its signals blocked, and stops after one", function()
    local did, given, steps = serve {}
    assert.same({ 0, "" }, { did.status, did.err_text })
    assert.same({}, given)
    assert.equal("block, keep, start, files 1128, wait, force 45000, stop", steps)
    assert.equal("listening on http://h:1\nexport UPSTASH_KAFKA_REST_URL='http://h:1'\n"
      .. "export UPSTASH_KAFKA_REST_USERNAME='kafka'\nexport UPSTASH_KAFKA_REST_PASSWORD='m'\\''ade'\n", did.out_text)
    assert.is_true(did.out.flushes > 1) -- before it waits, too
  end)

  it("E9: prints the password that it made only to a terminal", function()
    finally(function() terminal = true end)
    assert.truthy(serve({}).out_text:find("PASSWORD='m'\\''ade'\n", 1, true))
    terminal = false
    local out = serve({}).out_text
    assert.truthy(out:find([[export UPSTASH_KAFKA_REST_PASSWORD="$(cat '/d'\''ata/password')"]] .. "\n", 1, true), out)
    assert.is_nil(out:find("ade", 1, true))
    assert.truthy(serve({ "--password", "p" }).out_text:find("PASSWORD='p'\n", 1, true))
    assert.truthy(serve({}, { UPSTASH_KAFKA_SERVER_PASSWORD = "ep" }).out_text:find("SERVER_PASSWORD\"\n", 1, true))
  end)

  it("prints no login with a file of credentials", function()
    local did, given = serve { "--credentials", "f" }
    assert.same({ credentials = "f" }, given)
    assert.equal("listening on http://h:1\nexport UPSTASH_KAFKA_REST_URL='http://h:1'\n", did.out_text)
  end)

  it("A16: fails if the server has not stopped", function()
    local did, _, steps = serve({}, {}, nil, nil, "the disk does not answer")
    assert.same({ 1, "upstash-kafka: serve: the disk does not answer\n" }, { did.status, did.err_text })
    assert.equal("block, keep, start, files 1128, wait, force 45000, stop", steps)
  end)

  it("passes on every option unchanged", function()
    local _, given = serve { "--listen", "a:1", "--data", "d", "--username", "u", "--password", "p", "--partitions",
      "1", "--no-auto-create-topics", "--threads", "0", "--max-connections", "1", "--max-header-bytes", "1",
      "--max-connections-per-address", "6", "--tls-timeout", "7", "--head-timeout", "8", "--idle-timeout", "9",
      "--min-rate", "10", "--rate-period", "11",
      "--max-body-bytes", "2", "--max-message-bytes", "3", "--max-request-memory", "0", "--map-bytes", "4",
      "--idempotency-window", "5", "--no-sync", "--cors-origin", "x", "--cors-origin=y", "--behind-proxy", "z",
      "--insecure", "--tls-cert", "c", "--tls-key", "k", "--tls-priorities", "PFS" }
    assert.same({ listen = "a:1", data = "d", username = "u", password = "p", partitions = 1,
      auto_create_topics = false, threads = 0, max_connections = 1, max_header_bytes = 1, max_body_bytes = 2,
      max_message_bytes = 3, max_request_memory = 0, map_bytes = 4, idempotency_window = 5,
      max_connections_per_address = 6, tls_timeout = 7, head_timeout = 8, idle_timeout = 9, min_rate = 10,
      rate_period = 11, no_sync = true,
      cors_origin = { "x", "y" }, behind_proxy = { "z" }, insecure = true, tls_cert = "c", tls_key = "k",
      tls_priorities = "PFS" }, given)
    _, given = serve { "--brokers", "b:1", "--set", "x=1", "--set", "y=", "--set-file=z=f", "--prefetch-bytes", "1",
      "--prefetch-budget", "2" }
    assert.same({ brokers = "b:1", properties = { x = "1", y = "" }, property_files = { z = "f" }, prefetch_bytes = 1,
      prefetch_budget = 2 }, given)
  end)

  it("reads missing options from the environment", function()
    local environment = { UPSTASH_KAFKA_SERVER_USERNAME = "eu", UPSTASH_KAFKA_SERVER_PASSWORD = "ep",
      UPSTASH_KAFKA_SERVER_BROKERS = "eb:1" }
    local did, given = serve({}, environment)
    assert.same({ username = "eu", password = "ep", brokers = "eb:1" }, given)
    assert.truthy(did.out_text:find('PASSWORD="$UPSTASH_KAFKA_SERVER_PASSWORD"\n', 1, true))
    did, given = serve({ "--username", "u", "--password", "p", "--brokers", "b:1" }, environment)
    assert.same({ username = "u", password = "p", brokers = "b:1" }, given)
    assert.truthy(did.out_text:find("PASSWORD='p'\n", 1, true))
    given = select(2, serve({}, { UPSTASH_KAFKA_SERVER_USERNAME = "", UPSTASH_KAFKA_SERVER_PASSWORD = "",
      UPSTASH_KAFKA_SERVER_BROKERS = "" }))
    assert.same({}, given)
  end)

  it("warns if the system allows fewer connections than the option requests", function()
    for asked, row in pairs { [""] = { 1128, 500, "" }, ["872"] = { 1000, 1000, "" }, ["873"] = { 1001, 1000,
      "upstash-kafka: serve: --max-connections 873: " } } do
      local did, _, steps = serve(asked == "" and {} or { "--max-connections", asked }, {}, row[2])
      assert.truthy(steps:find("files " .. row[1], 1, true), steps)
      assert.equal(row[3], did.err_text:sub(1, math.max(#row[3], #did.err_text > 0 and 1 or 0)))
      assert.equal(row[3] ~= "", did.err_text:find("only 1000 files", 1, true) ~= nil)
      assert.equal(0, did.status)
    end
  end)

  it("refuses conflicting options before it starts anything", function()
    for _, words in ipairs { { "--tls-key", "k" }, { "--tls-cert", "c" }, { "--set", "x=1" }, { "--set-file", "x=1" },
      { "--prefetch-bytes", "1" }, { "--prefetch-budget", "1" }, { "--brokers", "b", "--map-bytes", "1" },
      { "--brokers", "b", "--no-sync" }, { "--brokers", "b", "--set", "x=1", "--set-file", "x=1" },
      { "--brokers", "b", "--set", "x=1", "--set", "x=2" }, { "--map-bytes", "0" }, { "--max-connections", "0" },
      { "--partitions", "0" }, { "--max-body-bytes", "0" }, { "--max-connections-per-address", "0" },
      { "--tls-timeout", "0" }, { "--head-timeout", "0" }, { "--idle-timeout", "0" }, { "--min-rate", "0" },
      { "--rate-period", "0" } } do
      local did, given, steps = serve(words)
      assert.same({ 2, "", "" }, { did.status, did.out_text, steps })
      assert.is_nil(given)
    end
  end)

  it("shows no value of a property", function()
    for _, words in ipairs { { "--set", "hush" }, { "--set", "=hush" }, { "--set-file", "hush" },
      { "--set-file", "=hush" }, { "--set-file", "hush=" }, { "--set", "x=hush", "--set", "x=hush" } } do
      local did = serve { "--brokers", "b", unpack(words) }
      assert.same({ 2, "" }, { did.status, did.out_text })
      assert.is_nil(did.err_text:find("hush", 1, true), did.err_text)
    end
  end)

  it("fails if the server does not start", function()
    local did, _, steps = serve({}, {}, nil, "no room")
    assert.same({ 1, "", "upstash-kafka: serve: no room\n" }, { did.status, did.out_text, did.err_text })
    assert.equal("block, keep, start", steps)
  end)

  it("shows the server's defaults in its help", function()
    local did = serve { "--help" }
    assert.truthy(did.out_text:find "%-%-listen [^\n]*%(default here%)\n")
    assert.truthy(did.out_text:find "%-%-data [^\n]*%(default /data%)\n")
    assert.truthy(did.out_text:find "%-%-max%-connections [^\n]*%(default 1000%)\n")
    assert.is_nil(did.out_text:find "%-%-no%-sync [^\n]*default")
  end)
end)

describe("upstash.kafka.command.line", function()
  local COMMAND = {
    name = "do", words = "A [B]", least = 1, most = 2, about = "Does it.",
    options = {
      { name = "text", value = "T", kind = "text", about = "any" },
      { name = "a-name", value = "N", kind = "name", about = "not empty" },
      { name = "count", value = "N", kind = "integer", about = "from 0", default = 5 },
      { name = "least", value = "N", kind = "integer", min = 3, about = "from 3" },
      { name = "pick", value = "x|y", kind = "choice", choices = { "x", "y" }, about = "of two" },
      { name = "place", value = "P", kind = "position", about = "an offset" },
      { name = "pair", value = "K=V", kind = "pair", many = true, about = "any…" },
      { name = "full", value = "K=V", kind = "pair", filled = true, secret = true, about = "a value" },
      { name = "flag", kind = "flag", about = "yes" },
    },
  }

  -- Returns what the words are read as, or the status and message of the refusal.
  local function read(...)
    local fine, result = pcall(command_line.read, COMMAND, { "skipped", ... }, 2)
    if fine then return result end
    return { command_line.outcome(result) }
  end

  for _, row in ipairs {
    { { "a" }, { "a", count = 5 } },
    { { "a", "b" }, { "a", "b", count = 5 } },
    { { "--text", "", "a" }, { "a", text = "", count = 5 } },
    { { "--text=", "a" }, { "a", text = "", count = 5 } },
    { { "--text", "--flag", "a" }, { "a", text = "--flag", count = 5 } },
    { { "a", "--text=a=b" }, { "a", text = "a=b", count = 5 } },
    { { "a", "--a-name", "n" }, { "a", a_name = "n", count = 5 } },
    { { "a", "--count", "0" }, { "a", count = 0 } },
    { { "a", "--count", "007" }, { "a", count = 7 } },
    { { "a", "--count", "999999999999999" }, { "a", count = 999999999999999 } },
    { { "a", "--least", "3" }, { "a", count = 5, least = 3 } },
    { { "a", "--pick=y" }, { "a", count = 5, pick = "y" } },
    { { "a", "--place", "0" }, { "a", count = 5, place = 0 } },
    { { "a", "--place", "earliest" }, { "a", count = 5, place = "earliest" } },
    { { "a", "--place", "latest" }, { "a", count = 5, place = "latest" } },
    { { "a", "--pair", "k=", "--pair=l=v=w" }, { "a", count = 5, pair = { { key = "k", value = "" },
      { key = "l", value = "v=w" } } } },
    { { "a", "--flag", "--flag" }, { "a", count = 5, flag = true } },
    { { "-", "" }, { "-", "", count = 5 } },
    { { "--", "--flag", "--" }, { "--flag", "--", count = 5 } },
    { { "a", "--help", "--nonsense" }, { help = true } },
    { { "-h" }, { help = true } },
    { { "a", "--", "-h" }, { "a", "-h", count = 5 } },
    { {}, { 2, "do: too few arguments; usage: upstash-kafka do A [B]" } },
    { { "a", "b", "c" }, { 2, "do: too many arguments; usage: upstash-kafka do A [B]" } },
    { { "a", "--a-name=" }, { 2, "do: --a-name: a non-empty text expected, got ''" } },
    { { "a", "--count", "-1" }, { 2, "do: --count: an integer of 0 or more expected, got '-1'" } },
    { { "a", "--count", "1.0" }, { 2, "do: --count: an integer of 0 or more expected, got '1.0'" } },
    { { "a", "--count", "0x1" }, { 2, "do: --count: an integer of 0 or more expected, got '0x1'" } },
    { { "a", "--count", "1000000000000000" },
      { 2, "do: --count: an integer of 0 or more expected, got '1000000000000000'" } },
    { { "a", "--least", "2" }, { 2, "do: --least: an integer of 3 or more expected, got '2'" } },
    { { "a", "--pick", "z" }, { 2, "do: --pick: x or y expected, got 'z'" } },
    { { "a", "--place", "middle" }, { 2, "do: --place: an offset, earliest or latest expected, got 'middle'" } },
    { { "a", "--pair", "=v" }, { 2, "do: --pair: K=V expected, got '=v'" } },
    { { "a", "--full", "k=" }, { 2, "do: --full: K=V expected" } },
    { { "a", "--count", "1", "--count", "1" }, { 2, "do: --count is given twice" } },
    { { "a", "--flag=1" }, { 2, "do: --flag takes no value" } },
    { { "a", "--count" }, { 2, "do: --count needs N" } },
    { { "a", "--fl" }, { 2, "do: unknown option --fl (see upstash-kafka do --help)" } },
    { { "a", "-flag" }, { 2, "do: unknown option -flag (see upstash-kafka do --help)" } },
    { { "a", "--secret=hush" }, { 2, "do: unknown option --secret (see upstash-kafka do --help)" } },
  } do
    it("reads '" .. table.concat(row[1], " ") .. "'", function() assert.same(row[2], read(unpack(row[1]))) end)
  end

  it("says what is missing", function()
    local fine, raised = pcall(command_line.read, { name = "x", words = "", least = 0, most = 0,
      options = { { name = "must", kind = "text", value = "T", required = true } } }, {}, 1)
    assert.is_false(fine)
    assert.same({ 2, "x: --must is missing" }, { command_line.outcome(raised) })
  end)

  it("writes its help in two columns, counted in letters", function()
    assert.equal(table.concat({
      "usage: upstash-kafka do A [B]", "", "Does it.", "",
      "  --text T    any", "  --a-name N  not empty (default 9)", "  --count N   from 0 (default 5)",
      "  --least N   from 3", "  --pick x|y  of two", "  --place P   an offset", "  --pair K=V  any…",
      "  --full K=V  a value", "  --flag      yes", "" }, "\n"),
      command_line.help(COMMAND, { a_name = 9, count = 8, flag = true }))
    local wide = command_line.help { name = "w", words = "", about = "", options = {
      { name = "a", value = "X…", kind = "text", about = "1" },
      { name = "bb", value = "YY", kind = "text", about = "2" },
    } }
    assert.truthy(wide:find("\n  --a X…   1\n  --bb YY  2\n", 1, true), wide)
  end)

  it("exits with 1 for a failed call, and with 2 for misuse", function()
    local failure = setmetatable({ code = "x" }, { __tostring = function() return "it failed\nin two lines" end })
    assert.same({ 1, "it failed" }, { command_line.outcome(failure) })
    assert.same({ 2, "given: wrongly" }, { command_line.outcome "a/b.lua:12: given: wrongly" })
    for status, raise in pairs { command_line.fail, command_line.misuse } do
      local _, raised = pcall(raise, "%s and %d", "text", 5)
      assert.same({ status, "text and 5" }, { command_line.outcome(raised) })
    end
  end)
end)

describe("upstash.kafka.command.format", function()
  it("writes a message as JSON that is one line", function()
    local text = format.formats.json(message(5, { key = 'a"\\', value = "\0\31\127\n\r\té", timestamp = "123",
      headers = { { key = "h", value = "" }, { key = "i", value = "2" } } }))
    assert.equal([[{"topic":"t","partition":0,"offset":5,"timestamp":123,"key":"a\"\\",]]
      .. [["value":"\u0000\u001f\u007f\n\r\té","headers":[{"key":"h","value":""},{"key":"i","value":"2"}]}]]
      .. "\n", text)
    local tombstone = message(5)
    tombstone.value = nil
    assert.truthy(format.formats.json(tombstone):find('"value":null', 1, true))
    assert.equal("\n", format.formats.text(tombstone))
  end)

  it("writes an integer's digits, even if the integer is already text", function()
    assert.equal("9223372036854775807", format.digits "9223372036854775807")
    assert.equal("1700000000123", format.digits(1700000000123))
  end)

  -- Shows progress at these seconds. `terminal` is what os.execute returns. Returns what was
  -- written, and the commands for the shell.
  local function shown(prints, terminal, seconds)
    local time, execute, stderr, now, asked = os.time, os.execute, io.stderr, 100, {}
    local err = sink()
    rawset(os, "time", function() return now end)
    rawset(os, "execute", function(line)
      asked[#asked + 1] = line
      return terminal
    end)
    rawset(io, "stderr", err)
    local progress = format.progress("done", prints)
    for index, second in ipairs(seconds) do
      now = 100 + second
      progress:show(index * 1000)
    end
    progress:done()
    rawset(os, "time", time)
    rawset(os, "execute", execute)
    rawset(io, "stderr", stderr)
    return err.text, asked
  end

  it("shows progress once a second, after the first second, and ends the line", function()
    for _, yes in ipairs { true, 0 } do -- what os.execute returns, by Lua's version
      local text, asked = shown(false, yes, { 0, 1, 2, 2, 3 })
      assert.equal("\rdone 3,000 messages\rdone 5,000 messages\n", text)
      assert.same({ "test -t 2" }, asked)
    end
  end)

  it("shows nothing if nobody watches, and checks that once", function()
    for _, no in ipairs { 256, false } do
      local text, asked = shown(true, no, { 2, 3, 4 })
      assert.equal("", text)
      assert.same({ "test -t 2 && ! test -t 1" }, asked)
    end
    assert.same({ "", {} }, { shown(true, true, { 0, 1 }) })
  end)
end)
