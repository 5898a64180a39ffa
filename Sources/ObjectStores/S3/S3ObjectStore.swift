package import Agent
package import HTTP
import LinuxSystem

/// Objects in a bucket, by the S3 API: AWS, MinIO, Ceph and what else speaks it.
///
/// Deadlines (`S3Limits`): a request has 60 s and a second for each 256 KiB that it moves, or may move; it ends after
/// 30 s without a byte. It is sent at most 6 times, a next time only within 120 s of the first, after a random pause
/// of up to 0.4 s, 0.8 s, … 10 s, or after the server's `Retry-After` of at most 30 s. Tried again are: no connection,
/// one that is lost, 408, 409, 429, 5xx and what arrived damaged. `unavailable` is what remains of these, `damaged`
/// what was cut or has another SHA-256 each time. A clock that differs by more than 5 minutes is set right by the
/// server's `Date`, and credentials are read again, each once a call, before it is `denied`. All else is `refused`.
///
/// `putIfAbsent` needs a store that knows `If-None-Match: *` (AWS, MinIO, Ceph from 2024 on). One that passes over the
/// header is found out, and `refused`. One that keeps to it, but not among requests of one moment (OpenStack Swift), may
/// let two of them through: what is stored is looked at afterwards, which tells all but the last few milliseconds.
package final class S3ObjectStore: ObjectStore {
    private let client: S3Client
    private let prefix: String
    private let bucket: String

    /// The credentials are read from `secretsFolder`, now and after a request was denied.
    ///
    /// - Throws: `StartError(.notPermitted)` with the name of the file that is missing.
    package init(
        _ settings: ObjectStoreSettings.Bucket, network: HTTPConfiguration, secretsFolder: String,
        limits: S3Limits = S3Limits()
    ) throws(StartError) {
        bucket = settings.name
        prefix = settings.prefix.isEmpty ? "" : settings.prefix + "/"
        client = try S3Client(
            place: S3Place(bucket: settings.name, endpoint: settings.endpoint, region: settings.region),
            region: settings.region, network: network, limits: limits, secretsFolder: secretsFolder)
    }

    package func put(_ bytes: [UInt8], as key: String) throws(ObjectStoreError) {
        try send(S3Body(bytes), as: key)
    }

    package func put(file path: String, as key: String) throws(ObjectStoreError) {
        try ObjectKey.check(key)
        let file = try LocalFile(path)
        guard file.size <= S3Limits.object else {
            throw ObjectStoreError(
                .refused,
                "the file \(path) has \(file.size) bytes, more than the 5 GiB that S3 takes in one request; make it "
                    + "smaller")
        }
        let body: S3Body
        do throws(SystemError) {
            body = try S3Body(file: file.number, size: file.size)
        } catch {
            throw ObjectStoreError(.refused, "the file \(path) that is to be stored cannot be read: \(error)")
        }
        try send(body, as: key)
        // Until here: its descriptor is closed with it.
        _ = file.number
    }

    private func send(
        _ body: S3Body, as key: String, headers: [(name: String, value: String)] = []
    ) throws(ObjectStoreError) {
        try ObjectKey.check(key)
        try client.ask(
            .init(
                method: "PUT", key: prefix + key, headers: headers, body: body, subject: subject("put", key)),
            target: .memory(limit: S3Limits.error))
    }

    package func putIfAbsent(_ bytes: [UInt8], as key: String) throws(ObjectStoreError) {
        // The second time there is one: a store that takes it again has replaced it, and would do so with another's.
        if try isTaken(bytes, as: key), try isTaken(bytes, as: key) {
            throw ObjectStoreError(
                .refused,
                "\(subject("put", key)): the store passes over If-None-Match, so that two could own one object; use a "
                    + "store that knows it")
        }
        let stored: [UInt8]?
        do throws(ObjectStoreError) {
            stored = try get(key, limit: bytes.count)
        } catch {
            switch error.kind {
            case .damaged: stored = nil
            case .missing:
                throw ObjectStoreError(.unavailable, "\(subject("put", key)): it was there and has gone; try again")
            default: throw error
            }
        }
        // If it is ours, the reply to an earlier attempt may have been lost.
        guard stored == bytes else {
            throw ObjectStoreError(.exists, "\(subject("put", key)): there is one already, and it is another's")
        }
    }

    /// Whether the store says that it has stored it, where there was none.
    private func isTaken(_ bytes: [UInt8], as key: String) throws(ObjectStoreError) -> Bool {
        do throws(ObjectStoreError) {
            try send(S3Body(bytes), as: key, headers: [("if-none-match", "*")])
            return true
        } catch {
            guard error.kind == .exists else { throw error }
            return false
        }
    }

    package func get(_ key: String, limit: Int) throws(ObjectStoreError) -> [UInt8] {
        try ObjectKey.check(key)
        return try client.ask(question(for: key), target: .memory(limit: limit))
    }

    package func get(_ key: String, toFile path: String, limit: Int64) throws(ObjectStoreError) {
        try ObjectKey.check(key)
        let file: NewFile
        do throws(SystemError) { file = try NewFile(path) } catch {
            throw S3Client.localFailure(error, subject("get", key))
        }
        try client.ask(question(for: key), target: .file(file, limit: limit))
        do throws(SystemError) { try file.replace() } catch { throw S3Client.localFailure(error, subject("get", key)) }
    }

    private func question(for key: String) -> S3Client.Question {
        .init(
            method: "GET", key: prefix + key, headers: [("x-amz-checksum-mode", "ENABLED")],
            subject: subject("get", key))
    }

    package func delete(_ key: String) throws(ObjectStoreError) {
        try ObjectKey.check(key)
        do throws(ObjectStoreError) {
            try client.ask(
                .init(method: "DELETE", key: prefix + key, subject: subject("delete", key)),
                target: .memory(limit: S3Limits.error))
        } catch {
            if error.kind != .missing { throw error }
        }
    }

    /// Objects of others whose keys are none of the contract's are passed over.
    package func list(_ prefix: String) throws(ObjectStoreError) -> [StoredObject] {
        try ObjectKey.checkPrefix(prefix)
        let subject = subject("list", prefix)
        var found: [StoredObject] = []
        var token: String?
        for _ in 0..<client.limits.pages {
            var query = [
                ("list-type", "2"), ("encoding-type", "url"), ("prefix", self.prefix + prefix),
                ("max-keys", String(client.limits.page)),
            ]
            if let token { query.append(("continuation-token", token)) }
            let body = try client.ask(
                .init(method: "GET", query: query, subject: subject), target: .memory(limit: S3Limits.listing))
            guard let page = S3Listing(parsing: body), page.next == nil || page.next != token else {
                throw ObjectStoreError(.damaged, "\(subject): the answer is no listing; look at AGENT_S3_ENDPOINT")
            }
            for object in page.objects {
                guard object.key.hasPrefix(self.prefix + prefix) else {
                    throw ObjectStoreError(.damaged, "\(subject): the answer has keys that were not asked for")
                }
                let key = String(object.key.dropFirst(self.prefix.count))
                if (try? ObjectKey.check(key)) != nil { found.append(StoredObject(key: key, size: object.size)) }
            }
            guard let next = page.next else {
                return found.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            }
            token = next
        }
        throw ObjectStoreError(
            .refused,
            "\(subject): there are more than \(client.limits.pages * client.limits.page) objects; take old ones away")
    }

    private func subject(_ verb: String, _ key: String) -> String { "\(verb) s3://\(bucket)/\(prefix)\(key)" }
}
