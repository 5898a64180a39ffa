import Glibc
import LinuxSystem

/// Starts a thread of our own for calls that block: the cooperative pool has a thread a core, and one that waits for a
/// stopped NATS server would hold up everything else on it.
///
/// The thread ends with `body` and leaves nothing behind.
/// - Throws: `SystemError("pthread_create")`.
func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
    final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let start = Unmanaged.passRetained(Start(body))
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, start.toOpaque())
    guard code == 0 else {
        start.release()
        throw SystemError("pthread_create", code: code)
    }
    pthread_detach(thread)
}
