package import Agent
import Events
import Glibc
import LinuxSystem

/// Who owns a job among all volumes: `jobs/<job>/epoch/<n>`, put by the process that took epoch n before it did anything.
///
/// A volume knows its own claims, by a file beside the checkpoint. A newest claim that it does not know is another
/// volume's: that one has gone on, and this one may not, until `agent-init restore` has taken its state over.
package struct Claims {
    private let store: any ObjectStore
    private let job: String
    /// The claims that this volume knows, a line each: the last that is sure, and one that may have been put.
    private let record: String
    private var prefix: String { "jobs/\(job)/epoch/" }

    /// Bytes of one claim.
    private static let limit = 4096
    /// Older ones tell nothing any more.
    private static let kept = 16

    package init(store: any ObjectStore, job: String, checkpoint: String) {
        self.store = store
        self.job = job
        record = checkpoint + ".claims"
    }

    /// The newest epoch that anybody has claimed; nil if nobody has.
    ///
    /// - Throws: `ObjectStoreError`.
    package func newest() throws(ObjectStoreError) -> Int64? { try list().last }

    /// Whether the newest claim is one of this volume's, or there is none.
    ///
    /// - Throws: `ObjectStoreError`, `SystemError`.
    package func isOurs() throws -> Bool {
        guard let newest = try newest() else { return true }
        return try known().contains(claim(newest))
    }

    /// Whether another volume has the job since this one has claimed `epoch`: the newest epoch, or nil if none has.
    ///
    /// The same epoch may have been given to two, by a store that tells requests of one moment apart too late: the claim
    /// that has remained is the owner's.
    ///
    /// - Throws: `ObjectStoreError`, `SystemError`.
    package func superseding(_ epoch: Int64) throws -> Int64? {
        guard let newest = try newest(), newest >= epoch else { return nil }
        return try newest > epoch || !known().contains(claim(newest)) ? newest : nil
    }

    /// Claims an epoch. May be called again with the same nonce.
    ///
    /// - Returns: nil if it is ours now, or the newest epoch of another volume: this one may do nothing.
    /// - Throws: `ObjectStoreError`, `SystemError`: nobody knows who owns the job.
    package func take(_ epoch: Int64, nonce: String, host: String) throws -> Int64? {
        let ours = JSON.object(["epoch": .int(epoch), "host": .string(host), "nonce": .string(nonce)]).text
        var sure: [String] = []
        let claimed = try list()
        if let newest = claimed.last {
            let last = try claim(newest)
            if last != ours {
                guard try newest < epoch && known().contains(last) else { return newest }
                sure = [last]
            }
        }
        // Written before: were it not, a process that is killed after the put would have shut its own volume out.
        try write(sure + [ours])
        do throws(ObjectStoreError) {
            try store.putIfAbsent(Array(ours.utf8), as: prefix + padded(epoch))
        } catch {
            guard error.kind == .exists else { throw error }
            try write(sure)
            return epoch
        }
        try write([ours])
        for old in claimed.dropLast(Self.kept - 1) { try? store.delete(prefix + padded(old)) }
        return nil
    }

    /// Makes the newest claim, whoever's it is, one that this volume knows: its checkpoint has what there is of it.
    ///
    /// - Throws: `ObjectStoreError`, `SystemError`.
    package func adopt(_ epoch: Int64?) throws {
        if let epoch { try write([claim(epoch)]) }
    }

    private func list() throws(ObjectStoreError) -> [Int64] {
        try store.list(prefix).compactMap { Int64($0.key.dropFirst(prefix.count)) }.sorted()
    }

    private func claim(_ epoch: Int64) throws(ObjectStoreError) -> String {
        String(decoding: try store.get(prefix + padded(epoch), limit: Self.limit), as: UTF8.self)
    }

    private func known() throws(SystemError) -> [String] {
        guard access(record, F_OK) == 0 else { return [] }
        return String(decoding: try readFile(record, limit: 4 * Self.limit), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    private func write(_ lines: [String]) throws(SystemError) {
        let new = record + ".new"
        let file = Descriptor(
            adopting: try retrying("open", subject: new) { open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) })
        try writeAll(file.number, lines.map { $0 + "\n" }.joined())
        try retrying("fsync", subject: new) { fsync(file.number) }
        try retrying("rename", subject: record) { rename(new, record) }
        let folder = String(record[..<(record.lastIndex(of: "/") ?? record.startIndex)])
        let names = Descriptor(
            adopting: try retrying("open", subject: folder) { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) })
        try retrying("fsync", subject: folder) { fsync(names.number) }
    }
}

func removeFile(_ path: String) {
    for suffix in ["", "-wal", "-shm", "-journal"] { _ = unlink(path + suffix) }
}
