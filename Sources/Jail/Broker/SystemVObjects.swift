import CLinux
import Glibc

/// The shared memory, semaphores and message queues of System V that a command has made, and nobody else's.
///
/// A pod's containers share the namespace of such objects, and their ids are plain numbers. So the broker makes each object
/// itself, without a key, and keeps which key it stands for: a key of the command's names nothing outside of it. A call on
/// an object goes on in the kernel only if its id is of one made here. The id is in a register: it cannot change between
/// the decision and the call, for who waits for an answer cannot be stopped by a tracer (WAIT_KILLABLE_RECV). Other ids do
/// not exist for the command (EINVAL), and what lists objects by index is refused.
///
/// The kernel gives an id anew after some million objects (ipc_idr_alloc in ipc/util.c: at least 64 places, 65,535 times
/// each), and a command can make so many: so the broker removes objects itself, and knows from then on that the id is not
/// the command's. Memory that is attached outlives its removal; it is recognised by who made it.
///
/// What is left is removed when the command is over. Bounded: `limit` objects, `memoryLimit` and `semaphoreLimit` in all;
/// ENOSPC beyond, as of the kernel.
struct SystemVObjects {
    private struct Object {
        let kind: cbroker_ipc
        /// IPC_PRIVATE, 0: of no key.
        let key: Int32
        let id: Int32
        /// Bytes, or semaphores.
        let size: UInt64
    }

    private var objects: [Object] = []

    private static let limit = 128
    private static let memoryLimit: UInt64 = 256 << 20
    private static let semaphoreLimit: UInt64 = 8192

    /// shmget(2), semget(2), msgget(2): the id, or a negative error.
    mutating func get(_ kind: cbroker_ipc, key: Int32, size: UInt64, flags: Int32) -> Int32 {
        if key != IPC_PRIVATE, let object = objects.last(where: { $0.kind == kind && $0.key == key }) {
            if cbroker_ipc_exists(kind, object.id) == 1 {
                if flags & IPC_CREAT != 0, flags & IPC_EXCL != 0 { return -EEXIST }
                return size > object.size ? -EINVAL : object.id
            }
        }
        guard key == IPC_PRIVATE || flags & IPC_CREAT != 0 else { return -ENOENT }
        if objects.count >= Self.limit { forgetRemoved() }
        let used = objects.reduce(UInt64(0)) { $0 + ($1.kind == kind ? $1.size : 0) }
        let bound =
            switch kind {
            case CBROKER_MEMORY: Self.memoryLimit
            case CBROKER_SEMAPHORES: Self.semaphoreLimit
            default: UInt64.max
            }
        guard objects.count < Self.limit, size <= bound, used <= bound - size else { return -ENOSPC }
        let id = cbroker_ipc_make(kind, size, flags & 0o777)
        if id >= 0 { objects.append(Object(kind: kind, key: key, id: id, size: size)) }
        return id
    }

    /// Whether an id is of an object of the command's, which is still there.
    func has(_ kind: cbroker_ipc, _ id: Int32) -> Bool {
        objects.contains { $0.kind == kind && $0.id == id }
            && (kind != CBROKER_MEMORY || cbroker_ipc_exists(kind, id) != 0)
    }

    /// IPC_RMID: 0, or a negative error.
    mutating func remove(_ kind: cbroker_ipc, _ id: Int32) -> Int32 {
        guard has(kind, id) else { return -EINVAL }
        let result = cbroker_ipc_remove(kind, id)
        if result == 0, kind != CBROKER_MEMORY { objects.removeAll { $0.kind == kind && $0.id == id } }
        return result
    }

    private mutating func forgetRemoved() { objects.removeAll { cbroker_ipc_exists($0.kind, $0.id) == 0 } }

    mutating func removeAll() {
        for object in objects where has(object.kind, object.id) { _ = cbroker_ipc_remove(object.kind, object.id) }
        objects = []
    }
}
