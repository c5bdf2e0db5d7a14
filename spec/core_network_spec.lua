-- libcurl's transport. That of nginx goes through the same cases in nginx_transport_spec.lua.

require "spec.support.network_cases" (describe, it, require("upstash.kafka.core").new, { gzip = true, reconnects = true })
