import CLinux
package import Contracts

/// The command shares no memory, semaphores or message queues by key or name with the rest of the pod.
///
/// System V objects and POSIX queues belong to the IPC namespace, not to a file: Landlock does not see them, and they
/// outlive the command. So the broker makes the System V ones (`SystemVObjects`): PostgreSQL and fakeroot need them. POSIX
/// queues are closed. POSIX shared memory (/dev/shm) stays, as files. shmdt takes an address of the caller's own memory.
package struct SharedMemoryRule: JailRule {
    package let name = "shared memory"

    package init() {}

    package func extend(
        _ plan: inout JailPlan, for request: JailRequest, on kernel: Kernel
    ) throws(JailFailure) {
        for call in [
            CJAIL_SHMGET, CJAIL_SHMAT, CJAIL_SHMCTL, CJAIL_SEMGET, CJAIL_SEMOP, CJAIL_SEMTIMEDOP, CJAIL_SEMCTL,
            CJAIL_MSGGET, CJAIL_MSGSND, CJAIL_MSGRCV, CJAIL_MSGCTL,
        ] {
            plan.refuse(call, with: .brokered)
        }
        for call in [CJAIL_MQ_OPEN, CJAIL_MQ_UNLINK] { plan.refuse(call) }
    }
}
