-- wrk's script: METHOD, PATHS (a file, one path a line), BODY (with %d for a number) and TOKEN come from the environment.
local paths = {}
for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end
local method, body, token = os.getenv("METHOD"), os.getenv("BODY"), os.getenv("TOKEN")
local headers = { ["Content-Type"] = "application/json" }
if token and token ~= "" then headers["Authorization"] = token end
local requests = {}
local next_request = 0

function init()
    math.randomseed(7)
    for number = 1, 4096 do
        local path = paths[math.random(#paths)]
        local text = body and body ~= "" and string.gsub(body, "%%d", tostring(number)) or nil
        requests[number] = wrk.format(method, path, headers, text)
    end
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d\n", summary.requests, summary.duration,
        errors.status + errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99)))
end
