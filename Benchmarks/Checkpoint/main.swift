import Agent
import Events
import Glibc
import LinuxSystem
import Stores

// Steps of one 2 KB message each, durable each, in a fresh checkpoint: what a commit costs and what the file weighs.
// Usage: checkpoint-benchmark FILE STEPS. Prints one line of JSON; times in microseconds.
// With `job` or `whole` behind it, the journal of a whole job of so many steps instead, compacted as the loop would or
// not at all, and nothing is printed: Benchmarks/resume starts the loop on it.

func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

let arguments = CommandLine.arguments
guard [3, 4].contains(arguments.count), let steps = Int(arguments[2]), steps > 10 else {
    fatalError("usage: checkpoint-benchmark FILE STEPS [job|whole]")
}
let path = arguments[1]
if arguments.count == 4 {
    let store = try SQLiteCheckpointStore(path: path, job: "benchmark")
    let ledger = try Ledger(store: store, version: "benchmark", host: "benchmark")
    try LongJob(ledger: ledger).write(steps: steps, isCompacted: arguments[3] == "job")
    exit(0)
}
let message = String(repeating: "x", count: 2048)
var commits: [Int64] = []
do {
    let store = try SQLiteCheckpointStore(path: path, job: "benchmark")
    let ledger = try Ledger(store: store, version: "benchmark", host: "benchmark")
    try ledger.commit(.taskReceived(.init(text: "benchmark", source: "AGENT_TASK")))
    try ledger.commit(
        .phaseChanged(.init(from: .strategic, to: .tactical, number: 1, reason: "benchmark", brief: "")))
    for step in 1...steps {
        // One durable step is one commit with one message of 2 KB, as in the peer's run: an answer and its request.
        let begin = now()
        try ledger.commit([
            .llmIntent(.init(turn: step, attempt: 1, hold: 1000)),
            .llmDone(
                .init(
                    turn: step, attempt: 1, content: [.text(message)], calls: [], stop: .endTurn,
                    usage: TokenUsage(input: 10, output: 10), duration: 1)),
        ])
        commits.append(now() - begin)
    }
}
var usage = rusage()
getrusage(RUSAGE_SELF.rawValue, &usage)
let time = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
let cpu = Int64(time) * 1_000_000 + Int64(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
let begin = now()
let loaded = try Ledger(
    store: try SQLiteCheckpointStore(path: path, job: "benchmark"), version: "benchmark", host: "benchmark")
let load = now() - begin
precondition(loaded.state.spent.steps == steps)
func percentile(_ values: some Collection<Int64>, _ share: Double) -> Int64 {
    let sorted = values.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}
var size: Int64 = 0
for suffix in ["", "-wal"] {
    var status = stat()
    if stat(path + suffix, &status) == 0 { size += Int64(status.st_size) }
}
let result: JSON = [
    "steps": .int(Int64(steps)), "p50": .int(percentile(commits, 0.5)), "p99": .int(percentile(commits, 0.99)),
    "first_tenth_p50": .int(percentile(commits.prefix(steps / 10), 0.5)),
    "last_tenth_p50": .int(percentile(commits.suffix(steps / 10), 0.5)), "bytes": .int(size), "cpu": .int(cpu),
    "load": .int(load),
]
print(result.text)
