package import Events

/// The log as JSON lines on a descriptor, for `kubectl logs` and collectors.
///
/// Taken means written: what the reader does with it cannot be known. After a crash between a write and its record in
/// the spool, lines may come again; `seq` tells.
package struct StandardOutputSink: EventSink {
    package let name = "stdout"
    private var lines: LineSink

    package init(descriptor: Int32 = 1) { lines = LineSink(descriptor: descriptor, what: "stdout") }

    package mutating func deliver(_ batch: [Delivery]) throws(SinkError) -> Int64 {
        try lines.deliver(batch) { $0.record + "\n" }
    }
}
