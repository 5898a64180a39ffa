import Agent
import CCurl
import Glibc
import HTTP
import LinuxSystem

/// Sends requests to one bucket: signs them, tries again what may pass, sets the clock right and reads rotated
/// credentials. One thread only.
final class S3Client {
    /// What is asked; it is signed anew for each attempt.
    struct Question {
        let method: String
        var key = ""
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var body: S3Body?
        /// For errors.
        let subject: String
    }

    private let place: S3Place
    private let signer: RequestSigner
    private let network: HTTPConfiguration
    private let secretsFolder: String
    private var credentials: S3Credentials
    let limits: S3Limits
    /// Milliseconds that the store's clock is ahead of ours.
    private var skew: Int64 = 0
    private static let allowedSkew: Int64 = 300_000

    init(
        place: S3Place, region: String, network: HTTPConfiguration, limits: S3Limits, secretsFolder: String
    ) throws(StartError) {
        self.place = place
        signer = RequestSigner(region: region)
        self.network = network
        self.limits = limits
        self.secretsFolder = secretsFolder
        credentials = try S3Credentials(secretsFolder: secretsFolder)
    }

    /// - Returns: the answer's body, if it was to come into memory.
    /// - Throws: `ObjectStoreError`, after as many attempts as `limits` allow.
    @discardableResult
    func ask(_ question: Question, target: S3Target) throws(ObjectStoreError) -> [UInt8] {
        let patience = Deadline.after(milliseconds: limits.patience)
        var attempt = 1
        // Each of the two is done once only.
        var hasSetClock = false
        var hasReadCredentials = false
        while true {
            let (body, failure, head) = try once(question, target: target)
            guard let failure else { return body }
            switch failure.remedy {
            case .none: throw failure.error
            case .credentials:
                if !hasSetClock, setClock(by: head) {
                    hasSetClock = true
                    continue
                }
                let fresh = try? S3Credentials(secretsFolder: secretsFolder)
                guard !hasReadCredentials, let fresh, fresh != credentials else { throw failure.error }
                hasReadCredentials = true
                credentials = fresh
            case .again(let wish):
                let pause = pause(before: attempt, wish: wish)
                guard attempt < limits.attempts, pause < patience.remaining, (wish ?? 0) <= limits.longestWish else {
                    throw ObjectStoreError(failure.error.kind, "\(failure.error) (after \(attempt) attempts)")
                }
                attempt += 1
                sleep(milliseconds: pause)
            }
        }
    }

    private func once(
        _ question: Question, target: S3Target
    ) throws(ObjectStoreError) -> ([UInt8], S3Failure?, HTTPHead) {
        let subject = question.subject
        let request = place.request(
            question.method, key: question.key, query: question.query, headers: question.headers, body: question.body,
            signer: signer, credentials: credentials, now: Clock.wall + skew)
        if case .file(let file, _) = target {
            do throws(SystemError) { try file.restart() } catch { throw Self.localFailure(error, subject) }
        }
        guard let exchange = S3Exchange(request, target: target) else {
            throw ObjectStoreError(.unavailable, "\(subject): libcurl cannot be started")
        }
        let (code, words) = exchange.run(network, limits)
        if let failure = question.body?.failure {
            throw ObjectStoreError(.refused, "\(subject): the file that is to be stored cannot be read: \(failure)")
        }
        switch exchange.breach {
        case .tooLarge?:
            throw ObjectStoreError(.damaged, "\(subject): it is larger than \(target.limit) bytes")
        case .noRoom(let error)?: throw Self.localFailure(error, subject)
        case nil: break
        }
        let head = exchange.head
        let redaction = Redaction(credentials.secrets + network.secrets)
        // An error's status says more than a connection that broke after it: a server may refuse an upload and leave.
        guard code == CURLE_OK || head.status >= 300 else {
            return ([], S3Failure(transport: code, words: redaction.excerpt(words), subject: subject), head)
        }
        guard head.isSuccess, !Self.isError(exchange.body, question) else {
            let failure = S3Failure(
                answer: head, body: exchange.body, subject: subject,
                fetches: !question.key.isEmpty && question.method != "PUT", redaction: redaction, now: Clock.wall)
            return ([], failure, head)
        }
        return (exchange.body, damage(of: exchange, question), head)
    }

    /// A status of 200 is sent before the work is done, and an error that comes after it stands in the body.
    private static func isError(_ body: [UInt8], _ question: Question) -> Bool {
        // What a GET of an object brings is the object, whatever it looks like.
        if question.method == "GET", question.query.isEmpty { return false }
        return XMLElement(parsing: body)?.name == "Error"
    }

    /// What came is not what is stored.
    private func damage(of exchange: S3Exchange, _ question: Question) -> S3Failure? {
        guard question.method == "GET" else { return nil }
        let head = exchange.head
        // Without either, the end of a body that was cut cannot be told from a real one.
        guard head["content-length"] != nil || head["transfer-encoding"] != nil else {
            return S3Failure(damage: "the answer does not say how long it is", subject: question.subject)
        }
        // A listing has neither. The checksum of an object in parts ends in -N, and is none of the whole.
        let digest = exchange.bodyDigest()
        let sum = head["x-amz-checksum-sha256"].flatMap { $0.contains("-") ? nil : $0 } ?? Digest.base64(digest)
        let own = head[S3Place.digestField] ?? Digest.hexadecimal(digest)
        guard sum == Digest.base64(digest), own == Digest.hexadecimal(digest) else {
            return S3Failure(damage: "its SHA-256 is not the one that is stored", subject: question.subject)
        }
        return nil
    }

    static func localFailure(_ error: SystemError, _ subject: String) -> ObjectStoreError {
        ObjectStoreError(.unavailable, "\(subject): the file cannot be written: \(error); make space on the volume")
    }

    /// - Returns: whether the answer's clock is another than was thought.
    private func setClock(by head: HTTPHead) -> Bool {
        guard let date = head["date"] else { return false }
        // curl_getdate(3): -1 is no date.
        let seconds = curl_getdate(date, nil)
        guard seconds > 0 else { return false }
        let found = Int64(seconds) * 1000 - Clock.wall
        guard abs(found - skew) > Self.allowedSkew else { return false }
        skew = found
        return true
    }

    private func pause(before attempt: Int, wish: Int64?) -> Int64 {
        if let wish { return wish }
        let most = min(limits.longestPause, limits.pause << Int64(min(attempt, 20)))
        return Int64.random(in: 0...max(0, most))
    }

    private func sleep(milliseconds: Int64) {
        let end = Deadline.after(milliseconds: milliseconds)
        // poll(2) may come back early by a signal.
        while !end.hasPassed { _ = poll(nil, 0, end.pollTimeout) }
    }
}
