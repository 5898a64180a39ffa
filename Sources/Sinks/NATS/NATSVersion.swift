import CNATS

/// The version of the libnats that this process has loaded.
package var natsVersion: String { nats_GetVersion().map { String(cString: $0) } ?? "unknown" }
