import Glibc

/// A system call that is refused unless its arguments are of a permitted form.
package struct CallRule: Equatable, Sendable {
    /// What becomes of a call that is not let through.
    package enum Refusal: Equatable, Sendable {
        /// EPERM. The call is not made.
        case notPermitted
        /// ENOSYS: for calls that libraries then replace by others that the filter can look into.
        case notImplemented
        /// The call is not made, and returns 0 as if it were.
        case passedOver
        /// The broker decides: it makes the call itself, or answers with an error. ENOSYS once the broker has gone.
        case brokered

        /// What the filter returns: SECCOMP_RET_ERRNO with the error, or SECCOMP_RET_USER_NOTIF.
        package var action: UInt32 {
            switch self {
            case .notPermitted: 0x0005_0000 | UInt32(EPERM)
            case .notImplemented: 0x0005_0000 | UInt32(ENOSYS)
            case .passedOver: 0x0005_0000
            case .brokered: 0x7fc0_0000
            }
        }
    }

    /// A form of the arguments that is let through: all tests hold.
    package struct Exception: Equatable, Sendable {
        package var tests: [ArgumentTest]

        package init(_ tests: ArgumentTest...) { self.tests = tests }
    }

    /// The call's number on this architecture; -1 if it has no such call.
    package var call: Int
    package var exceptions: [Exception]
    package var refusal: Refusal

    package init(call: Int, exceptions: [Exception], refusal: Refusal) {
        self.call = call
        self.exceptions = exceptions
        self.refusal = refusal
    }
}

/// A test of one argument.
///
/// It sees the low 32 bits only. That is right for every argument the rules look at: the kernel itself takes them as
/// int or unsigned int, and drops the upper half (ioctl's command 0x1_0000_5412 *is* TIOCSTI).
package struct ArgumentTest: Equatable, Sendable {
    /// 0 to 5.
    package var argument: Int
    package var mask: UInt32
    package var isEqual: Bool
    package var value: UInt32

    package init(argument: Int, mask: UInt32, isEqual: Bool, value: UInt32) {
        self.argument = argument
        self.mask = mask
        self.isEqual = isEqual
        self.value = value
    }

    /// The argument, masked, is `value`.
    package static func argument(_ index: Int, mask: UInt32 = .max, is value: Int32) -> ArgumentTest {
        ArgumentTest(argument: index, mask: mask, isEqual: true, value: UInt32(bitPattern: value))
    }

    /// The argument is not `value`.
    package static func argument(_ index: Int, isNot value: UInt32) -> ArgumentTest {
        ArgumentTest(argument: index, mask: .max, isEqual: false, value: value)
    }

    /// None of these bits is set.
    package static func argument(_ index: Int, lacks bits: UInt32) -> ArgumentTest {
        ArgumentTest(argument: index, mask: bits, isEqual: true, value: 0)
    }
}
