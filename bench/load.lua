-- What wrk asks, and what it says at the end: one line of JSON, times in microseconds.
-- usage: wrk … -s load.lua URL [-- files NUMBER | think MILLISECONDS]
--   files NUMBER           of /many/0.bin and so on, one after the other, in place of the URL's path
--   think MILLISECONDS     that each connection waits before it asks, on average, exponentially distributed

wrk.headers["Host"] = "localhost"

function init(arguments)
    local number = tonumber(arguments[2])
    if arguments[1] == "files" then
        local requests, next_one = {}, 0
        for file = 0, number - 1 do
            requests[file] = wrk.format("GET", "/many/" .. file .. ".bin")
        end
        function request()
            next_one = (next_one + 1) % number
            return requests[next_one]
        end
    elseif arguments[1] == "think" then
        function delay()
            -- wrk waits whole milliseconds: rounded up or down at random, so that the mean stays.
            return math.floor(math.random() - number * math.log(1 - math.random()))
        end
    end
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests":%d,"duration":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,' ..
            '"p50":%d,"p99":%d,"p999":%d}',
        summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.timeout,
        errors.status, latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
