import Glibc

/// Waits until one of the descriptors can be read (or its other end has gone), or the deadline has passed.
///
/// - Returns: the positions of those that are ready; empty at the deadline. EINTR is not an end: the wait goes on.
package func waitReadable(_ descriptors: [Int32], until deadline: Deadline) throws(SystemError) -> [Int] {
    // poll(2) passes over negative descriptors: a closed source keeps its position.
    var set = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while true {
        let count = poll(&set, nfds_t(set.count), deadline.pollTimeout)
        if count < 0 {
            if errno == EINTR { continue }
            throw SystemError.last("poll")
        }
        if count == 0, !deadline.hasPassed { continue }
        return set.indices.filter { set[$0].revents != 0 }
    }
}

/// Whether a pipe's reading ends are all closed (poll(2): POLLERR at the writing end).
package func hasNoReader(_ writer: Int32) -> Bool {
    var set = pollfd(fd: writer, events: 0, revents: 0)
    return poll(&set, 1, 0) == 1 && set.revents & Int16(POLLERR) != 0
}

/// Waits until one of `readable` can be read or one of `writable` can be written (or its other end has gone), or the
/// deadline has passed. Negative descriptors are passed over.
///
/// - Returns: the positions of those that are ready.
package func waitReady(
    readable: [Int32], writable: [Int32], until deadline: Deadline
) throws(SystemError) -> (readable: [Int], writable: [Int]) {
    var set =
        readable.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        + writable.map { pollfd(fd: $0, events: Int16(POLLOUT), revents: 0) }
    while true {
        let count = poll(&set, nfds_t(set.count), deadline.pollTimeout)
        if count < 0 {
            if errno == EINTR { continue }
            throw SystemError.last("poll")
        }
        if count == 0, !deadline.hasPassed { continue }
        let first = readable.count
        return (
            set.indices.filter { $0 < first && set[$0].revents != 0 },
            set.indices.filter { $0 >= first && set[$0].revents != 0 }.map { $0 - first }
        )
    }
}
