package import Events
import LinuxSystem

/// Whether the servers of a job can be reached and keep its subjects: a question that changes nothing.
package enum NATSReach {
    /// Looks for at most `patience` milliseconds.
    ///
    /// - Returns: what was found, in a line.
    /// - Throws: `SinkError` with what is wrong and what to do.
    package static func tried(_ settings: NATSSettings, patience: Int64) throws(SinkError) -> String {
        let connection = NATSConnection(settings)
        let deadline = Deadline.after(milliseconds: patience)
        while true {
            do throws(SinkError) {
                _ = try connection.ensure()
                break
            } catch {
                if deadline.hasPassed { throw error }
            }
            _ = try? waitReadable([], until: .after(milliseconds: 50))
        }
        let jetStream = JetStream(connection: connection, settings: settings)
        var found: [String] = []
        for subject in [settings.logs, settings.events, settings.commands] {
            if let name = try jetStream.keeper(of: subject, until: deadline) {
                found.append("\(subject) is kept by \(name)")
            } else if settings.createsStreams {
                found.append("a stream for \(subject) will be made")
            } else {
                throw JetStream.missing(subject)
            }
        }
        return found.joined(separator: ", ")
    }
}
