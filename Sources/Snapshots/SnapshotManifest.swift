import FoundationEssentials
package import Stores

/// What a snapshot is made of. It is stored last: a snapshot without one is not there.
package struct SnapshotManifest: Codable, Equatable, Sendable {
    /// An object that belongs to it.
    package struct Part: Codable, Equatable, Sendable {
        package var key: String
        /// Bytes.
        package var size: Int64
        package var sha256: String
    }

    /// The version of this form. A reader refuses a later one.
    package static let format = 1
    /// Bytes; ours have some 500.
    static let limit = 64 << 10

    package var format = Self.format
    package var job: String
    package var epoch: Int64
    package var seq: Int64
    /// The version of the database's schema.
    package var schema: Int64
    /// Milliseconds since 1970.
    package var created: Int64
    package var reason: String
    /// The process that took it did nothing afterwards.
    package var final: Bool
    package var database: Part
    /// The archive of the project tree, if there is one.
    package var project: Part?

    package var position: CheckpointPosition { CheckpointPosition(epoch: epoch, seq: seq) }

    var bytes: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Whole numbers, flags and text are never refused.
        guard let data = try? encoder.encode(self) else { preconditionFailure("a manifest can be encoded") }
        return Array(data)
    }

    /// Nil if it is none.
    init?(_ bytes: [UInt8]) {
        guard let manifest = try? JSONDecoder().decode(Self.self, from: Data(bytes)) else { return nil }
        self = manifest
    }

    init(
        job: String, position: CheckpointPosition, schema: Int64, created: Int64, reason: String, final: Bool,
        database: Part
    ) {
        self.job = job
        epoch = position.epoch
        seq = position.seq
        self.schema = schema
        self.created = created
        self.reason = reason
        self.final = final
        self.database = database
    }
}
