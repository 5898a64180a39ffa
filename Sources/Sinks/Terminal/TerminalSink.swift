package import Events

/// The log as a person wants to read it: phases, thoughts, commands, results, todos.
///
/// Taken means written. It shares its cursor with `StandardOutputSink`: both are what stands on stdout.
package struct TerminalSink: EventSink {
    package let name = "stdout"
    private var lines: LineSink
    private let text: TerminalText

    package init(descriptor: Int32 = 1, style: TerminalStyle) {
        lines = LineSink(descriptor: descriptor, what: "stdout")
        text = TerminalText(style: style)
    }

    package mutating func deliver(_ batch: [Delivery]) throws(SinkError) -> Int64 {
        let text = self.text
        return try lines.deliver(batch) { text.text(of: $0.record) }
    }
}
