-- Instance names that differ in each process. For %w in nginx see nginx_loop_spec.lua.

describe("an instance's name", function()
  local expand = require("upstash.kafka.instance").expand

  it("may hold the number of the process, and a % that is doubled", function()
    assert.equal("a-" .. require("upstash.kafka.core").process_id() .. "-%w", expand "a-%p-%%w")
  end)

  it("may hold no number of a worker outside nginx, and no other sign", function()
    assert.same({ nil, "instance: %w is the number of an nginx worker, and this is not an nginx worker" },
      { expand "a%w" })
    assert.same({ nil, "instance: %p, %w or %% expected, got '%d'" }, { expand "%d" })
    assert.same({ nil, "instance: %p, %w or %% expected, got '%'" }, { expand "100%" })
  end)
end)
