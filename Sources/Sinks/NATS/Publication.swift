import Events

/// What has become of the messages of one batch.
struct Publication {
    private enum State {
        case waiting, taken, refused
    }
    private var messages: [(seq: Int64, state: State)] = []
    private var outstanding = 0
    private var highest: Int64
    /// The first thing that went wrong.
    var failure: SinkError?

    /// - Parameter first: the record before the batch, which is taken.
    init(first: Int64) { highest = first }

    var isEmpty: Bool { messages.isEmpty }
    var isWaiting: Bool { outstanding > 0 }

    /// A message of a record is about to be sent; returns its number in the batch.
    mutating func add(_ seq: Int64) -> Int {
        messages.append((seq, .waiting))
        outstanding += 1
        return messages.count - 1
    }

    /// A record of which nothing has to be sent.
    mutating func skip(_ seq: Int64) { messages.append((seq, .taken)) }

    mutating func answer(_ index: Int, _ problem: SinkError?) {
        guard messages.indices.contains(index), case .waiting = messages[index].state else { return }
        outstanding -= 1
        messages[index].state = problem == nil ? .taken : .refused
        failure = failure ?? problem
    }

    /// The last record of which, and before which, everything is taken.
    var taken: Int64 {
        var result = highest
        for (index, message) in messages.enumerated() {
            guard case .taken = message.state else { return result }
            // A record's log message and event are neighbours.
            let isLast = index + 1 == messages.count || messages[index + 1].seq != message.seq
            if isLast { result = message.seq }
        }
        return result
    }

    /// The first record that was refused though a later one was taken.
    var refusedBeforeTaken: Int64? {
        guard let refused = messages.firstIndex(where: { if case .refused = $0.state { true } else { false } }),
            messages[refused...].contains(where: { if case .taken = $0.state { true } else { false } })
        else { return nil }
        return messages[refused].seq
    }
}
