import Events
import LinuxSystem

/// What the sinks on a stream have in common: the text of the records goes out in order; a record that went out in
/// part is finished before the next; a reader that has gone for good is reported once and then no longer served.
struct LineSink {
    private let writer: PatientWriter
    private let what: String
    /// The rest of a record of which the beginning is out, and its number.
    private var rest: [UInt8] = []
    private var restSeq: Int64 = 0
    private var isDisabled = false

    init(descriptor: Int32, what: String) {
        writer = PatientWriter(descriptor: descriptor)
        self.what = what
    }

    /// Writes the text of each record; an empty text counts as written.
    mutating func deliver(_ batch: [Delivery], text: (Delivery) -> String) throws(SinkError) -> Int64 {
        guard let last = batch.last, let first = batch.first else { return 0 }
        if isDisabled { return last.seq }
        var taken = first.seq - 1
        if !rest.isEmpty {
            guard try send(rest, restSeq) else { return last.seq }
            taken = max(taken, restSeq)
        }
        for delivery in batch where delivery.seq > taken {
            guard try send(Array(text(delivery).utf8), delivery.seq) else { return last.seq }
            taken = delivery.seq
        }
        return taken
    }

    /// False: nobody will ever read it.
    private mutating func send(_ bytes: [UInt8], _ seq: Int64) throws(SinkError) -> Bool {
        switch writer.write(bytes) {
        case .written:
            rest = []
            return true
        case .stuck(let sent):
            if sent > 0 || !rest.isEmpty {
                rest = Array(bytes[sent...])
                restSeq = seq
            }
            throw SinkError("\(what) is not being read")
        case .failed(let code):
            isDisabled = true
            _ = try? writeAll(
                2, "agentd gateway: \(what) is closed (\(SystemError("write", code: code))); nothing more goes there\n")
            return false
        }
    }
}
