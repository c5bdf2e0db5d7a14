--- Instance names that differ in each process or worker: %p stands for the process number, %w for
-- the number of the nginx worker, from 0, and %% for %.

local core = require "upstash.kafka.core"
local host = require "upstash.kafka.host"

local instance = {}

local STANDS_FOR = { p = core.process_id, w = host.worker, ["%"] = function() return "%" end }

--- Replaces the signs in a name. Returns nil and a message if a sign is unknown.
---@param name string
---@return string? expanded
---@return string? message
function instance.expand(name)
  local missing
  local expanded = name:gsub("%%(.?)", function(sign)
    local value = STANDS_FOR[sign] and STANDS_FOR[sign]()
    if not value then missing = missing or "%" .. sign end
    return value
  end)
  if missing == "%w" then
    return nil, "instance: %w is the number of an nginx worker, and this is not an nginx worker"
  end
  if missing then return nil, ("instance: %%p, %%w or %%%% expected, got '%s'"):format(missing) end
  return expanded
end

return instance
