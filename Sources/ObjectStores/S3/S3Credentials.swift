package import Agent
import Contracts
import HTTP

/// Who asks. Files of the secrets folder, read again when a request is denied: they may have been rotated.
package struct S3Credentials: Equatable, Sendable {
    package static let keyIDFile = "s3-access-key-id"
    package static let secretKeyFile = "s3-secret-access-key"
    package static let tokenFile = "s3-session-token"

    package let keyID: String
    package let secretKey: String
    /// Of temporary credentials.
    package let token: String?

    package init(keyID: String, secretKey: String, token: String? = nil) {
        self.keyID = keyID
        self.secretKey = secretKey
        self.token = token
    }

    /// - Throws: `StartError(.notPermitted)` with the name of the file that is missing.
    package init(secretsFolder: String) throws(StartError) {
        let secrets = try Secrets(folder: secretsFolder)
        func text(_ name: String) throws(StartError) -> String? {
            guard let value = secrets[name] else { return nil }
            guard isHeaderSafe(value), !value.contains(" ") else {
                throw StartError(
                    .notPermitted, "\(secretsFolder)/\(name) has white space or control characters; write the key alone"
                )
            }
            return value
        }
        func needed(_ name: String) throws(StartError) -> String {
            if let value = try text(name) { return value }
            throw StartError(
                .notPermitted,
                "AGENT_SNAPSHOT_URL is an s3:// URL, and the folder \(secretsFolder) has no file \(name); "
                    + "add it to the Secret, or unset AGENT_SNAPSHOT_URL")
        }
        keyID = try needed(Self.keyIDFile)
        secretKey = try needed(Self.secretKeyFile)
        token = try text(Self.tokenFile)
    }

    var secrets: [String] { [keyID, secretKey, token].compactMap(\.self) }
}
