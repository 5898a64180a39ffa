import Glibc
import Synchronization

/// Starts a thread of our own for calls that block: the cooperative pool has a thread a core, and one that waits for a
/// stopped NATS server would hold up everything else on it.
///
/// The thread ends with `body` and leaves nothing behind.
/// - Throws: `SystemError("pthread_create")`.
package func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
    pthread_detach(try makeThread(body))
}

private func makeThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) -> pthread_t {
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
    return thread
}

/// What is worked out on a thread of its own while the caller does something else. To be waited for once.
package final class ThreadResult<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let work: @Sendable () -> Value
    private let thread = Mutex<pthread_t?>(nil)

    /// Starts it; where no thread can be had, the work is done when it is waited for.
    package init(_ work: @escaping @Sendable () -> Value) {
        self.work = work
        let made = try? makeThread { [self] in
            let result = work()
            value.withLock { $0 = result }
        }
        thread.withLock { $0 = made }
    }

    /// Waits for the end of the work.
    package func wait() -> Value {
        if let made = thread.withLock({ $0.take() }) { pthread_join(made, nil) }
        return value.withLock { $0 } ?? work()
    }
}
