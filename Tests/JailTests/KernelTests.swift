import Contracts
import Glibc
import Jail
import Testing

@Suite struct KernelTests {
    @Test(arguments: [6, 7, 8, 9, 20] as [Int32])
    func `a Landlock with signal scopes is enough`(abi: Int32) throws {
        try Kernel(landlock: abi).requireLandlock()
    }

    @Test(
        arguments: [
            (-ENOSYS, "no Landlock"), (-EOPNOTSUPP, "lsm="), (-EPERM, "seccomp profile"), (1, "ABI 1"), (5, "ABI 5"),
        ] as [(Int32, String)])
    func `anything less is refused, with what is missing and what to do`(abi: Int32, words: String) {
        let failure = #expect(throws: JailFailure.self) { try Kernel(landlock: abi).requireLandlock() }
        #expect(failure?.stage == .kernel)
        #expect(failure?.message.contains(words) == true)
        #expect(failure?.message.contains("Linux 6.12") == true)
    }

    @Test(arguments: [-ENOSYS, -EPERM, -EOPNOTSUPP] as [Int32])
    func `without seccomp's notification there is no jail, and no weaker one`(code: Int32) {
        let kernel = Kernel(landlock: 7, notification: code)
        let failure = #expect(throws: JailFailure.self) { try kernel.requireNotification() }
        #expect(failure?.stage == .kernel && failure?.message.contains("user notification") == true)
    }

    @Test func `the running kernel has what the jail needs`() throws {
        try Kernel.probe().requireLandlock()
        try Kernel.probe().requireNotification()
    }

    @Test(arguments: [(6, 16), (7, 16), (8, 16), (9, 17)] as [(Int32, Int)])
    func `every file right that an ABI knows is denied unless granted`(abi: Int32, count: Int) {
        #expect(FileRights.all(abi: abi).rawValue.nonzeroBitCount == count)
    }
}
