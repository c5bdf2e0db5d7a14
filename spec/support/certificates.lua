--- Certificates for tests, made by openssl and valid for two days.
--
--     local cert, key = certificates.self_signed(place, "here", "IP:127.0.0.1")
--     -- "ours" is self-signed
--     local cert, key = certificates.issue(place, "ours", "client", { password = "secret" })

local folder = require "spec.support.folder"
local shell = require "spec.support.shell"

local certificates = {}

local function openssl(words)
  local status, _, err = shell.run("openssl " .. shell.words(words))
  if status ~= 0 then error(("openssl %s: %s"):format(words[1], err), 3) end
end

local function paths(place, name)
  return ("%s/%s.pem"):format(place, name), ("%s/%s.key"):format(place, name)
end

--- Makes a self-signed certificate. `host` is optional: the host that it is for, such as
-- "DNS:example.com". Returns the paths of certificate and key.
function certificates.self_signed(place, name, host)
  local cert, key = paths(place, name)
  local words = { "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=" .. name,
    "-keyout", key, "-out", cert }
  if host then words[#words + 1], words[#words + 2] = "-addext", "subjectAltName=" .. host end
  openssl(words)
  return cert, key
end

--- Makes a certificate signed by the self-signed one named `authority` in that folder. Options:
-- `host`, as above; `password` encrypts its key. Returns the paths of certificate and key.
function certificates.issue(place, authority, name, options)
  local cert, key = paths(place, name)
  local authority_cert, authority_key = paths(place, authority)
  local words = { "req", "-x509", "-CA", authority_cert, "-CAkey", authority_key, "-newkey", "rsa:2048", "-days", 2,
    "-subj", "/CN=" .. name, "-keyout", key, "-out", cert, "-addext", "basicConstraints=critical,CA:FALSE" }
  if options.host then words[#words + 1], words[#words + 2] = "-addext", "subjectAltName=" .. options.host end
  if options.password then
    words[#words + 1], words[#words + 2] = "-passout", "pass:" .. options.password
  else
    words[#words + 1] = "-nodes"
  end
  openssl(words)
  return cert, key
end

-- For the variable OPENSSL_CONF.
local EVERY_VERSION = [[
openssl_conf = start
[start]
ssl_conf = ssl
[ssl]
system_default = every
[every]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
]]

--- Serves one version of TLS, such as "tls1_1", and answers every request with a page that is not
-- JSON. Returns it with its `url`, its `port`, the path of a
-- configuration of OpenSSL that accepts every version (`every_version`), and a method `stop`.
function certificates.serve(place, options)
  local conf = place .. "/every_version.cnf"
  folder.write(conf, EVERY_VERSION)
  local process = shell.start("openssl " .. shell.words { "s_server", "-accept", "127.0.0.1:0", "-www",
    "-cert", options.cert, "-key", options.key, "-" .. options.version }, { environment = { OPENSSL_CONF = conf } })
  local port = process:expect "ACCEPT [%d.]+:(%d+)"
  return { every_version = conf, port = port, url = "https://127.0.0.1:" .. port,
    stop = function() process:remove() end }
end

return certificates
