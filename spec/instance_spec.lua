-- Instance names that differ in each process. For %w in nginx see nginx_loop_spec.lua.

describe("an instance's name", function()
  local expand = require("upstash.kafka.instance").expand

  it("may contain the process number, and %% for %", function()
    assert.equal("a-" .. require("upstash.kafka.core").process_id() .. "-%w", expand "a-%p-%%w")
  end)

  it("must not contain a worker number outside nginx, or any other sign", function()
    assert.same({ nil, "instance: %w is the number of an nginx worker, and this is not an nginx worker" },
      { expand "a%w" })
    assert.same({ nil, "instance: %p, %w or %% expected, got '%d'" }, { expand "%d" })
    assert.same({ nil, "instance: %p, %w or %% expected, got '%'" }, { expand "100%" })
  end)
end)
