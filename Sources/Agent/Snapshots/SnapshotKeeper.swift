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
    private var hasWarnedOfOld = false
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
                program: program, arguments: ["snapshot", "--reason", reason, "--for-loop"] + flags,
                environment: environment, among: janitors, limit: Self.snapshotLimit)
            snapshot = (process, seq)
        } catch {
            ended(.init(code: nil, words: "\(error)"), seq: seq)
        }
    }

    private func ended(_ end: ObjectStoreProcess.End, seq: Int64) {
        snapshot = nil
        if end.code == 0 || end.code == SnapshotVerdict.oldOnesStay {
            if schedule.failures > 0 { say("a snapshot was made again (event \(seq))") }
            schedule.succeeded(seq: seq)
            // Once, and not with each snapshot: nothing is lost by it.
            if !end.words.isEmpty, end.code == 0 || !hasWarnedOfOld { say(end.words) }
            hasWarnedOfOld = end.code == SnapshotVerdict.oldOnesStay
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
    /// - Throws: `StoreError`: `fenced` if another volume has the job; `denied` or `refused` if the store says that it never
    ///   will, of credentials after their time (`KeyPatience`); `inputOutput` if it says nothing within half a minute, for
    ///   nobody knows then who owns the job; `stopped`.
    package func claim(_ epoch: Int64, attention: any Attention) throws(StoreError) {
        let nonce = String(UInt64.random(in: 0 ... .max), radix: 36) + String(UInt64.random(in: 0 ... .max), radix: 36)
        var outage = Deadline.after(milliseconds: Self.claimPatience)
        var key = KeyPatience()
        var words = ""
        while true {
            let end = try claimOnce(epoch, nonce, limit: outage.remaining, attention)
            // One that was killed at the limit cannot say why it took so long; the one before may have.
            if end.code != nil || words.isEmpty { words = end.words }
            var pause = Self.claimPause
            switch end.code {
            case 0: return
            case ClaimVerdict.superseded: throw fenced(epoch, end.words)
            case ClaimVerdict.keyRefused:
                let isFirst = !key.isWaiting
                guard let wait = key.refused(random: Double.random(in: 0...1)) else {
                    throw StoreError(
                        .denied,
                        "the object store refuses the credentials, for \(KeyPatience.total / 1000) s now: \(end.words)")
                }
                if isFirst {
                    say(
                        "warning: the object store refuses the credentials; they are read again, and the same are tried for "
                            + "\(KeyPatience.total / 1000) s: \(end.words)")
                }
                pause = wait
                // It answers.
                outage = .after(milliseconds: Self.claimPatience + wait)
            case ExitCode.notPermitted.rawValue: throw StoreError(.denied, end.words)
            case ExitCode.configuration.rawValue: throw StoreError(.refused, end.words)
            default:
                guard !outage.hasPassed else {
                    let isOut = end.code == nil || end.code == ExitCode.tryAgain.rawValue
                    throw StoreError(
                        .inputOutput,
                        "the object store of AGENT_SNAPSHOT_URL does not say who owns the job (\(words)); "
                            + (isOut ? "make it reachable" : "look at what it holds") + " and start again")
                }
            }
            let next = Deadline.after(milliseconds: pause)
            while !next.hasPassed {
                if attention.attend() == .stop { throw Self.stoppedClaim }
                _ = try? waitReadable(attention.descriptors, until: next.sooner(.after(milliseconds: 200)))
            }
        }
    }

    private static let stoppedClaim = StoreError(.stopped, "stopped by SIGTERM before anything was done")

    /// One process that claims it, to its end or `limit`; what it says begins with what failed.
    private func claimOnce(
        _ epoch: Int64, _ nonce: String, limit: Int64, _ attention: any Attention
    ) throws(StoreError) -> ObjectStoreProcess.End {
        let process: ObjectStoreProcess
        do throws(SystemError) {
            process = try claimProcess(epoch, ["--nonce", nonce], limit: limit)
        } catch {
            return .init(code: nil, words: "\(error)")
        }
        while true {
            var isStopped = false
            let end = process.wait(until: .after(milliseconds: 200)) {
                if attention.attend() == .stop { isStopped = true }
            }
            if let end { return end }
            if isStopped {
                _ = process.kill("")
                throw Self.stoppedClaim
            }
        }
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
    /// The store refuses the credentials, which may have been rotated.
    package static let keyRefused: Int32 = 4
}

/// What `agentd snapshot --for-loop` says by its exit code, beside the documented ones.
package enum SnapshotVerdict {
    /// The snapshot is stored, but those that are to go could not be deleted.
    package static let oldOnesStay: Int32 = 3
}
