/// How a request gets to a janitor that was started ahead.
///
/// `agent-jail --wait-fd N [a request of the kind that is expected]` sends one byte over the socket N (SOCK_SEQPACKET)
/// when it is ready. It then takes one message: the words of the request's command line, each ended by a zero byte but
/// for the last, and with them five descriptors: the command's 0, 1 and 2, that for the report and that for control.
package enum JailStandby {
    package static let option = "--wait-fd"
    /// Bytes. A longer request is for a janitor that is started with it. Half of what a socket takes by default.
    package static let longestRequest = 96 << 10
    package static let descriptors = 5

    /// The message of a request; nil if it is too long, or has a zero byte in a word.
    package static func message(_ request: JailRequest) -> [UInt8]? {
        var bytes: [UInt8] = []
        for (index, word) in request.arguments.enumerated() {
            if index > 0 { bytes.append(0) }
            if word.utf8.contains(0) { return nil }
            bytes += word.utf8
            if bytes.count > longestRequest { return nil }
        }
        return bytes
    }
}
