--- What a disk may hold after a power cut: built from what spec/shim/write_record.c recorded.
--
--     local record = write_order.read(path)
--     local disk = write_order.new(base)               -- the files of the folder at the beginning
--     for index, event in ipairs(record) do
--       disk:apply(event)
--       disk:write_to(folder, disk:choose "none")      -- and choose(math.random)
--     end
--
-- A write is certain when a sync of its file has ended, or when its descriptor syncs each write. A
-- rename is certain when its folder was synced. What is not certain may be on the disk or not, in
-- any combination. `certain` files are tables of pages, numbered from 0.

local folder = require "spec.support.folder"

local PAGE = 4096

local write_order = {}

-- What a restored folder needs. LMDB's table of readers is made again.
local NAMES = { ["data.mdb"] = true, identity = true, ["identity.new"] = true, ["."] = true, ["-"] = true }

--- The events of a record that matter: { kind =, name =, at =, bytes = }, in their order.
function write_order.read(path)
  local text, position, events = folder.read(path), 1, {}
  while position <= #text do
    local _, last, kind, name, at, length = text:find("^(%l+) (%S+) (%d+) (%d+)\n", position)
    if not last then error("not a record at byte " .. position) end
    length = tonumber(length)
    local has_bytes = kind == "write" or kind == "durable" or kind == "send" or kind == "rename"
    if NAMES[name] then
      events[#events + 1] = { kind = kind, name = name, at = tonumber(at),
        bytes = has_bytes and text:sub(last + 1, last + length) or nil }
    end
    position = last + 1 + (has_bytes and length or 0)
  end
  return events
end

local Disk = {}
Disk.__index = Disk

local ZEROS = ("\0"):rep(PAGE)

local function put(file, at, bytes)
  local position = 1
  while position <= #bytes do
    local number, within = math.floor((at + position - 1) / PAGE), (at + position - 1) % PAGE
    local part = bytes:sub(position, position + PAGE - within - 1)
    local old = file[number] or ZEROS
    file[number] = old:sub(1, within) .. part .. old:sub(within + #part + 1)
    position = position + #part
  end
  file.size = math.max(file.size, at + #bytes)
end

local function truncate(file, size)
  for number in pairs(file) do
    if number ~= "size" and number * PAGE >= size then file[number] = nil end
  end
  local last = math.floor(size / PAGE)
  if file[last] then file[last] = file[last]:sub(1, size % PAGE) .. ZEROS:sub(size % PAGE + 1) end
  file.size = size
end

local function copy(file)
  local new = {}
  for key, value in pairs(file) do new[key] = value end
  return new
end

--- A disk that holds these files: a map of names to bytes.
function write_order.new(base)
  local disk = setmetatable({ certain = {}, open = {} }, Disk)
  for name, bytes in pairs(base) do
    disk.certain[name] = { size = 0 }
    put(disk.certain[name], 0, bytes)
  end
  return disk
end

local function carry_out(files, event)
  if event.kind == "rename" then
    files[event.bytes], files[event.name] = files[event.name], nil
    return
  end
  files[event.name] = files[event.name] or { size = 0 }
  local file = files[event.name]
  if event.kind == "truncate" then return truncate(file, event.at) end
  -- Only a new file is written from its beginning here.
  if event.name:find "%.new$" and event.at == 0 then truncate(file, 0) end
  put(file, event.at, event.bytes)
end

-- Makes certain what `settles` says of the open events.
function Disk:settle(settles)
  local left = {}
  for _, event in ipairs(self.open) do
    if settles(event) then carry_out(self.certain, event) else left[#left + 1] = event end
  end
  self.open = left
end

--- Takes the next event of a record.
function Disk:apply(event)
  if event.kind == "durable" then
    carry_out(self.certain, event)
  elseif event.kind == "sync" and event.name == "." then
    self:settle(function(each) return each.kind == "rename" end)
  elseif event.kind == "sync" then
    self:settle(function(each) return each.kind ~= "rename" and each.name == event.name end)
  elseif event.kind == "write" or event.kind == "truncate" or event.kind == "rename" then
    self.open[#self.open + 1] = event
  end
end

local choices = {
  none = function() return false end,
  all = function() return true end,
}

--- Files that the disk may hold: what is certain, and of the rest what `how` takes: "none", "all",
-- or a function that is called for each open event and says whether it is there.
function Disk:choose(how)
  local takes, files = choices[how] or how, {}
  for name, file in pairs(self.certain) do files[name] = copy(file) end
  for _, event in ipairs(self.open) do
    if takes(event) and (event.kind ~= "rename" or files[event.name]) then carry_out(files, event) end
  end
  return files
end

--- Writes such files into an empty folder.
function write_order.write(files, place)
  for name, file in pairs(files) do
    local pages = {}
    for number = 0, math.ceil(file.size / PAGE) - 1 do pages[number + 1] = file[number] or ZEROS end
    folder.write(place .. "/" .. name, table.concat(pages):sub(1, file.size))
  end
end

return write_order
