package import Events
import LinuxSystem

/// The log and the events in JetStream: `logs.agent.<job>` and `events.agent.<job>`, with `Nats-Msg-Id: <job>.<seq>`.
///
/// Taken means acknowledged by JetStream (which acknowledges before its own fsync: keep a replica, or the spool's tail
/// for what a server loses with its power). A batch is sent at once and its acknowledgements are awaited; after a
/// reconnection or a batch that was not wholly acknowledged, JetStream is asked for the last message of each subject
/// and it goes on after that: so nothing is doubled even after JetStream's window for duplicates (2 minutes) is over.
package final class NATSSink: EventSink {
    package let name = "nats"
    private let settings: NATSSettings
    private let spool: String
    private let connection: NATSConnection
    private var target: Target?
    private var batches = 0
    /// From here on what JetStream holds last says nothing about what it holds before: it refused a message and took
    /// later ones.
    private var distrustFrom = Int64.max

    /// Where to publish, as found out over one connection.
    private struct Target {
        let generation: UInt64
        let logs: JetStream.Stream
        let events: JetStream.Stream
        let acknowledgements: NATSSubscription
        let inbox: String
        var lastLog: Int64
        var lastEvent: Int64
    }

    /// Milliseconds that a delivery may take: the sink's contract gives 5 s.
    private static let patience: Int64 = 4500

    /// `spool` is the spool's incarnation, which is written into each message's header `Agent-Spool`.
    package init(_ settings: NATSSettings, spool: String) {
        self.settings = settings
        self.spool = spool
        connection = NATSConnection(settings)
    }

    package func lastTaken() -> Holding? {
        // The server may be starting with us, in the next container.
        let deadline = Deadline.after(milliseconds: 2000)
        while true {
            if let generation = try? connection.ensure(), let held = try? held(generation, deadline) { return held }
            if deadline.hasPassed { return nil }
            _ = try? waitReadable([], until: .after(milliseconds: 50))
        }
    }

    private func held(_ generation: UInt64, _ deadline: Deadline) throws(SinkError) -> Holding {
        let jetStream = JetStream(connection: connection, settings: settings)
        var result = Holding.nothing
        for subject in [settings.logs, settings.events] {
            let stream = try jetStream.stream(of: subject, until: deadline)
            guard let last = try jetStream.last(of: subject, in: stream, until: deadline), last.seq > result.seq
            else { continue }
            result = Holding(seq: last.seq, journal: last.journal)
        }
        return result
    }

    package func deliver(_ batch: [Delivery]) throws(SinkError) -> Int64 {
        guard let first = batch.first, let last = batch.last else { return 0 }
        let deadline = Deadline.after(milliseconds: Self.patience)
        let target = try aim(first: first.seq, deadline)
        var publication = Publication(first: first.seq - 1)
        // A stream that refuses when it is full may take a short message after it has refused a long one.
        let isCareful = target.logs.refusesWhenFull || target.events.refusesWhenFull || distrustFrom < .max
        for delivery in batch {
            try publish(delivery, target, &publication)
            if isCareful { try collect(&publication, target, deadline) }
            if publication.failure != nil { break }
        }
        try collect(&publication, target, deadline)
        let taken = publication.taken
        if let refused = publication.refusedBeforeTaken { distrustFrom = min(distrustFrom, refused) }
        guard taken < last.seq else { return taken }
        self.target = nil
        if taken < first.seq {
            throw publication.failure ?? SinkError("JetStream does not acknowledge in \(Self.patience / 1000) s")
        }
        return taken
    }

    /// Finds the streams and what they hold, once for each connection.
    private func aim(first: Int64, _ deadline: Deadline) throws(SinkError) -> Target {
        let generation = try connection.ensure()
        if let target, target.generation == generation { return target }
        let jetStream = JetStream(connection: connection, settings: settings)
        let logs = try jetStream.stream(of: settings.logs, until: deadline)
        let events = try jetStream.stream(of: settings.events, until: deadline)
        let lastLog = try last(settings.logs, logs, jetStream, first: first, deadline)
        let lastEvent = try last(settings.events, events, jetStream, first: first, deadline)
        let inbox = connection.inbox()
        let made = Target(
            generation: generation, logs: logs, events: events,
            acknowledgements: try connection.subscribe(inbox + ".>"), inbox: inbox, lastLog: lastLog,
            lastEvent: lastEvent)
        target = made
        return made
    }

    private func last(
        _ subject: String, _ stream: JetStream.Stream, _ jetStream: JetStream, first: Int64, _ deadline: Deadline
    ) throws(SinkError) -> Int64 {
        guard let last = try jetStream.last(of: subject, in: stream, until: deadline) else { return 0 }
        if last.spool == spool { return last.seq }
        guard last.seq < first else {
            throw SinkError(
                "\(stream.name) holds records of \(subject) up to \(last.seq) from another run of this job; give the "
                    + "job another JOB_ID or purge the subject")
        }
        return 0
    }

    // MARK: One batch

    private func publish(
        _ delivery: Delivery, _ target: Target, _ publication: inout Publication
    ) throws(SinkError) {
        if publication.isEmpty { batches += 1 }
        let id = "\(settings.job).\(delivery.seq)"
        let skips = delivery.seq < distrustFrom
        var messages = 0
        do throws(SinkError) {
            if !(skips && delivery.seq <= target.lastLog) {
                let text = shortened(delivery.record, target.logs, delivery.seq)
                try send(settings.logs, text, id: id, delivery.journal, target, publication.add(delivery.seq))
                messages += 1
            }
            if let event = delivery.event, !(skips && delivery.seq <= target.lastEvent) {
                // In one stream the same id would pass for a repetition.
                let own = target.events.name == target.logs.name ? id + ".event" : id
                let text = shortened(event, target.events, delivery.seq)
                try send(settings.events, text, id: own, delivery.journal, target, publication.add(delivery.seq))
                messages += 1
            }
        } catch {
            publication.failure = error
            return
        }
        if messages == 0 { publication.skip(delivery.seq) }
    }

    private func send(
        _ subject: String, _ text: String, id: String, _ journal: JournalCursor?, _ target: Target, _ index: Int
    ) throws(SinkError) {
        var headers = [("Nats-Msg-Id", id), ("Agent-Spool", spool)]
        if let journal { headers.append(("Agent-Journal", journal.text)) }
        try connection.publish(
            subject, text, reply: "\(target.inbox).\(batches).\(index)", headers: headers)
    }

    /// A text that the stream would never take is replaced by one that says so: it must not hold up all that follow.
    private func shortened(_ text: String, _ stream: JetStream.Stream, _ seq: Int64) -> String {
        // Headers count as payload.
        let limit = min(connection.payloadLimit, stream.messageLimit ?? .max) - 512
        guard text.utf8.count > limit, var members = (try? JSON(parsing: text))?.object else { return text }
        let note =
            "[\(text.utf8.count) bytes, more than the \(limit) that \(stream.name) takes; see the spool or stdout]"
        if members["body"] != nil { members["body"] = .string(note) }
        members["attributes"] = members["attributes"] == nil ? nil : ["truncated": true]
        if members["data"] != nil { members["data"] = ["truncated": .string(note)] }
        return JSON.object(members).text
    }

    private func collect(
        _ publication: inout Publication, _ target: Target, _ deadline: Deadline
    ) throws(SinkError) {
        while publication.isWaiting, !deadline.hasPassed {
            // In short waits: a connection that is lost meanwhile answers nothing more.
            let message: NATSMessage?
            do throws(SinkError) {
                message = try target.acknowledgements.next(wait: min(250, deadline.remaining))
            } catch {
                publication.failure = error
                return
            }
            guard let message else {
                if (try? connection.ensure()) == target.generation { continue }
                publication.failure = publication.failure ?? SinkError("the connection was lost")
                return
            }
            let parts = message.subject.split(separator: ".").suffix(2).compactMap { Int($0) }
            guard parts.count == 2, parts[0] == batches else { continue }
            publication.answer(parts[1], problem(message))
        }
    }

    private func problem(_ message: NATSMessage) -> SinkError? {
        if message.status == "503" { return SinkError("no stream keeps the subject any longer, or it has no leader") }
        guard let json = try? JSON(parsing: message.data) else { return SinkError("an acknowledgement is not JSON") }
        if let error = json["error"] {
            return SinkError(
                "JetStream refuses: \(error["description"]?.string ?? "?") (\(error["err_code"]?.int ?? 0))")
        }
        return json["seq"] == nil ? SinkError("an acknowledgement has no seq") : nil
    }
}
