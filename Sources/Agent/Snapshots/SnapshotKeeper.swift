import Contracts
import LinuxSystem

/// Sees to it that snapshots of the job are made and that no other volume works at it, by `agentd snapshot` and `agentd
/// claim`, at most one of each at a time.
///
/// A store that fails or hangs costs a running job warnings, and nothing else.
package final class SnapshotKeeper {
    private let program: String
    private let environment: [String]
    private let janitors: Janitors
    /// Milliseconds that the last snapshot may take when the process is stopped.
    private let stopLimit: Int64
    private let say: (String) -> Void

    private var snapshot: (process: ObjectStoreProcess, seq: Int64)?
    private var check: ObjectStoreProcess?
    private var hasWarnedOfCheck = false
    private var schedule: SnapshotSchedule

    /// Milliseconds.
    private static let snapshotLimit: Int64 = 600_000
    private static let lastLimit: Int64 = 120_000
    private static let claimPatience: Int64 = 30_000
    private static let claimPause: Int64 = 1000
    private static let checkPatience: Int64 = 2500
    private static let checkLimit: Int64 = 60_000

    /// `program` is `agentd`.
    package init(
        program: String, environment: [String: String], commands: JailedCommands, interval: Int64, grace: Int64,
        say: @escaping (String) -> Void
    ) {
        self.program = program
        self.environment = environment.map { "\($0.key)=\($0.value)" }
        janitors = commands.janitors
        schedule = SnapshotSchedule(interval: interval, now: Clock.monotonic)
        // A quarter of the grace, within the two thirds that PID 1 gives us (StopPlan).
        stopLimit = min(15000, grace / 4)
        self.say = say
    }

    // MARK: Snapshots

    /// Has a snapshot made as soon as none is running, if the journal has moved since the last.
    func request(_ reason: String) { schedule.request(reason) }

    /// Takes in how a snapshot has ended, and starts the next one if it is due. Never waits for the store.
    func look(seq: Int64) {
        if let running = snapshot, let end = running.process.look() { ended(end, seq: running.seq) }
        guard snapshot == nil, let reason = schedule.due(seq: seq, now: Clock.monotonic) else { return }
        start(reason, [], seq: seq)
    }

    /// Makes the last snapshot of this process, and waits for it within its bound. Nothing may be committed afterwards.
    /// `isEnd`: the job has ended, not only this process.
    func finish(_ reason: String, isStop: Bool, isEnd: Bool, seq: Int64, attention: any Attention) {
        let deadline = Deadline.after(milliseconds: isStop ? stopLimit : Self.lastLimit)
        var limit = deadline
        let beat = { [stopLimit] in
            if attention.attend() == .stop { limit = limit.sooner(.after(milliseconds: stopLimit)) }
        }
        // One that is running is of an older state: it makes way.
        if let running = snapshot {
            _ = running.process.kill("")
            snapshot = nil
        }
        // A store that fails is tried twice: the job's end is worth it.
        for attempt in 1...2 where !limit.hasPassed {
            start(reason, ["--final"] + (isEnd ? ["--project"] : []), seq: seq)
            guard let running = snapshot else { return }
            var end: ObjectStoreProcess.End?
            while end == nil, !limit.hasPassed {
                end = running.process.wait(until: limit.sooner(.after(milliseconds: 200)), attention: beat)
            }
            ended(end ?? running.process.kill("it did not end in time and was killed"), seq: seq)
            if schedule.failures == 0 || isStop { return }
            if attempt == 1 { _ = try? waitReadable([], until: limit.sooner(.after(milliseconds: 1000))) }
        }
    }

    private func start(_ reason: String, _ flags: [String], seq: Int64) {
        schedule.begin(now: Clock.monotonic)
        do throws(SystemError) {
            let process = try ObjectStoreProcess(
                program: program, arguments: ["snapshot", "--reason", reason] + flags,
                environment: environment, among: janitors, limit: Self.snapshotLimit)
            snapshot = (process, seq)
        } catch {
            ended(.init(code: nil, words: "\(error)"), seq: seq)
        }
    }

    private func ended(_ end: ObjectStoreProcess.End, seq: Int64) {
        snapshot = nil
        if end.code == 0 {
            if schedule.failures > 0 { say("a snapshot was made again (event \(seq))") }
            schedule.succeeded(seq: seq)
            if !end.words.isEmpty { say(end.words) }
            return
        }
        let pause = schedule.failed(now: Clock.monotonic)
        say(
            "warning: no snapshot was made or not all of it, the job goes on without (next try in \(pause / 1000) s): \(end.words)"
        )
    }

    // MARK: Claims

    /// Claims the epoch that this process has taken, before anything is done under it.
    ///
    /// - Throws: `StoreError`: `fenced` if another volume has the job; `inputOutput` if the store does not say so within
    ///   half a minute, or says that it never will, for nobody knows then who owns the job.
    package func claim(_ epoch: Int64, attention: any Attention) throws(StoreError) {
        let nonce = String(UInt64.random(in: 0 ... .max), radix: 36) + String(UInt64.random(in: 0 ... .max), radix: 36)
        let deadline = Deadline.after(milliseconds: Self.claimPatience)
        var words = ""
        while !deadline.hasPassed {
            var isStopped = false
            let beat = { if attention.attend() == .stop { isStopped = true } }
            do throws(SystemError) {
                let process = try claimProcess(epoch, ["--nonce", nonce], limit: deadline.remaining)
                var end: ObjectStoreProcess.End?
                while end == nil, !isStopped {
                    end = process.wait(until: .after(milliseconds: 200), attention: beat)
                }
                guard let end else {
                    _ = process.kill("")
                    throw SystemError("claim", code: 4)
                }
                words = end.words
                switch end.code {
                case 0: return
                case ClaimVerdict.superseded: throw SystemError("claim", code: 1)
                // Asked wrongly: to ask again changes nothing.
                case ExitCode.configuration.rawValue: throw SystemError("claim", code: 2)
                default: break
                }
            } catch {
                if error.call == "claim" {
                    switch error.code {
                    case 1: throw fenced(epoch, words)
                    case 2: throw unknownOwner(words)
                    default: throw StoreError(.inputOutput, "stopped while the epoch was being claimed")
                    }
                }
                words = "\(error)"
            }
            beat()
            _ = try? waitReadable([], until: deadline.sooner(.after(milliseconds: Self.claimPause)))
        }
        throw unknownOwner(words)
    }

    private func unknownOwner(_ words: String) -> StoreError {
        StoreError(
            .inputOutput,
            "the object store of AGENT_SNAPSHOT_URL does not say who owns the job (\(words)); make it reachable and start "
                + "again")
    }

    /// Begins to ask whether another volume has taken the job since. To be settled by `settleCheck`.
    func beginCheck(_ epoch: Int64) {
        if let running = check {
            guard running.look() != nil else { return }
            check = nil
        }
        check = try? claimProcess(epoch, ["--check"], limit: Self.checkLimit)
    }

    /// Throws if another volume has taken the job. A store that does not answer soon is passed over.
    ///
    /// - Throws: `StoreError(.fenced)`.
    func settleCheck(_ epoch: Int64, attention: any Attention) throws(StoreError) {
        guard let running = check else { return }
        let end = running.wait(until: .after(milliseconds: Self.checkPatience)) { _ = attention.attend() }
        if end != nil { check = nil }
        switch end?.code {
        case 0: hasWarnedOfCheck = false
        case ClaimVerdict.superseded: throw fenced(epoch, end?.words ?? "")
        default:
            if !hasWarnedOfCheck {
                say(
                    "warning: the object store does not say whether another volume has taken the job; it goes on, and asks "
                        + "again at each step: \(end?.words ?? "no answer in \(Self.checkPatience) ms")")
            }
            hasWarnedOfCheck = true
        }
    }

    private func claimProcess(
        _ epoch: Int64, _ more: [String], limit: Int64
    ) throws(SystemError) -> ObjectStoreProcess {
        try ObjectStoreProcess(
            program: program, arguments: ["claim", "--epoch", "\(epoch)"] + more, environment: environment,
            among: janitors, limit: limit)
    }

    private func fenced(_ epoch: Int64, _ words: String) -> StoreError {
        StoreError(
            .fenced,
            "another volume has taken the job over (\(words); this one has epoch \(epoch)); this one stops. To go on "
                + "here with the newest snapshot, run `agent-init restore`")
    }
}

/// What `agentd claim` says by its exit code, beside the documented ones.
package enum ClaimVerdict {
    /// Another volume has the job.
    package static let superseded: Int32 = 3
}
