-- libcurl's transport. That of nginx goes through the same cases in nginx_transport_spec.lua.

local new = require("upstash.kafka.core").new

require "spec.support.network_cases" (describe, it, new, { gzip = true, reconnects = true })
