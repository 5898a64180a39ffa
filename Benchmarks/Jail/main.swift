import Agent
import Contracts
import Glibc
import LinuxSystem

// What a command costs beside its peers: each is started, waited for and reaped, in turn, so that a noisy moment meets all.
// Usage: jail-benchmark FOLDER AGENT_JAIL ROUNDS COMMAND…: the execute tool's own call (a janitor that waits), the same
// with a cold janitor, and posix_spawn. A peer is given as "+ NAME PROGRAM ARGUMENT…" after the command.
// Prints one line a case: its name, and then its times in microseconds, all separated by tabs.

final class NoAttention: Attention {
    var descriptors: [Int32] { [] }
    func attend() -> Interruption? { nil }
}

func microseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

func fail(_ problem: String) -> Never {
    _ = try? writeAll(2, "jail-benchmark: \(problem)\n")
    exit(1)
}

/// posix_spawn(3) with /dev/null for all three, to the end of the process.
func spawn(_ command: [String], null: Int32) {
    do throws(SystemError) {
        let pid = try Spawn(
            path: command[0], arguments: command, environment: ["PATH=/usr/bin:/bin"],
            descriptors: [(null, 0), (null, 1), (null, 2)]
        ).start()
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        if status != 0 { fail("\(command[0]) ended with \(status)") }
    } catch {
        fail("\(error)")
    }
}

func execute(_ command: [String], with commands: JailedCommands) {
    do throws(JailUnavailable) {
        let result = try commands.run(
            command, id: "benchmark", profile: .tactical, timeout: 60000, attention: NoAttention())
        if result.report.end != .exited(0) { fail("\(command): \(result.report.end) \(result.output)") }
    } catch {
        fail("\(error)")
    }
}

let words = Array(CommandLine.arguments.dropFirst())
guard words.count > 3, let rounds = Int(words[2]), rounds > 0 else {
    fail("usage: jail-benchmark FOLDER AGENT_JAIL ROUNDS COMMAND… [+ NAME PROGRAM ARGUMENT…]…")
}
let parts = words.dropFirst(3).split(separator: "+").map(Array.init)
let command = parts[0]
let null = open("/dev/null", O_RDWR | O_CLOEXEC)
let folders: Folders
do {
    folders = try Folders(environment: [
        "JOB_ID": "benchmark", "WORKSPACE_PATH": words[0], "AGENT_SECRETS_DIR": words[0] + "/secrets",
    ])
    try folders.prepare()
} catch {
    fail("\(error)")
}
let commands = JailedCommands(program: words[1], folders: folders, proxy: Settings.Proxy())

var cases: [(name: String, run: () -> Void)] = [
    ("posix_spawn", { spawn(command, null: null) }),
    ("execute", { execute(command, with: commands) }),
    ("execute, the janitor not started ahead", { execute(command, with: commands) }),
]
for peer in parts.dropFirst() {
    cases.append((peer[0], { spawn(Array(peer.dropFirst()), null: null) }))
}
var times = [[Int64]](repeating: [], count: cases.count)
for round in -5..<rounds {
    for (index, one) in cases.enumerated() {
        // As the loop does while it waits for the model.
        if index == 1 { commands.expectCommand(.tactical) }
        usleep(5000)
        let begin = microseconds()
        one.run()
        if round >= 0 { times[index].append(microseconds() - begin) }
    }
}
for (index, one) in cases.enumerated() {
    print(one.name, times[index].map(String.init).joined(separator: "\t"), separator: "\t")
}
