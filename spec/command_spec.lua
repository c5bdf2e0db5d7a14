local canned = require "spec.support.canned_server"
local command_line = require "upstash.kafka.command.line"
local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"
local support = require "spec.support.server"

describe("upstash-kafka", function()
  local server, client

  setup(function()
    server = support.start()
    client = server:client()
  end)
  teardown(function()
    client:close()
    server:stop()
  end)

  -- Runs the command against the server. Returns the status, output and errors.
  local function run(words, options)
    options = options or {}
    return shell.upstash_kafka(words, { input = options.input, environment = server:environment(options.environment) })
  end

  local function pattern_of(name)
    return (name:gsub("%p", "%%%0"))
  end

  -- The same for a command that must succeed without errors. Returns its output.
  local function out_of(words, options)
    local status, out, err = run(words, options)
    assert.equal("", err)
    assert.equal(0, status)
    return out
  end

  local function all_values(topic)
    local values = {}
    for message in client:records { topic = topic, partition = 0, to = "latest" } do
      values[#values + 1] = message.value
    end
    return values
  end

  describe("called wrongly", function()
    local cases = {
      { {}, "no command given; see upstash-kafka --help" },
      { { "nonsense" }, "unknown command 'nonsense'; see upstash-kafka --help" },
      { { "--nonsense" }, "unknown command '--nonsense'; see upstash-kafka --help" },
      { { "topics", "-x" }, "topics: unknown option -x (see upstash-kafka topics --help)" },
      { { "topics", "--no=1" }, "topics: unknown option --no (see upstash-kafka topics --help)" },
      { { "topics", "--brokers", "x" }, "topics: unknown option --brokers (see upstash-kafka topics --help)" },
      { { "topics", "extra" }, "topics: too many arguments; usage: upstash-kafka topics " },
      { { "topics", "create" }, "topics create: too few arguments; usage: upstash-kafka topics create TOPIC " },
      { { "topics", "create", "t", "--partitions", "0" },
        "topics create: --partitions: an integer of 1 or more expected, got '0'" },
      { { "produce" }, "produce: too few arguments; usage: upstash-kafka produce TOPIC [TEXT] " },
      { { "produce", "t", "x", "--header", "novalue" }, "produce: --header: KEY=VALUE expected, got 'novalue'" },
      { { "produce", "t", "x", "--key" }, "produce: --key needs TEXT" },
      { { "produce", "t", "x", "--key", "a", "--key=b" }, "produce: --key is given twice" },
      { { "produce", "t", "--batch", "10001" }, "produce: --batch: at most 10000 expected, got 10001" },
      { { "consume", "t" }, "consume: --group is missing" },
      { { "consume", "t", "--group", "" }, "consume: --group: a non-empty text expected, got ''" },
      { { "consume", "t", "--group", "g", "--from", "none" },
        "consume: --from: earliest or latest expected, got 'none'" },
      { { "fetch", "t", "--offset", "0" }, "fetch: --partition is missing" },
      { { "fetch", "t", "--partition", "0", "--offset", "-1" },
        "fetch: --offset: an offset, earliest or latest expected, got '-1'" },
      { { "serve", "--no-sync=1" }, "serve: --no-sync takes no value" },
      { { "serve", "--tls-cert", "x" }, "serve: --tls-cert and --tls-key require each other" },
      { { "serve", "--threads", "9999999999999999" },
        "serve: --threads: an integer of 0 or more expected, got '9999999999999999'" },
      { { "serve", "--set", "linger.ms=5" }, "serve: --set requires --brokers" },
      { { "serve", "--set-file", "sasl.password=file" }, "serve: --set-file requires --brokers" },
      { { "serve", "--prefetch-bytes", "1000000" }, "serve: --prefetch-bytes requires --brokers" },
      { { "serve", "--prefetch-budget", "1000000" }, "serve: --prefetch-budget requires --brokers" },
      { { "serve", "--brokers", "" }, "serve: --brokers: a non-empty text expected, got ''" },
      { { "serve", "--brokers", "a:1", "--map-bytes", "1048576" },
        "serve: --map-bytes is for the embedded log, not with --brokers" },
      { { "serve", "--no-sync", "--brokers", "a:1" }, "serve: --no-sync is for the embedded log, not with --brokers" },
      { { "serve", "--brokers", "a:1", "--brokers", "b:2" }, "serve: --brokers is given twice" },
      { { "serve", "--brokers", "a:1", "--set", "linger.ms=1", "--set", "acks=all", "--set=linger.ms=1" },
        "serve: --set linger.ms is given twice" },
      { { "serve", "--brokers", "a:1", "--set-file", "x=1", "--set-file", "x=2" },
        "serve: --set-file x is given twice" },
      { { "serve", "--brokers", "a:1", "--set-file", "sasl.password=1", "--set", "sasl.password=2" },
        "serve: sasl.password is given both by --set and by --set-file" },
      { { "serve", "--brokers", "a:1", "--set-file", "sasl.password=" }, "serve: --set-file: PROPERTY=FILE expected" },
      { { "serve", "--brokers", "a:1", "--set" }, "serve: --set needs PROPERTY=VALUE" },
      { { "topics", "--url", "ftp://x" }, "url" },
    }
    for _, case in ipairs(cases) do
      it("with '" .. table.concat(case[1], " ") .. "' exits with 2 and one line", function()
        local status, out, err = run(case[1])
        assert.equal(2, status, err)
        assert.equal("", out)
        assert.is_truthy(err:find("upstash-kafka: ", 1, true) == 1, err)
        assert.is_truthy(err:find(case[2], 1, true), err)
        assert.equal(#err, err:find("\n", 1, true))
      end)
    end

    for _, case in ipairs {
      { { "--set", "hush" }, "serve: --set: PROPERTY=VALUE expected" },
      { { "--set", "=hush" }, "serve: --set: PROPERTY=VALUE expected" },
      { { "--set", "sasl.password:hush" }, "serve: --set: PROPERTY=VALUE expected" },
      { { "--set", "sasl.password", "hush" }, "serve: --set: PROPERTY=VALUE expected" },
      { { "--set", "sasl.password=hush", "--set", "sasl.password=hush" }, "serve: --set sasl.password is given twice" },
      { { "--set", "sasl.password=hush", "hush" }, "serve: too many arguments; usage: upstash-kafka serve [OPTION]…" },
      { { "--st=sasl.password=hush" }, "serve: unknown option --st (see upstash-kafka serve --help)" },
    } do
      it("with '" .. table.concat(case[1], " ") .. "' shows no value", function()
        local words = { "serve", "--brokers", "a:1" }
        for _, word in ipairs(case[1]) do words[#words + 1] = word end
        local status, out, err = run(words)
        assert.equal(2, status, err)
        assert.equal("", out)
        assert.equal("upstash-kafka: " .. case[2] .. "\n", err)
      end)
    end

    it("with options for the log says that the environment names brokers", function()
      local status, _, err = run({ "serve", "--no-sync" }, { environment = { UPSTASH_KAFKA_SERVER_BROKERS = "a:1" } })
      assert.equal(2, status)
      assert.equal("upstash-kafka: serve: --no-sync is for the embedded log, not with $UPSTASH_KAFKA_SERVER_BROKERS\n",
        err)
    end)

    it("without a server exits with 2 and says how to name one", function()
      local status, _, err = shell.upstash_kafka { "topics" }
      assert.equal(2, status)
      assert.equal("upstash-kafka: no server given: use --url or set UPSTASH_KAFKA_REST_URL\n", err)
    end)
  end)

  it("D9: --url does not get the credentials in the environment", function()
    local stub = canned.start { "accept", "read", canned.answer(401, '{"error":"who are you?","status":401}'), "close" }
    local status, _, err = run { "topics", "--url", stub.url }
    local request = stub:finish()[1]
    assert.equal(1, status)
    assert.is_truthy(request:find("^GET /topics "), request)
    assert.is_nil(request:lower():find("authorization", 1, true))
    assert.is_truthy(err:find("who are you? (no credentials were sent", 1, true), err)
    status, _, err = run { "topics", "--url", stub.url, "--username", "u" }
    assert.equal(2, status)
    assert.is_truthy(err:find("password: missing; UPSTASH_KAFKA_REST_PASSWORD goes only with", 1, true), err)
  end)

  describe("that fails", function()
    local cases = {
      { { "topics", "--password", "wrong" }, "" },
      { { "topics", "--url", "http://127.0.0.1:1" }, "127.0.0.1" },
      { { "consume", "any", "--group", "g", "--url", "http://127.0.0.1:1" }, "127.0.0.1" },
      { { "offsets", "no-such-topic" }, 'topic "no-such-topic" does not exist' },
      { { "topics", "delete", "no-such-topic" }, "no-such-topic" },
      { { "topics", "create", "bad/name" }, "" },
      { { "fetch", "no-such-topic", "--partition", "0", "--offset", "0" }, "no-such-topic" },
      { { "consume", "__consumer_offsets", "--group", "g" }, "__consumer_offsets" },
    }
    for _, case in ipairs(cases) do
      it("at '" .. table.concat(case[1], " ") .. "' exits with 1 and one line", function()
        local status, out, err = run(case[1])
        assert.equal(1, status, err)
        assert.equal("", out)
        assert.is_truthy(err:find("upstash-kafka: ", 1, true) == 1, err)
        assert.is_truthy(err:find(case[2], 1, true), err)
        assert.equal(#err, err:find("\n", 1, true))
      end)
    end

    it("to write its output exits with 1", function()
      local status, _, err = shell.run(shell.command .. " --help >/dev/full")
      assert.equal(1, status)
      assert.is_truthy(err:find("upstash-kafka: standard output: ", 1, true), err)
    end)
  end)

  describe("--help", function()
    it("lists the commands", function()
      local out = out_of { "--help" }
      for _, name in ipairs { "serve", "check", "produce", "consume", "fetch", "topics", "groups", "offsets" } do
        assert.is_truthy(out:find("\n  " .. name, 1, true), name)
      end
    end)

    it("of a command lists its options", function()
      for _, words in ipairs { "produce", "consume", "fetch", "topics", "topics create", "topics delete", "groups",
        "offsets" } do
        local status, out = shell.run(shell.command .. " " .. words .. " --help")
        assert.equal(0, status)
        assert.is_truthy(out:find("usage: upstash-kafka " .. words .. " ", 1, true) == 1, out)
        assert.is_truthy(out:find("--password TEXT", 1, true))
      end
    end)

    it("of serve lists every default", function()
      local out = out_of { "serve", "--help" }
      local defaults = require("upstash.kafka.server").defaults
      for _, name in ipairs { "listen", "partitions", "threads", "max-connections", "max-header-bytes",
        "max-connections-per-address", "tls-timeout", "head-timeout", "idle-timeout", "min-rate",
        "rate-period",
        "max-body-bytes", "max-message-bytes", "max-request-memory", "map-bytes", "prefetch-bytes", "prefetch-budget",
        "idempotency-window" } do
        local default = tostring(defaults[name:gsub("-", "_")])
        assert.is_not.equal("nil", default, name)
        assert.is_truthy(out:find("%-%-" .. name:gsub("-", "%%-") .. " [^\n]*%(default " .. default .. "%)"), name)
      end
    end)

    it("of serve explains how to reach a cluster, in one column", function()
      local out = out_of { "serve", "--help" }
      local column = #out:match "\n(  %-%-listen ADDRESS +)"
      for _, usage in ipairs { "--brokers HOST:PORT,…", "--set PROPERTY=VALUE", "--set-file PROPERTY=FILE" } do
        local line = out:match("\n(  " .. pattern_of(usage) .. " +)%S")
        assert.is_string(line, usage)
        assert.equal(column, #line:gsub("…", "."))
      end
      assert.is_truthy(out:find("\n  %-%-brokers [^\n]*%$UPSTASH_KAFKA_SERVER_BROKERS"))
      assert.is_truthy(out:find("\n  %-%-set [^\n]*%-%-set%-file"))
    end)

    it("names every option of server.start", function()
      local out = out_of { "serve", "--help" }
      for field in pairs(require("upstash.kafka.server").defaults) do
        local name = "--" .. field:gsub("_", "-")
        if field == "auto_create_topics" then name = "--no-auto-create-topics" end
        assert.is_truthy(out:find(name, 1, true), name)
      end
    end)
  end)

  it("--version prints the version", function()
    assert.equal("upstash-kafka " .. kafka._VERSION .. "\n", out_of { "--version" })
  end)

  -- In a checkout and installed.
  it("C1: serve survives signals that come before it listens to them", function()
    local line = ("exec %s "):format(os.getenv "UPSTASH_KAFKA_BIN" or "bin/upstash-kafka")
    local environment = { LUA = shell.lua, LUA_INIT = [[
      io.popen("kill -HUP $PPID; kill -USR1 $PPID; kill -USR2 $PPID"):close()
      print "survived"
      os.exit(0)]] }
    local status, out = shell.run(line .. "serve", { environment = environment })
    assert.equal("survived\n", out)
    assert.equal(0, status)
    -- Other commands end with their terminal, as any program.
    assert.equal("", (select(2, shell.run(line .. "consume t --group g", { environment = environment }))))
  end)

  if not os.getenv "UPSTASH_KAFKA_BIN" then
    describe("in a checkout", function()
      local version = "upstash-kafka " .. kafka._VERSION .. "\n"
      local environment = { LUA = shell.lua, LUA_PATH = ";;", LUA_CPATH = ";;" }

      for name, line in pairs {
        ["runs by its path"] = "cd /; '%s/bin/upstash-kafka' --version",
        ["runs beside itself"] = "cd '%s/bin'; ./upstash-kafka --version",
        ["runs under sh"] = "cd '%s/bin'; sh upstash-kafka --version",
        ["runs from PATH"] = "cd /; PATH='%s/bin':$PATH; upstash-kafka --version",
        ["runs through a link"] = "ln -s '%s/bin/upstash-kafka' \"$PLACE/link\"; cd /; \"$PLACE/link\" --version",
        ["finds a Lua by itself"] = "unset LUA; '%s/bin/upstash-kafka' --version",
      } do
        it(name, function()
          local place = folder.make()
          environment.PLACE = place
          local status, out, err = shell.run(line:format(shell.here), { environment = environment })
          folder.remove(place)
          assert.equal("", err)
          assert.equal(version, out)
          assert.equal(0, status)
        end)
      end

      it("finds its modules under a prefix, and in a LuaRocks tree", function()
        local place, number = folder.make(), _VERSION:match "%d+%.%d+"
        local rock = ("%s/lib/luarocks/rocks-%s/upstash-kafka/1-1/bin"):format(place, number)
        assert(os.execute(([[
          mkdir -p $place/bin $place/share/lua/$number $place/lib/lua/$number $rock
          ln -s $here/lua/upstash $place/share/lua/$number/upstash
          ln -s $here/build/$lua/upstash $place/lib/lua/$number/upstash
          cp bin/upstash-kafka $place/bin
          cp bin/upstash-kafka $rock]]):gsub("%$(%w+)", { place = place, number = number, rock = rock,
          here = shell.here, lua = shell.lua })))
        for _, line in ipairs { "%s/bin/upstash-kafka", "cd %s/bin; ./upstash-kafka", "unset LUA; %s/bin/upstash-kafka",
          "cd %s; $LUA bin/upstash-kafka", "cd /; $LUA " .. rock .. "/upstash-kafka" } do
          local status, out, err = shell.run(line:format(place) .. " --version", { environment = environment })
          assert.same({ 0, version, "" }, { status, out, err }, line)
        end
        folder.remove(place)
      end)

      it("C1: says nothing when it is interrupted while it loads", function()
        for _, module in ipairs { "upstash.kafka.server", "upstash.kafka.command" } do
          local status, out, err = shell.run("bin/upstash-kafka serve", { environment = {
            LUA = shell.lua, LUA_INIT = ([[package.preload["%s"] = function()
              io.popen("kill -INT $PPID"):close()
              while true do end
            end]]):format(module) } })
          assert.equal("", err)
          assert.equal("", out)
          assert.equal(130, status)
        end
      end)

      it("in a checkout that is not built names the command that builds it", function()
        local place = folder.make()
        local status, _, err = shell.run(([[
          mkdir -p '%s/bin'
          cp Makefile '%s/'
          cp bin/upstash-kafka '%s/bin/'
          unset LUA
          '%s/bin/upstash-kafka' --version]]):gsub("%%s", place), { environment = environment })
        folder.remove(place)
        assert.equal("upstash-kafka: this checkout is not built yet: make run\n", err)
        assert.equal(1, status)
      end)

      it("says how to build what is not built", function()
        local place = folder.make()
        local status, _, err = shell.run(([[
          mkdir -p '%s/lua/upstash/kafka/command' '%s/bin'
          touch '%s/lua/upstash/kafka/command/init.lua'
          cp bin/upstash-kafka '%s/bin/'
          '%s/bin/upstash-kafka' --version]]):gsub("%%s", place), { environment = environment })
        folder.remove(place)
        assert.equal(1, status)
        assert.is_truthy(err:find("^upstash%-kafka: not built for this Lua: make LUA="), err)
      end)
    end)
  end

  describe("topics", function()
    it("are created, listed and deleted", function()
      local name = support.name "listed"
      assert.equal(("created %s, partitions: 3\n"):format(name),
        out_of { "topics", "create", name, "--partitions", "3" })
      assert.equal(3, client:topics()[name])
      assert.is_truthy(out_of { "topics" }:find("\n" .. pattern_of(name) .. " +3\n"))
      assert.equal(out_of { "topics" }, out_of { "topics", "list" })
      assert.equal(("deleted %s\n"):format(name), out_of { "topics", "delete", name })
      assert.is_nil(client:topics()[name])
    end)
  end)

  describe("produce", function()
    it("produces a message and says where it is stored", function()
      local topic = server:topic(2, 0)
      local out = out_of { "produce", topic, "hello", "--key", "k", "--header", "a=b=c", "--header", "a=",
        "--partition", "1" }
      assert.is_truthy(out:find(("^topic=%s partition=1 offset=0 timestamp=%%d+\n$"):format(pattern_of(topic))), out)
      local message = client:fetch(topic, 1, 0)[1]
      assert.equal("hello", message.value)
      assert.equal("k", message.key)
      assert.same({ { key = "a", value = "b=c" }, { key = "a", value = "" } }, message.headers)
    end)

    it("accepts a message that begins with a dash, or is empty", function()
      local topic = server:topic(1, 0)
      out_of { "produce", topic, "--", "--help" }
      out_of { "produce", topic, "" }
      out_of { "produce", topic, "-" }
      assert.same({ "--help", "", "-" }, all_values(topic))
    end)

    it("produces each line of standard input and shows the count on standard error", function()
      local topic = server:topic(1, 0)
      local status, out, err = run({ "produce", topic, "--batch", "2" }, { input = "one\n\nthree\r\nfour \nlast" })
      assert.equal(0, status, err)
      assert.equal("", out)
      assert.equal(("upstash-kafka: produced 5 messages to %s\n"):format(topic), err)
      assert.same({ "one", "", "three\r", "four ", "last" }, all_values(topic))
    end)

    it("accepts an empty input", function()
      local topic = server:topic(1, 0)
      local status, _, err = run { "produce", topic }
      assert.equal(0, status)
      assert.equal(("upstash-kafka: produced 0 messages to %s\n"):format(topic), err)
    end)

    it("accepts many lines, in batches bounded by bytes too", function()
      local small = support.start { max_body_bytes = 2 * 2 ^ 20 }
      local topic, lines, values = small:topic(1, 0), {}, {}
      for number = 1, 30 do lines[number] = number .. ("x"):rep(200000) end
      local status, _, err = shell.upstash_kafka({ "produce", topic },
        { input = table.concat(lines, "\n") .. "\n", environment = small:environment() })
      local reader = small:client()
      for message in reader:records { topic = topic, partition = 0, to = "latest" } do
        values[#values + 1] = message.value
      end
      reader:close()
      small:stop()
      assert.equal(0, status, err)
      assert.same(lines, values)
    end)

    it("says which lines failed and how many were stored", function()
      local topic = server:topic(1, 0)
      local status, _, err = run({ "produce", topic, "--batch", "2" }, { input = "1\n2\n3\n\255\n5\n" })
      assert.equal(1, status)
      assert.equal("upstash-kafka: line 4: value is not valid UTF-8 (--binary sends any bytes); "
        .. "lines 1 to 2 were produced\n", err)
      assert.same({ "1", "2" }, all_values(topic))
    end)

    it("D5: sends any bytes with --binary", function()
      local topic = server:topic(1, 0)
      assert.equal(0, (run({ "produce", topic, "--binary" }, { input = "\255\254\n" })))
      local reader = kafka.new { url = server.url, username = server.username, password = server.password,
        binary = true }
      local messages = assert(reader:fetch(topic, 0, 0))
      reader:close()
      assert.equal("\255\254", messages[1].value)
    end)

    it("sends a request again if its response is lost, with --idempotent alone", function()
      local answer = canned.answer(200, '[{"topic":"t","partition":0,"offset":7,"timestamp":1764000000000}]')
      local function produce(stub, ...)
        return shell.upstash_kafka { "produce", "t", "x", "--url", stub.url, "--username", "u", "--password", "p", ... }
      end
      local stub = canned.start { "accept", "read", "close", "accept", "read", answer, "close" }
      local status, out, err = produce(stub, "--idempotent")
      assert.same({ 0, "topic=t partition=0 offset=7 timestamp=1764000000000\n", "" }, { status, out, err })
      local first, second = (table.unpack or unpack)(stub:finish()) -- luacheck: ignore 143
      local key = first:match "Idempotency%-Key: (%S+)"
      assert.is_string(key)
      assert.equal(key, second:match "Idempotency%-Key: (%S+)")
      stub = canned.start { "accept", "read", "close" }
      assert.equal(1, (produce(stub)))
      assert.equal(1, #stub:finish())
    end)

    it("D4: sends a line although the input has not ended", function()
      local topic, place = server:topic(1, 0), folder.make()
      local line = ("{ echo a; until [ -e %s/go ]; do sleep 0.02; done; echo b; } | %s produce %s"):format(place,
        shell.command, topic)
      local process = shell.start("sh -c " .. shell.quote(line), { environment = server:environment() })
      shell.eventually(60, function() return #all_values(topic) == 1 end)
      folder.write(place .. "/go", "")
      assert.equal(0, process:wait())
      process:remove()
      folder.remove(place)
      assert.same({ "a", "b" }, all_values(topic))
    end)

    it("D12: copies a topic with --format json", function()
      local from, to = server:topic(1, 0), server:topic(1, 0)
      assert(client:produce(from, "one", { key = "k", headers = { a = "1" }, timestamp = 1700000000123 }))
      assert(client:produce(from, kafka.null))
      local line = ("%s fetch %s --partition 0 --offset earliest --format json | %s produce %s --format json"):format(
        shell.command, from, shell.command, to)
      assert.equal(0, (shell.run(line, { environment = server:environment() })))
      local messages = assert(client:fetch(to, 0, 0))
      assert.equal(2, #messages)
      assert.same({ "one", "k", 1700000000123, { { key = "a", value = "1" } } },
        { messages[1].value, messages[1].key, messages[1].timestamp, messages[1].headers })
      assert.is_nil(messages[2].value)
    end)
  end)

  describe("consume", function()
    it("prints values, ends after --count and continues there", function()
      local topic, group = server:topic(1, 10), support.name "group"
      local words = { "consume", topic, "--group", group, "--from", "earliest", "--count", "4" }
      assert.equal("1\n2\n3\n4\n", out_of(words))
      assert.equal(4, server:committed(group, topic))
      assert.equal("5\n6\n7\n8\n", out_of(words))
      assert.equal(8, server:committed(group, topic))
      assert.same({}, server:instances(group))
    end)

    it("prints JSON, integers exact", function()
      local topic = server:topic(1, 0)
      assert(client:produce(topic, 'a "quote"\n\\ \1 é',
        { key = "k", timestamp = 1700000000123, headers = { h = "v" } }))
      assert(client:produce(topic, kafka.null, { timestamp = 1 }))
      local out = out_of { "consume", topic, "--group", "json", "--from", "earliest", "--count", "2",
        "--format", "json" }
      assert.equal(([[
{"topic":"T","partition":0,"offset":0,"timestamp":1700000000123,"key":"k","value":"a \"quote\"\n\\ \u0001 é",]] ..
        [["headers":[{"key":"h","value":"v"}]}
{"topic":"T","partition":0,"offset":1,"timestamp":1,"key":"","value":null,"headers":[]}
]]):gsub("T", topic), out)
    end)

    it("D11: names a topic as it was given, alone or in a list", function()
      local bad = 'a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got "fan-*"\n'
      local _, _, err = run { "consume", "fan-*", "--group", "g" }
      assert.equal("upstash-kafka: topic: " .. bad, err)
      _, _, err = run { "consume", "good", "fan-*", "--group", "g" }
      assert.equal("upstash-kafka: topics[2]: " .. bad, err)
    end)

    it("accepts several topics", function()
      local first, second = server:topic(1, 2), server:topic(1, 3)
      local out = out_of { "consume", first, second, "--group", "several", "--from", "earliest", "--count", "5" }
      assert.equal(5, select(2, out:gsub("\n", "")))
    end)

    it("waits for new messages and prints them at once", function()
      local topic = server:topic(1, 2)
      local process = shell.start(("%s consume %s --group waiting --from earliest"):format(shell.command, topic),
        { environment = server:environment() })
      process:expect "1\n2\n"
      server:fill(topic, 3, 3, 1)
      process:expect "2\n3\n"
      shell.eventually(5, function() return server:committed("waiting", topic) == 3 end)
      process:remove()
    end)

    it("ends quietly on SIGINT and closes its instance", function()
      local topic = server:topic(1, 2)
      local process = shell.start(("%s consume %s --group interrupted --from earliest"):format(shell.command, topic),
        { environment = server:environment() })
      process:expect "1\n2\n"
      shell.eventually(5, function() return server:committed("interrupted", topic) == 2 end)
      process:signal "INT"
      assert.equal(130, process:wait(5))
      assert.equal("", process:errors())
      assert.same({}, server:instances "interrupted")
      process:remove()
    end)

    it("commits nothing that could not be written", function()
      local topic = server:topic(1, 10)
      local words = ("%s consume %s --group full --from earliest --count 5"):format(shell.command, topic)
      local status, _, err = shell.run(words .. " >/dev/full", { environment = server:environment() })
      assert.equal(1, status)
      assert.is_truthy(err:find("upstash-kafka: standard output: ", 1, true), err)
      assert.equal(-1, server:committed("full", topic))
    end)

    it("commits nothing that a broken pipe swallowed", function()
      local topic = server:topic(1, 10)
      local place = folder.make()
      -- Breaks the pipe before starting the command. With `| true` the command might write before
      -- true has ended.
      local status = shell.run(([[
        mkfifo '%s/pipe'
        exec 3<>'%s/pipe' 4>'%s/pipe' 3<&-
        exec %s consume %s --group pipe --from earliest --count 5 >&4 4>&-
      ]]):format(place, place, place, shell.command, topic), { environment = server:environment() })
      folder.remove(place)
      assert.is_true(status == 128 + 13 or status == 1, "status " .. tostring(status))
      assert.equal(-1, server:committed("pipe", topic))
    end)
  end)

  describe("fetch", function()
    local topic

    setup(function() topic = server:topic(1, 10) end)

    local function fetch(...)
      return out_of { "fetch", topic, "--partition", "0", "--offset", ... }
    end

    it("prints from an offset to the end", function()
      assert.equal("9\n10\n", fetch "8")
      assert.equal("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", fetch "earliest")
    end)

    it("prints at most --count", function()
      assert.equal("3\n4\n", fetch("2", "--count", "2"))
    end)

    it("waits a second at the end", function()
      assert.equal("", fetch "latest")
      assert.equal("", fetch "10")
    end)

    it("prints messages that arrive while it waits", function()
      local at_end = canned.answer(200, '[{"topic":"t","partition":0,"offset":10}]')
      local stub = canned.start { "accept", "read", at_end, "read", at_end, "read", canned.answer(200,
        '[{"topic":"t","partition":0,"offset":10,"timestamp":1,"key":"","value":"new","headers":[]}]'), "close" }
      local out = out_of { "fetch", "t", "--partition", "0", "--offset", "latest", "--count", "1", "--url", stub.url }
      stub:finish()
      assert.equal("new\n", out)
    end)

    it("prints JSON", function()
      assert.is_truthy(fetch("9", "--format", "json"):find(
        '^{"topic":"[^"]+","partition":0,"offset":9,"timestamp":%d+,"key":"","value":"10","headers":%[%]}\n$'))
    end)

    it("names the available offsets", function()
      local status, _, err = run { "fetch", topic, "--partition", "7", "--offset", "0" }
      assert.equal(1, status)
      assert.is_truthy(err:find("7", 1, true), err)
    end)
  end)

  it("groups lists live instances and what they hold", function()
    local topic, group = server:topic(2, 1), support.name "group"
    assert(client:consume(group, "one", topic, { timeout = 0 }))
    local out = out_of { "groups" }
    assert.is_truthy(out:find "^GROUP +INSTANCE +TOPIC +PARTITIONS\n")
    assert.is_truthy(out:find(("\n%s +one +%s +0,1\n"):format(pattern_of(group), pattern_of(topic))), out)
    assert(client:delete_consumer(group, "one"))
  end)

  it("offsets shows the range of each partition", function()
    local topic = server:topic(2, 5)
    assert.equal("PARTITION  EARLIEST  LATEST\n0          0         3\n1          0         2\n",
      out_of { "offsets", topic })
  end)

  describe("serve", function()
    local data, process

    before_each(function() data = folder.name() end)
    after_each(function()
      if process then process:remove() end
      process = nil
      folder.remove(data)
    end)

    local function serve(words, environment)
      process = shell.start(("%s serve --listen 127.0.0.1:0 --data %s %s"):format(shell.command, data, words),
        { environment = environment })
      process:expect "\n(export UPSTASH_KAFKA_REST_PASSWORD=[^\n]*\n)"
      return process:output()
    end

    -- Returns what the exports set in a shell.
    local function exported(text, environment)
      local _, out = shell.run("eval " .. shell.quote(text:gsub("^[^\n]*\n", "")) .. "\n" .. [[
        printf '%s\n' "$UPSTASH_KAFKA_REST_URL" "$UPSTASH_KAFKA_REST_USERNAME" "$UPSTASH_KAFKA_REST_PASSWORD"]],
        { environment = environment })
      local url, username, password = out:match "^(.-)\n(.-)\n(.-)\n$"
      return { url = url, username = username, password = password }
    end

    local function works(access)
      local other = kafka.new(access)
      local metadata = assert(other:produce("t", "hello"))
      other:close()
      return metadata.offset
    end

    it("prints its URL, then three exports that work", function()
      local out = serve ""
      local url = out:match "^listening on (http://127%.0%.0%.1:%d+)\n"
      local access = exported(out)
      assert.equal(url, access.url)
      assert.equal("kafka", access.username)
      assert.equal(4, select(2, out:gsub("\n", "")))
      assert.equal(0, works(access))
    end)

    it("keeps messages and password over a restart", function()
      local first = exported(serve "")
      works(first)
      process:signal "TERM"
      assert.equal(0, process:wait())
      process:remove()
      local second = exported(serve "")
      assert.equal(first.password, second.password)
      assert.equal(1, works(second))
    end)

    for _, name in ipairs { "TERM", "INT" } do
      it("ends with status 0 on SIG" .. name .. " and answers a waiting consume", function()
        local access = exported(serve "")
        works(access)
        local waiting = shell.start(("%s consume t --group g --from earliest"):format(shell.command), { environment = {
          UPSTASH_KAFKA_REST_URL = access.url,
          UPSTASH_KAFKA_REST_USERNAME = access.username,
          UPSTASH_KAFKA_REST_PASSWORD = access.password,
        } })
        waiting:expect "hello\n"
        process:signal(name)
        assert.equal(0, process:wait(5))
        assert.equal("", process:errors())
        waiting:remove()
      end)
    end

    it("C1: survives HUP, USR1 and USR2, and says that HUP has reloaded nothing", function()
      local access = exported(serve "")
      local line = "upstash-kafka: SIGHUP: nothing was reloaded; the options are those of the start\n"
      for _, name in ipairs { "USR1", "USR2", "HUP" } do process:signal(name) end
      shell.eventually(10, function() return process:errors() ~= "" or process:ended() end)
      assert.equal(line, process:errors())
      assert.equal(0, works(access))
      process:signal "HUP" -- within a minute
      assert.equal(1, works(access))
      process:signal "TERM"
      assert.equal(0, process:wait())
      assert.equal(line, process:errors())
    end)

    it("quotes what it prints for a shell", function()
      local out = serve([[--username "it's me" --password 'a"b $c']])
      local access = exported(out)
      assert.equal("it's me", access.username)
      assert.equal('a"b $c', access.password)
      works(access)
    end)

    it("does not print a password from the environment", function()
      local environment = { UPSTASH_KAFKA_SERVER_USERNAME = "me", UPSTASH_KAFKA_SERVER_PASSWORD = "hush-hush" }
      local out = serve("", environment)
      assert.is_nil(out:find("hush", 1, true))
      local access = exported(out, environment)
      assert.equal("hush-hush", access.password)
      assert.equal("me", access.username)
      works(access)
      assert.is_nil(folder.read(data .. "/password"))
    end)

    it("passes its options on", function()
      local access = exported(serve "--partitions 3 --max-message-bytes 1000")
      works(access)
      local other = kafka.new(access)
      assert.equal(3, other:topics().t)
      assert.equal(413, select(3, other:produce("t", ("x"):rep(1001))).status)
      other:close()
    end)

    it("refuses unknown topics with --no-auto-create-topics", function()
      local other = kafka.new(exported(serve "--no-auto-create-topics"))
      assert.equal(404, select(3, other:produce("t", "x")).status)
      other:close()
    end)

    it("keeps its output out of the log when standard output is closed", function()
      process = shell.start(("%s serve --listen 127.0.0.1:0 --data %s --username u --password p >&- 2>&-"):format(
        shell.command, data))
      shell.eventually(5, function()
        return (folder.read("/proc/" .. process.pid .. "/maps") or ""):find("data.mdb", 1, true)
      end)
      require("upstash.kafka.core").sleep(100)
      process:signal "TERM"
      assert.equal(0, process:wait())
      local _, listed = shell.run(("grep -l 'listening on' %s/*"):format(data))
      assert.equal("", listed)
    end)

    it("loads the server and neither the client nor lua-cjson", function()
      serve ""
      local maps = folder.read(("/proc/%d/maps"):format(process.pid))
      assert.is_truthy(maps:find("kafka/server.so", 1, true))
      for _, name in ipairs { "kafka/core.so", "cjson", "libcurl" } do
        assert.is_nil(maps:find(name, 1, true), name)
      end
    end)

    it("fails with status 1 if librdkafka does not know a property, and shows no value", function()
      local status, out, err = shell.upstash_kafka { "serve", "--listen", "127.0.0.1:0", "--data", data,
        "--brokers", "127.0.0.1:1", "--set", "no.such.property=hush" }
      assert.equal(1, status)
      assert.equal("", out)
      assert.equal("upstash-kafka: serve: properties: no.such.property: unknown property of librdkafka\n", err)
    end)

    it("reads brokers from the environment too", function()
      local status, _, err = shell.upstash_kafka({ "serve", "--listen", "127.0.0.1:0", "--data", data, "--set",
        "no.such.property=5" }, { environment = { UPSTASH_KAFKA_SERVER_BROKERS = "127.0.0.1:1" } })
      assert.equal(1, status)
      assert.is_truthy(err:find("no.such.property", 1, true), err)
    end)

    it("fails with status 1 if it cannot listen", function()
      local status, out, err = shell.upstash_kafka { "serve", "--listen", server.url:match "//(.*)$", "--data", data }
      assert.equal(1, status)
      assert.equal("", out)
      assert.is_truthy(err:find("^upstash%-kafka: serve: [^\n]+\n$"), err)
    end)
  end)
end)

describe("upstash.kafka.command.line", function()
  it("treats an error raised by a library as misuse, without its position and in one line", function()
    local status, text = command_line.outcome "some/file.lua:12: bad argument #1 to 'new' (url)\nmore"
    assert.equal(2, status)
    assert.equal("bad argument #1 to 'new' (url)", text)
  end)

  it("says nothing after an interrupt", function()
    local status, text = command_line.outcome "x.lua:1: interrupted!"
    assert.equal(130, status)
    assert.is_nil(text)
  end)

  it("groups the digits of numbers", function()
    local number = require("upstash.kafka.command.format").number
    local texts = { [0] = "0", [999] = "999", [1000] = "1,000", [1234567] = "1,234,567", [123456] = "123,456" }
    for value, text in pairs(texts) do
      assert.equal(text, number(value))
    end
  end)
end)
