import CNATS

/// What nats.c is told about a connection.
enum NATSOptions {
    /// A prefix of the job's own, so that permissions can keep jobs from reading each other's answers.
    static func inboxPrefix(_ settings: NATSSettings) -> String { "_INBOX.\(settings.job)" }

    static func set(_ options: OpaquePointer, _ settings: NATSSettings) -> natsStatus {
        let servers = settings.url.split(separator: ",").map(String.init)
        var results = [withPointers(servers) { natsOptions_SetServers(options, $0, Int32(servers.count)) }]
        switch settings.credentials {
        case .none: break
        case .file(let path): results.append(natsOptions_SetUserCredentialsFromFiles(options, path, nil))
        case .token(let token): results.append(natsOptions_SetToken(options, token))
        case .user(let name, let password): results.append(natsOptions_SetUserInfo(options, name, password))
        }
        results += [
            natsOptions_SetName(options, "agent-init \(settings.job)"),
            natsOptions_SetCustomInboxPrefix(options, inboxPrefix(settings)),
            natsOptions_SetTimeout(options, 2000),
            // A lost connection is given up and a new one made. nats.c's own reconnection would keep one message for
            // the new server, whatever ReconnectBufSize says (0 means 8 MB), and send it ahead of those before it that
            // were lost. The reconnection settings still rule how the first connection is made.
            natsOptions_SetAllowReconnect(options, false),
            natsOptions_SetRetryOnFailedConnect(options, true, ignoreConnection, nil),
            natsOptions_SetMaxReconnect(options, -1),
            natsOptions_SetReconnectWait(options, 250),
            natsOptions_SetReconnectJitter(options, 100, 100),
            // A server that was stopped (SIGSTOP) keeps the socket open: only missing pongs tell.
            natsOptions_SetPingInterval(options, 2000),
            natsOptions_SetMaxPingsOut(options, 2),
            // Without it such a server blocks a publish for 13.7 s.
            natsOptions_SetWriteDeadline(options, 2000),
            // The default handler prints to stderr; what it would say shows in what is not acknowledged.
            natsOptions_SetErrorHandler(options, ignoreError, nil),
        ]
        return results.first { $0 != NATS_OK } ?? NATS_OK
    }

    private static func withPointers(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafePointer<CChar>?>) -> natsStatus
    ) -> natsStatus {
        let copies = strings.map { $0.utf8CString }
        var pointers: [UnsafePointer<CChar>?] = []
        func descend(_ index: Int) -> natsStatus {
            guard index < copies.count else {
                return pointers.withUnsafeMutableBufferPointer { buffer in
                    buffer.baseAddress.map(body) ?? NATS_INVALID_ARG
                }
            }
            return copies[index].withUnsafeBufferPointer { buffer in
                pointers.append(buffer.baseAddress)
                return descend(index + 1)
            }
        }
        return descend(0)
    }
}

// Formed here, outside of any actor: a callback formed in a @MainActor context dies with SIGILL on nats.c's thread.
// With one, RetryOnFailedConnect does not block; there is nothing to do in it.
private let ignoreConnection: natsConnectionHandler = { _, _ in }
private let ignoreError: natsErrHandler = { _, _, _, _ in }
