-- What can be called in which phase of nginx. A call that waits is refused with an explanation
-- where Lua may not wait.

local server_support = require "spec.support.server"
local support = require "spec.support.nginx"

if not support.runs_here then return pending(support.NEEDS) end

-- What produce and topics raise, given the phase.
local PRODUCE = "client:produce cannot wait for an answer in %s_by_lua: send it with a client:producer, or make the "
  .. "call in ngx.timer.at"
local TOPICS = "client:topics cannot wait for an answer in %s_by_lua: make the call in ngx.timer.at"

local HTTP = [[
  init_by_lua_block {
    kafka = require "upstash.kafka"
    client = kafka.new()
    said = {}
    -- Records what the calls return or raise, under a name.
    function try(name)
      local _, produced = pcall(client.produce, client, "phases", name, { partition = 0 })
      local _, topics = pcall(client.topics, client)
      said[name] = { produced = type(produced) == "table" or produced, topics = type(topics) == "table" or topics }
    end
    try "init"
  }
  init_worker_by_lua_block {
    try "init_worker"
    ngx.timer.at(0, function() try "timer" end)
  }
  exit_worker_by_lua_block {
    try "exit_worker"
    local file = io.open("$place/exit_worker", "w")
    file:write(said.exit_worker.produced, "\n", said.exit_worker.topics)
    file:close()
  }
  upstream balanced {
    server 0.0.0.1;
    balancer_by_lua_block {
      try "balancer"
      require("ngx.balancer").set_current_peer("127.0.0.1", $port)
    }
  }
]]

local LOCATIONS = [[
  location = /said { content_by_lua_block { ngx.print(require("cjson").encode(said)) } }
  location = /all {
    set_by_lua_block $unused { try "set" return "" }
    rewrite_by_lua_block { try "rewrite" }
    access_by_lua_block { try "access" }
    content_by_lua_block {
      try "content"
      ngx.thread.wait(ngx.thread.spawn(try, "thread"))
      coroutine.wrap(try)("coroutine")
      ngx.print "x"
    }
    header_filter_by_lua_block { try "header_filter" }
    body_filter_by_lua_block { try "body_filter" }
    log_by_lua_block { try "log" }
  }
  location = /table {
    content_by_lua_block {
      local producer = client:producer { flush_timeout = ngx.null }
      local value = { id = 123456789012345, lat = 52.520006599999, none = ngx.null }
      assert(client:produce("tables", value, { key = ngx.null, headers = { a = ngx.null } }))
      assert(producer:send("tables", value, { partition = ngx.null }))
      assert(producer:close())
      for _, message in ipairs(assert(client:fetch("tables", 0, 0))) do
        local back = message:json()
        assert(back.id == value.id and back.lat == value.lat and back.none == ngx.null)
        ngx.say(message.value:match '"id":%d+', " ", message.value:match '"lat":[%d.]+')
      end
    }
  }
  location = /balanced { proxy_pass http://balanced/alive; }
]]

describe("in nginx, a call that waits", function()
  teardown(support.stop_all)

  local server, nginx, said

  setup(function()
    server = server_support.start()
    nginx = support.start {
      environment = server:environment(),
      main = "env UPSTASH_KAFKA_REST_URL; env UPSTASH_KAFKA_REST_USERNAME; env UPSTASH_KAFKA_REST_PASSWORD;",
      http = HTTP, locations = LOCATIONS, values = { unused = "$unused" },
    }
    assert.equal(200, nginx:get("/all").status)
    assert.equal(200, nginx:get("/balanced").status)
    said = require("spec.support.shell").eventually(10, function()
      local all = require("cjson").decode(nginx:get("/said").body)
      return all.timer and all.log and all
    end)
  end)

  teardown(function()
    nginx:stop()
    server:stop()
  end)

  for _, phase in ipairs { "timer", "rewrite", "access", "content", "thread", "coroutine" } do
    it("is answered in " .. phase, function()
      assert.same({ produced = true, topics = true }, said[phase])
      local count = 0
      for _, message in ipairs(server:client():fetch("phases", 0, 0)) do
        if message.value == phase then count = count + 1 end
      end
      assert.equal(1, count)
    end)
  end

  it("A2, B2: keeps every digit of a table's numbers, and treats null as absent", function()
    local response = nginx:get "/table"
    assert.equal(200, response.status)
    assert.equal(('"id":123456789012345 "lat":52.520006599999\n'):rep(2), response.body)
  end)

  for _, phase in ipairs { "init_worker", "set", "header_filter", "body_filter", "log", "balancer" } do
    it("says in " .. phase .. " that it cannot, and what can", function()
      assert.same({ produced = PRODUCE:format(phase), topics = TOPICS:format(phase) }, said[phase])
    end)
  end

  it("says in init that it cannot, and what can", function()
    assert.same({
      produced = "client:produce cannot wait for an answer in init_by_lua: make the call in a timer that "
        .. "init_worker_by_lua starts",
      topics = "client:topics cannot wait for an answer in init_by_lua: make the call in a timer that "
        .. "init_worker_by_lua starts",
    }, said.init)
  end)

  it("says in exit_worker that it cannot", function()
    nginx:reload()
    local text = "client:%s cannot wait for an answer in exit_worker_by_lua: make the call before the worker ends"
    assert.equal(text:format "produce" .. "\n" .. text:format "topics",
      require("spec.support.folder").read(nginx.place .. "/exit_worker"))
    for _, how in ipairs(nginx:ends()) do assert.equal("with code 0", how) end
  end)

  it("raises out of a loop too, blaming its line", function()
    local other = support.start {
      http = [[init_by_lua_block { client = require("upstash.kafka").new { url = "http://127.0.0.1:1" } }]],
      locations = [[location = /loop {
        return 200 "x";
        log_by_lua_block {
          for message in client:messages { group = "g", instance = "i", topic = "t" } do print(message) end
        }
      }]],
    }
    assert.equal(200, other:get("/loop").status)
    other:expect "log_by_lua%(nginx.conf:%d+%):2: client:topics cannot wait for an answer in log_by_lua"
    other:stop()
  end)
end)
