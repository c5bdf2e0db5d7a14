-- The password in a data folder has at least 16 bytes.

local folder = require "spec.support.folder"
local launcher = require "upstash.kafka.launcher"

describe("a kept password", function()
  it("has at least 16 bytes", function()
    local place = folder.make()
    folder.write(place .. "/password", ("p"):rep(15) .. "\n")
    local password, message = launcher.kept_password(place)
    assert.is_nil(password)
    assert.truthy(message:find("holds no password", 1, true), message)
    folder.write(place .. "/password", ("p"):rep(16) .. "\n")
    assert.equal(("p"):rep(16), (launcher.kept_password(place)))
    folder.remove(place)
  end)
end)
