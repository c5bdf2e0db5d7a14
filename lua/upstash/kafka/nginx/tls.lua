--- TLS handshakes over nginx's sockets: verified as the client says, and TLS 1.2 at least.
--
-- The directive lua_ssl_protocols says which versions nginx offers, and its default has old ones.
-- So the version is checked after the handshake, before anything is sent.

local LEAST = 0x0303 -- TLS 1.2, as TLS writes it

local tls = {}

local has_ffi, ffi = pcall(require, "ffi")
if has_ffi then
  has_ffi = pcall(ffi.cdef, [[
    int upstash_kafka_session_version(const void *session) __asm__("SSL_SESSION_get_protocol_version");
  ]])
end

-- The version of a session, nil where it cannot be known: the session is no pointer in Lua modules
-- before 0.10.22, and OpenSSL's function cannot be called where nginx hides it.
local function version_of(session)
  if not has_ffi or type(session) ~= "cdata" then return nil end
  local fine, version = pcall(function() return ffi.C.upstash_kafka_session_version(session) end)
  return fine and version or nil
end

local UNTRUSTED = "%d*:?%s*.*issuer" -- what OpenSSL says when it does not know the issuer

local function failure(target, problem)
  local text = ("TLS handshake with %s failed: %s"):format(target.where, problem)
  if problem == "timeout" then return "connect_failed", text end
  if problem:find(UNTRUSTED) or problem:find("self.signed") then
    text = text .. ": add its issuer to nginx's lua_ssl_trusted_certificate"
  elseif problem:find("chain too long", 1, true) then
    text = text .. ": raise nginx's lua_ssl_verify_depth"
  elseif problem:find("host mismatch", 1, true) and target.host:find "^[%[%d]" then
    text = text .. ": nginx verifies host names, not addresses"
  end
  return "tls_failed", text
end

local OLD = "the server speaks a version of TLS before 1.2"

--- Shakes hands on a new connection, with the session of the last handshake if there is one.
---@param target upstash.kafka.Target
---@param socket table
---@return true? done
---@return string? code of the failure
---@return string? text
function tls.shake_hands(target, socket)
  local name = target.host:gsub("^%[(.*)%]$", "%1")
  local session, problem = socket:sslhandshake(target.session, name, target.settings.verify)
  local version = session and version_of(session)
  if version and version < LEAST then session, problem = nil, OLD end
  if not session then
    target.session = nil
    return nil, failure(target, problem or "handshake failed")
  end
  if session ~= true then target.session = session end
  return true
end

return tls
