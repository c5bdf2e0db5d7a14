--- Temporary folders for tests.

local folder = {}

--- A new name for a folder that does not exist yet.
function folder.name()
  local path = os.tmpname()
  os.remove(path)
  return path .. "-upstash-kafka"
end

--- The same in memory if the system has such a place, for a test that syncs a lot: a process that
-- is killed loses nothing there.
function folder.quick_name()
  local path = folder.name()
  local quick = path:gsub("^.*/", "/dev/shm/")
  local probe = io.open(quick, "w")
  if not probe then return path end
  probe:close()
  os.remove(quick)
  return quick
end

--- Makes a folder and returns its path.
function folder.make()
  local path = folder.name()
  assert(os.execute("mkdir -m 700 '" .. path .. "'"))
  return path
end

--- Removes a folder named by `name` or `make`, with its contents.
function folder.remove(path)
  assert(path:find("-upstash-kafka", 1, true), "not one of ours: " .. path)
  os.execute("rm -rf '" .. path .. "'")
end

--- The bytes of a file, or nil.
function folder.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read "*a"
  file:close()
  return bytes
end

--- Writes a file.
function folder.write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

return folder
