package import Agent
import Contracts
import Events
import Glibc
package import LinuxSystem
import SQLite
import SecretRedaction

/// The gateway's one thread: reads the journal and the loop's pipes, stores records in the spool, hands them to the
/// sinks, and commands to the loop.
///
/// It never blocks but in its poll; whatever may block has a worker. Killed at any instant, it goes on from the spool.
package final class Pipeline {
    private let configuration: GatewayConfiguration
    private let health: Health
    private let spool: Spool
    private let bell: Bell
    private var intake: Intake
    private var feeds: [SinkFeed] = []
    private var commandWorker: CommandWorker?
    private var commandPipe: CommandPipe
    private var output: PipeSource
    private var errors: PipeSource
    private var live: LiveSource
    private var gasps: GaspFolder?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    private var nextBeat: Int64 = 0
    private var journalDue: Int64 = 0
    private var storeDue: Int64 = 0
    private var notes = NoteGate()
    /// How far the journal was, by those who know.
    private var witnesses: [(name: String, cursor: JournalCursor)] = []
    /// A sink that could not yet be asked; empty if there is none.
    private var unasked = ""

    private static let beatInterval: Int64 = 2000
    private static let journalInterval: Int64 = 250
    /// What a start waits for its sinks to say what they hold already, and then for a journal that can be read.
    private static let startPatience: Int64 = 3000

    /// Opens the spool and starts the sinks.
    ///
    /// - Throws: `GatewayError`: a folder, a sink or the journal that cannot be used.
    package init(
        _ configuration: GatewayConfiguration, journal: any JournalReader, sinks: [SinkPlan], commands: CommandPlan?,
        health: Health
    ) throws(GatewayError) {
        self.configuration = configuration
        self.health = health
        let secrets = LoadedSecrets(configuration.secrets, folder: configuration.secretsFolder)
        let redactor = secrets.redactor
        intake = Intake(journal: journal, secrets: secrets)
        gasps = configuration.gasps.map(GaspFolder.init)
        spool = try Spool(
            path: configuration.spoolPath, job: configuration.job, limit: configuration.spoolLimit,
            sinks: sinks.map(\.name))
        do throws(SystemError) {
            output = try PipeSource(configuration.loopStandardOutput, stream: .stdout, redactor: redactor)
            errors = try PipeSource(configuration.loopStandardError, stream: .stderr, redactor: redactor)
            live = try LiveSource(configuration.live)
            commandPipe = try CommandPipe(configuration.commands)
            if let status = configuration.status { try setNonBlocking(status, true) }
            bell = try Bell()
            for plan in sinks { feeds.append(SinkFeed(try SinkWorker(plan, spool: spool.incarnation, done: bell))) }
            if let commands { commandWorker = try CommandWorker(commands, done: bell) }
        } catch {
            throw GatewayError(.internalError, "the gateway cannot start: \(error)")
        }
        if let aside = spool.setAside {
            intake.add(
                .gateway(
                    "the spool was damaged and is set aside as \(aside); the journal is shipped again from its beginning",
                    name: "spool_damaged", severity: .error))
        }
        let stored = spool.journal
        let held = try awaitSinks()
        try catchUp()
        witnesses =
            [("the log's spool", stored)]
            + held.compactMap { held in
                held.journal.map { ("what NATS holds", $0) }
            }
        tellOfJournal()
    }

    deinit { buffer.deallocate() }

    /// Whether the loop has ended: PID 1 closes all its pipes then.
    package var sourcesHaveEnded: Bool { output.hasEnded && errors.hasEnded && live.hasEnded }

    // MARK: The beginning

    /// Waits until the sinks are made. A new spool also has to know what they hold of this job already: a number that
    /// a stream or a file has seen before would pass for a repetition.
    ///
    /// - Returns: what the sinks hold, as far as they have said so.
    private func awaitSinks() throws(GatewayError) -> [Holding] {
        let deadline = Deadline.after(milliseconds: Self.startPatience)
        while feeds.contains(where: { $0.start == nil }), !deadline.hasPassed {
            bell.wait(deadline.remaining)
            settle()
            beat()
        }
        var known: [Holding] = []
        for feed in feeds {
            switch feed.start {
            case .unusable(let error)?: throw GatewayError(.configuration, error.description)
            case .ready(let held?)?: known.append(held)
            default: unasked = feed.worker.name
            }
        }
        let highest = known.max { $0.seq < $1.seq } ?? .nothing
        if spool.isNew, highest.seq > 0 { spool.goOn(after: highest) }
        return known
    }

    /// Tells the loop whether the log knows of events that the journal has not.
    private func tellOfJournal() {
        var statement = JournalStatement(unasked: unasked)
        for (name, cursor) in witnesses where (try? intake.lacks(cursor)) == true {
            // The furthest of them.
            if let beyond = statement.beyond, beyond >= cursor.place { continue }
            statement.beyond = cursor.place
            statement.witness = name
        }
        commandPipe.tell(statement)
        commandPipe.send(nil)
    }

    /// Waits for a journal that can be read: the loop, which starts with us, may be putting a backup in its place, and may
    /// end before this process could be started again.
    private func catchUp() throws(GatewayError) {
        let deadline = Deadline.after(milliseconds: Self.startPatience)
        while true {
            do throws(StoreError) {
                return try intake.catchUp(with: spool)
            } catch {
                guard !deadline.hasPassed else {
                    throw GatewayError(.tryAgain, "the journal cannot be read: \(error)")
                }
            }
            _ = try? waitReadable([], until: .after(milliseconds: 50))
            beat()
        }
    }

    // MARK: One round

    /// Waits until there is something to do, at most until `deadline`, and does it.
    ///
    /// - Throws: `GatewayError` if the spool is damaged: the next start sets it aside.
    package func round(until deadline: Deadline, also descriptor: Int32 = -1) throws(GatewayError) {
        wait(until: deadline, also: descriptor)
        bell.silence()
        if live.read(into: buffer) {
            health.loopIsAlive()
            journalDue = 0
        }
        intake.followSecrets()
        output.cutAround(intake.redactor)
        errors.cutAround(intake.redactor)
        intake.add(output.read(into: buffer))
        intake.add(errors.read(into: buffer))
        takeGasps()
        settle()
        if journalDue <= Clock.monotonic { try readJournal() }
        // Not before the end of the journal is known: it may have the command already.
        if journalDue > 0 { takeCommands() }
        try store()
        handOver()
        beat()
    }

    private func wait(until deadline: Deadline, also descriptor: Int32) {
        var wake = deadline.sooner(Deadline(at: journalDue)).sooner(Deadline(at: nextBeat))
        for at in [output.flushAt, errors.flushAt, gasps?.dueAt] + feeds.map(\.wakeAt) {
            if let at { wake = wake.sooner(Deadline(at: at)) }
        }
        var set = [bell.descriptor, output.descriptor, errors.descriptor, live.descriptor, descriptor].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        if commandPipe.isWaiting { set.append(pollfd(fd: commandPipe.number, events: Int16(POLLOUT), revents: 0)) }
        _ = poll(&set, nfds_t(set.count), max(0, wake.pollTimeout))
    }

    private func takeGasps() {
        guard let due = gasps?.dueAt, due <= Clock.monotonic else { return }
        do {
            intake.add(try gasps?.take(spool, onTheirWay: intake.waitingGasps) ?? [])
        } catch {
            note("gasps", "a last-gasp record cannot be shipped: \(error)")
        }
    }

    private func readJournal() throws(GatewayError) {
        journalDue = Clock.monotonic + Self.journalInterval
        do throws(StoreError) {
            if try intake.readJournal(spool) { journalDue = 0 }
            if intake.takeNewOwner() { tellOfJournal() }
        } catch {
            // The next process finds out what of it is shipped already.
            guard error.kind != .replaced else { throw GatewayError(.internalError, error.description) }
            note("journal", "the journal cannot be read: \(error)")
        }
    }

    private func store() throws(GatewayError) {
        guard Clock.monotonic >= storeDue else { return }
        do throws(SQLiteError) {
            if try intake.store(spool) { health.loopIsAlive() }
            health.spoolFails(nil)
        } catch {
            guard !error.isCorrupt else {
                throw GatewayError(.internalError, "the spool is damaged (\(error)); the next start sets it aside")
            }
            health.spoolFails(error.description)
            storeDue = Clock.monotonic + 1000
            if notes.opens("spool") { complain("the log cannot be stored: \(error)") }
        }
    }

    private func settle() {
        for index in feeds.indices {
            if let record = feeds[index].settle(spool) { intake.add(SpoolEntry(record)) }
            if let late = feeds[index].takeLate() {
                unasked = ""
                if let journal = late.journal { witnesses.append(("what NATS holds", journal)) }
                tellOfJournal()
            }
        }
    }

    private func handOver() {
        for index in feeds.indices {
            do throws(SQLiteError) {
                try feeds[index].feed(spool)
            } catch {
                if notes.opens("spool") { complain("the spool cannot be read: \(error)") }
            }
        }
    }

    private func takeCommands() {
        guard let worker = commandWorker else { return commandPipe.send(nil) }
        for text in worker.takeNotes() {
            intake.add(.gateway(text, name: "command_refused", severity: .warn))
        }
        if let failure = worker.failure { note("commands", "commands cannot be received: \(failure)") }
        var pending = worker.pending
        if let command = pending, intake.projection.state.seenCommands.contains(command.id) {
            // It is in the journal, and after this round's transaction also in the spool.
            worker.recorded(command.id)
            pending = nil
        }
        commandPipe.send(pending)
    }

    private func beat() {
        guard let status = configuration.status, Clock.monotonic >= nextBeat else {
            if configuration.status == nil { nextBeat = .max }
            return
        }
        nextBeat = Clock.monotonic + Self.beatInterval
        _ = writeOnce(status, StatusLine.beat.line + "\n")
    }

    /// A message of our own, the same one at most once a minute.
    private func note(_ topic: String, _ text: String) {
        if notes.opens(topic) { intake.add(.gateway(text, severity: .warn)) }
    }

    // MARK: The end

    /// Reads what is left, and delivers until all sinks have all or the deadline has passed.
    ///
    /// - Returns: what could not be delivered, for each sink in words. It stays in the spool.
    /// - Throws: `GatewayError` as `round`.
    package func finish(by deadline: Deadline) throws(GatewayError) -> [String] {
        commandWorker?.end()
        storeDue = 0
        gasps?.hasten()
        repeat {
            journalDue = 0
            try round(until: .after(milliseconds: 0))
        } while journalDue == 0 && !deadline.hasPassed
        while !undelivered.isEmpty, !deadline.hasPassed { try round(until: deadline) }
        let left = undelivered.map { feed in
            let count = spool.nextSeq - 1 - spool.cursor(of: feed.worker.name)
            return "\(count) records were not delivered to \(feed.worker.name); they are in the spool"
        }
        for feed in feeds { feed.worker.end() }
        // A connection that is closed properly is one less for the server to time out; but no more than that.
        let patience = Deadline.after(milliseconds: 500)
        while feeds.contains(where: { !$0.worker.hasEnded }), !patience.hasPassed { bell.wait(patience.remaining) }
        settle()
        try store()
        // The files of what is in the spool now.
        gasps?.hasten()
        takeGasps()
        return left
    }

    private var undelivered: [SinkFeed] {
        feeds.filter { spool.cursor(of: $0.worker.name) < spool.nextSeq - 1 }
    }
}

/// One line on standard error: for what cannot be stored.
func complain(_ text: String) { _ = try? writeAll(2, "agentd gateway: \(text)\n") }

/// Lets a topic through at most once a minute.
private struct NoteGate {
    private var next: [String: Int64] = [:]

    mutating func opens(_ topic: String) -> Bool {
        let now = Clock.monotonic
        guard now >= next[topic] ?? 0 else { return false }
        next[topic] = now + 60_000
        return true
    }
}
