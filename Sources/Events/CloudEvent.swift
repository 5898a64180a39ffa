/// One event of a job for machines, CloudEvents 1.0 in structured JSON, published to `events.agent.<job>`.
package struct CloudEvent: Equatable, Sendable {
    /// Its number in the job, with which it is published once: the `seq` of the record it belongs to.
    package var seq: Int64
    /// Reverse-DNS-free type: `agent.started`, `agent.phase.changed`, `agent.todo.changed`, `agent.completed` …
    package var type: String
    /// Milliseconds since 1970.
    package var time: Int64
    package var data: JSON

    package init(seq: Int64, type: String, time: Int64, data: JSON) {
        self.seq = seq
        self.type = type
        self.time = time
        self.data = data
    }

    package func json(job: String) -> JSON {
        [
            "specversion": "1.0",
            "id": .string("\(job).\(seq)"),
            "source": .string("/agent/\(job)"),
            "subject": .string(job),
            "type": .string(type),
            "time": .string(timestamp(time)),
            "datacontenttype": "application/json",
            "data": data,
        ]
    }
}
