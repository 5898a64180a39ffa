package import Events
import LinuxSystem

/// Commands from `cmd.agent.<job>`, by the job's durable pull consumer.
///
/// One at a time (MaxAckPending 1), acknowledged explicitly and with an answer. What is no command is terminated, so
/// that it is never delivered again, and is never acted on.
package final class NATSCommandSource: CommandSource {
    private let settings: NATSSettings
    private let connection: NATSConnection
    private var intake: Intake?
    private var current: String?

    private struct Intake {
        let generation: UInt64
        let subject: String
        let inbox: String
        let messages: NATSSubscription
        /// Until when the server keeps our request.
        var askedUntil = Deadline(at: 0)
    }

    /// Milliseconds that the server keeps a request for the next message.
    private static let requestTime: Int64 = 30_000

    package init(_ settings: NATSSettings) {
        self.settings = settings
        connection = NATSConnection(settings)
    }

    package func next(wait: Int64) throws(SinkError) -> Incoming? {
        var intake = try prepared()
        if intake.askedUntil.hasPassed {
            let request: JSON = ["batch": 1, "expires": .int(Self.requestTime * 1_000_000)]
            try connection.publish(intake.subject, request.text, reply: intake.inbox)
            // A little longer than the server: its word that the time is over comes first.
            intake.askedUntil = .after(milliseconds: Self.requestTime + 1000)
            self.intake = intake
        }
        guard let message = try intake.messages.next(wait: wait) else { return nil }
        // Whatever came, it has used up the request.
        self.intake?.askedUntil = Deadline(at: 0)
        guard message.status == nil else {
            // 404 and 408: no message in the time. Others (409: another one waits to be acknowledged) pass as well.
            if message.status != "404", message.status != "408" { self.intake?.askedUntil = .after(milliseconds: 1000) }
            return nil
        }
        guard let reply = message.reply, let number = Self.streamSequence(reply) else { return nil }
        do throws(CommandError) {
            let command = try Command(parsing: message.data, id: "nats-\(number)")
            current = reply
            return .command(command)
        } catch {
            try connection.publish(reply, "+TERM")
            return .refused("message \(number) on \(settings.commands) is no command and is dropped: \(error)")
        }
    }

    package func holdOn() {
        if let current { try? connection.publish(current, "+WPI") }
    }

    package func acknowledge() throws(SinkError) {
        guard let reply = current else { return }
        _ = try connection.request(reply, "+ACK")
        current = nil
    }

    private func prepared() throws(SinkError) -> Intake {
        let generation = try connection.ensure()
        if let intake, intake.generation == generation { return intake }
        let deadline = Deadline.after(milliseconds: 4500)
        let jetStream = JetStream(connection: connection, settings: settings)
        let stream = try jetStream.stream(of: settings.commands, until: deadline)
        let consumer = try jetStream.consumer(of: stream, until: deadline)
        let inbox = connection.inbox()
        let made = Intake(
            generation: generation, subject: "$JS.API.CONSUMER.MSG.NEXT.\(stream.name).\(consumer)", inbox: inbox,
            messages: try connection.subscribe(inbox))
        intake = made
        return made
    }

    /// The message's number in its stream, from `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.…` or the longer
    /// form with domain and account (ADR-15).
    private static func streamSequence(_ reply: String) -> Int64? {
        let parts = reply.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count == 9 { return Int64(parts[5]) }
        return parts.count >= 11 ? Int64(parts[7]) : nil
    }
}
