package import Agent
import Contracts
package import HTTP

/// The store that the settings name. The credentials of a bucket are in `secretsFolder`.
///
/// - Returns: a store, of which nothing has been asked yet.
/// - Throws: `StartError`: `.notPermitted` with the name of a file of credentials that is missing, `.configuration` for
///   a folder that cannot be made, `.tryAgain` if that is its volume's fault.
package func makeObjectStore(
    _ settings: ObjectStoreSettings, secretsFolder: String, network: HTTPConfiguration, limits: S3Limits = S3Limits()
) throws(StartError) -> any ObjectStore {
    switch settings {
    case .folder(let path):
        do throws(ObjectStoreError) {
            return try FolderObjectStore(path)
        } catch {
            throw StartError(error.kind == .unavailable ? .tryAgain : .configuration, "AGENT_SNAPSHOT_URL: \(error)")
        }
    case .bucket(let bucket):
        return try S3ObjectStore(bucket, network: network, secretsFolder: secretsFolder, limits: limits)
    }
}
