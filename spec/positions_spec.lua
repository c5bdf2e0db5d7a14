local positions = require "upstash.kafka.positions"

describe("upstash.kafka.positions", function()
  it("keeps a value for each partition", function()
    local map = {}
    positions.put(map, { topic = "a", partition = 0 }, 5)
    positions.put(map, { topic = "a", partition = 1 }, 6)
    positions.put(map, { topic = "b", partition = 0 }, 7)
    assert.equal(5, positions.get(map, { topic = "a", partition = 0 }))
    assert.equal(6, positions.get(map, { topic = "a", partition = 1 }))
    assert.equal(7, positions.get(map, { topic = "b", partition = 0 }))
    assert.is_nil(positions.get(map, { topic = "b", partition = 1 }))
    assert.is_nil(positions.get(map, { topic = "c", partition = 0 }))
  end)

  it("takes the first offset of each partition in a list", function()
    local map = positions.first {
      { topic = "a", partition = 0, offset = 3 }, { topic = "a", partition = 0, offset = 4 },
      { topic = "a", partition = 1, offset = 0 },
    }
    assert.equal(3, positions.get(map, { topic = "a", partition = 0 }))
    assert.equal(0, positions.get(map, { topic = "a", partition = 1 }))
  end)

  it("takes offsets away", function()
    assert.same({ { topic = "a", partition = 2 } }, positions.bare { { topic = "a", partition = 2, offset = 9 } })
  end)
end)
