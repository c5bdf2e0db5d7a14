-- for: log_reserve.c, log_store.c, log_store_room.c, log_writer.c, server_system.c. Disks that are
-- full or read-only, and a limit on the size of files: real ones, made with ulimit and mount.

local folder = require "spec.support.folder"
local kafka = require "upstash.kafka"
local shell = require "spec.support.shell"

local VALUE = ("v"):rep(20000)

-- A place that only the process `holder` and what enters its namespace see.
local function in_namespace(holder)
  return ("nsenter -t %d -m -w "):format(holder.pid)
end

-- With a limit on the size of files, in blocks of 512 bytes.
local function with_limit(blocks)
  return ("sh -c 'ulimit -f %d && exec \"$@\"' sh "):format(blocks)
end

local function can_mount(what)
  local line = ("unshare -m sh -c '%s'"):format(what)
  return shell.run(line) == 0
end

describe("the data folder on", function()
  local place, data, holder, process, client

  local function serve(before)
    process = shell.start(("%s%s serve --listen 127.0.0.1:0 --data %s --username u --password p"):format(
      before or "", shell.command, data))
    local url = process:expect "listening on (%S+)\n"
    client = kafka.new { url = url, username = "u", password = "p", retries = 0 }
  end

  local function restart(before)
    process:signal "KILL"
    assert.equal(137, process:wait())
    process:remove()
    client:close()
    serve(before)
  end

  local function stop()
    process:signal "TERM"
    assert.equal(0, process:wait())
    return process:errors()
  end

  -- Mounts it at `data`, in a namespace of its own.
  local function mount(line)
    holder = shell.start(("unshare -m sh -c '%s && echo mounted && exec sleep 600'"):format(line))
    holder:expect "(mounted)"
  end

  before_each(function()
    place = folder.make()
    data = place .. "/data"
  end)

  after_each(function()
    if client then client:close() end
    if process then process:remove() end
    if holder then holder:remove() end
    client, process, holder = nil, nil, nil
    folder.remove(place)
  end)

  -- Produces until that fails. Returns how many messages are stored, and the failure.
  local function fill(topic)
    for count = 0, 2000 do
      local stored, message, details = client:produce(topic, VALUE)
      if not stored then return count, message, details end
      assert.equal(count, stored.offset)
    end
    error "it is never full"
  end

  local function end_of(topic)
    return client:offsets("latest", { topic = topic, partition = 0 })[1].offset
  end

  local function consume_and_commit(offset)
    assert(client:consume("g", "i", "kept", { auto_offset_reset = "earliest", auto_commit = false, timeout = 0 }))
    assert.is_true(client:commit("g", "i", { topic = "kept", partition = 0, offset = offset }))
  end

  -- A full disk refuses records and says why. What was answered is there after a kill. With the
  -- reserve, commits succeed, and a deletion makes room.
  local function check_full(before, pattern, makes_room)
    assert(client:produce("kept", "first"))
    consume_and_commit(7)
    local count, message, details = fill "filler"
    assert.truthy(message:find(pattern), message)
    assert.equal(503, details.status)
    assert.equal("first", assert(client:fetch("kept", 0, 0))[1].value)
    restart(before)
    assert.equal(count, end_of "filler")
    assert.equal(7, client:committed("g", "i", { topic = "kept", partition = 0 })[1].offset)
    if not makes_room then return stop() end
    consume_and_commit(8)
    assert.is_true(client:delete_topic "filler")
    local stored = shell.eventually(10, function() return (client:produce("kept", VALUE)) end)
    assert.equal(1, stored.offset)
    restart(before)
    assert.equal(2, end_of "kept")
    assert.equal(8, client:committed("g", "i", { topic = "kept", partition = 0 })[1].offset)
    stop()
  end

  it("A14: a full file system refuses records, and has lost nothing", function()
    if not can_mount "mount -t tmpfs -o size=1m none /mnt" then return pending "needs the right to mount" end
    assert(os.execute("mkdir " .. data))
    mount("mount -t tmpfs -o size=8m,mode=700 none " .. data)
    serve(in_namespace(holder))
    check_full(in_namespace(holder), "^the disk that holds the log is full$", true)
  end)

  local AT_LIMIT = "the log is full: data.mdb has reached the limit on the size of files (ulimit -f)"

  -- What a server with such a limit says when it starts.
  local function limit_line(bytes)
    return ("upstash-kafka: the limit on the size of files (ulimit -f) allows data.mdb %d bytes, less than map_bytes "
      .. "(68719476736)\n"):format(bytes)
  end

  -- The reserve alone has 4 MiB.
  it("A14: a limit on the size of files refuses records, and has lost nothing", function()
    serve(with_limit(12288))
    check_full(with_limit(12288), "^" .. AT_LIMIT:gsub("%p", "%%%0") .. "$", true)
  end)

  it("A14: a limit on the size of files is named when the server starts, and once it is reached", function()
    serve(with_limit(12288))
    fill "filler"
    fill "other"
    local _, _, details = client:health()
    assert.equal(503, details.status)
    assert.equal(limit_line(3 * 1024 * 1024) .. "upstash-kafka: " .. AT_LIMIT .. "\n", stop())
  end)

  it("A14: a limit on the size of files below that of the reserve does not end the server", function()
    serve(with_limit(2047))
    assert.equal(0, assert(client:produce("t", "hello")).offset)
    local _, message = fill "filler"
    assert.equal(AT_LIMIT, message)
    stop()
  end)

  it("A14: nor a program that starts one", function()
    local status, output, errors = shell.run(with_limit(2047) .. shell.lua .. " -e " .. shell.quote(([[
      local server = assert(require "upstash.kafka.server".start {
        listen = "127.0.0.1:0", data = %q, username = "u", password = "p" })
      server:stop()
      print "stopped"]]):format(data)))
    assert.same({ 0, "stopped\n", limit_line(512 * 1024) }, { status, output, errors })
  end)

  it("A14: a file system that becomes read-only answers 503, and has lost nothing when it is repaired", function()
    local image = place .. "/image"
    if shell.run(("truncate -s 32M %s && mkfs.ext4 -q %s"):format(image, image)) ~= 0
      or not can_mount(("mount -o loop,errors=remount-ro %s /mnt"):format(image)) then
      return pending "needs ext4 and the right to mount"
    end
    assert(os.execute("mkdir " .. data))
    local mounting = ("mount -o loop,errors=remount-ro %s %s && chmod 700 %s"):format(image, data, data)
    mount(mounting)
    serve(in_namespace(holder))
    assert(client:produce("t", "kept"))
    shell.run(("echo 1 >/sys/fs/ext4/$(basename $(losetup -j %s | cut -d : -f 1))/trigger_fs_error"):format(image))
    for _ = 1, 3 do
      local stored, _, details = client:produce("t", "refused")
      assert.is_nil(stored)
      assert.equal(503, details.status)
    end
    assert.is_nil((client:health()))
    -- The log was closed, and cannot be opened again.
    local _, _, details = client:fetch("t", 0, 0)
    assert.equal(503, details.status)
    local errors = stop()
    assert.equal(1, select(2, errors:gsub("\n", "")), errors)
    process:remove()
    holder:remove()
    shell.run("fsck.ext4 -fy " .. image)
    mount(mounting)
    serve(in_namespace(holder))
    assert.equal(1, end_of "t")
    assert.equal(1, assert(client:produce("t", "more")).offset)
    assert.equal("", stop())
  end)
end)
