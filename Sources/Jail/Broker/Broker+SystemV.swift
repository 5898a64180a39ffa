import CLinux
import Glibc
import LinuxSystem

extension Broker {
    /// A call of System V IPC.
    ///
    /// - Returns: false if the call is none.
    func answerSystemV(_ call: cbroker_call) -> Bool {
        switch Int(call.number) {
        case CJAIL_SHMGET: make(CBROKER_MEMORY, call, size: call.arguments.1, flags: call.arguments.2)
        case CJAIL_SEMGET:
            make(CBROKER_SEMAPHORES, call, size: UInt64(number(call.arguments.1)), flags: call.arguments.2)
        case CJAIL_MSGGET: make(CBROKER_MESSAGES, call, size: 0, flags: call.arguments.1)
        case CJAIL_SHMAT: use(CBROKER_MEMORY, call)
        case CJAIL_SEMOP, CJAIL_SEMTIMEDOP: use(CBROKER_SEMAPHORES, call)
        case CJAIL_MSGSND, CJAIL_MSGRCV: use(CBROKER_MESSAGES, call)
        case CJAIL_SHMCTL: control(CBROKER_MEMORY, call, call.arguments.1)
        case CJAIL_SEMCTL: control(CBROKER_SEMAPHORES, call, call.arguments.2)
        case CJAIL_MSGCTL: control(CBROKER_MESSAGES, call, call.arguments.1)
        default: return false
        }
        return true
    }

    private func number(_ argument: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: argument) }

    private func make(_ kind: cbroker_ipc, _ call: cbroker_call, size: UInt64, flags: UInt64) {
        let key = Int32(truncatingIfNeeded: call.arguments.0)
        let result = objects.get(kind, key: key, size: size, flags: Int32(truncatingIfNeeded: flags))
        _ = result < 0 ? finish(call.id, result) : give(call.id, result)
    }

    private func use(_ kind: cbroker_ipc, _ call: cbroker_call) {
        if objects.has(kind, Int32(truncatingIfNeeded: call.arguments.0)) {
            _ = cbroker_proceed(listener.number, call.id)
        } else {
            _ = finish(call.id, -EINVAL)
        }
    }

    private func control(_ kind: cbroker_ipc, _ call: cbroker_call, _ command: UInt64) {
        // IPC_64, which libraries of other architectures set (linux/ipc.h).
        switch IPCCommand(kind, Int32(truncatingIfNeeded: command) & ~0x100) {
        case .removal: _ = finish(call.id, objects.remove(kind, Int32(truncatingIfNeeded: call.arguments.0)))
        case .onObject: use(kind, call)
        case .onLimits: _ = cbroker_proceed(listener.number, call.id)
        case .byIndex: _ = finish(call.id, -EPERM)
        }
    }
}

/// What shmctl(2), semctl(2) or msgctl(2) is asked for (linux/ipc.h, shm.h, sem.h, msg.h).
enum IPCCommand {
    /// IPC_RMID.
    case removal
    case onObject
    /// IPC_INFO, SHM_INFO, SEM_INFO, MSG_INFO: the limits of the system, and how much of them is used.
    case onLimits
    /// SHM_STAT and the like: any object, by its place in the kernel's table.
    case byIndex

    init(_ kind: cbroker_ipc, _ command: Int32) {
        let (own, info): (ClosedRange<Int32>, Int32) =
            switch kind {
            // SHM_LOCK, SHM_UNLOCK.
            case CBROKER_MEMORY: (11...12, 14)
            // GETPID to SETALL.
            case CBROKER_SEMAPHORES: (11...17, 19)
            // It has no more than all have.
            default: (1...2, 12)
            }
        // IPC_SET, IPC_STAT; IPC_INFO.
        if command == 0 {
            self = .removal
        } else if (1...2).contains(command) || own.contains(command) {
            self = .onObject
        } else {
            self = command == 3 || command == info ? .onLimits : .byIndex
        }
    }
}
