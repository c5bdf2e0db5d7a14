-- The password in a data folder has at least 16 bytes, in a file that is its owner's alone.

local folder = require "spec.support.folder"
local launcher = require "upstash.kafka.launcher"

describe("a kept password", function()
  local place

  before_each(function() place = folder.make() end)
  after_each(function() folder.remove(place) end)

  local function write(text)
    folder.write(place .. "/password", text)
    assert(os.execute(("chmod 600 '%s/password'"):format(place)))
  end

  it("C6: has at least 16 bytes", function()
    for length, shown in pairs { [0] = 0, [15] = 15 } do
      write(("p"):rep(length) .. "\n")
      assert.same({ nil, ("%s/password holds a password of %d bytes, where at least 16 are expected; "
        .. "delete it to get a new one"):format(place, shown) }, { launcher.kept_password(place) })
    end
    write(("p"):rep(16) .. "\n")
    assert.equal(("p"):rep(16), (launcher.kept_password(place)))
  end)

  it("C6: is refused if others may read it", function()
    write(("p"):rep(16) .. "\n")
    assert(os.execute(("chmod 644 '%s/password'"):format(place)))
    assert.same({ nil, ("others may read or write %s/password (mode 644); chmod 600 it; "
      .. "or delete it to get a new password"):format(place) }, { launcher.kept_password(place) })
  end)

  it("is nil, without a message, if there is none", function()
    assert.same({}, { launcher.kept_password(place) })
  end)
end)
