--- gzip for tests, through the program gzip.

local gzip = {}

local function filter(bytes, flags)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(bytes)
  file:close()
  local pipe = assert(io.popen(("gzip -c %s < '%s'"):format(flags, name), "r"))
  local result = pipe:read "*a"
  pipe:close()
  os.remove(name)
  return result
end

--- The compressed bytes; `level` is 1 (fast) to 9.
function gzip.zip(bytes, level)
  return filter(bytes, "-" .. (level or 6))
end

--- Decompresses the body of a gzip response, and returns the response.
function gzip.undo(response)
  if response.headers["content-encoding"] == "gzip" then
    response.body = filter(response.body, "-d")
  end
  return response
end

return gzip
