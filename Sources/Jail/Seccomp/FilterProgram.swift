package import CLinux
import Contracts
import Glibc

/// The rules for system calls, assembled into the BPF program that the kernel runs before each call.
///
/// The program: refuse a foreign architecture and x32, whose numbers mean other calls; then, in the order of the calls'
/// numbers, blocks that answer for all calls up to the last that they name; at the end, allow. So each call takes a short
/// way through: the kernel translates the program for each command, and tries it for each call that exists
/// (a fifth of a millisecond, were it one long row). For a call whose number alone decides, the kernel
/// runs the program once per process and remembers the answer (kernel/seccomp.c, seccomp_cache_prepare).
package struct FilterProgram {
    package private(set) var instructions: [cjail_instruction] = []

    /// BPF_MAXINSNS.
    private static let longest = 4096
    /// Instructions after which a block is long enough: about the square root of them all.
    private static let blockSize = 16

    /// - Throws: `JailFailure` if the program gets longer than the kernel accepts.
    package init(_ rules: [CallRule]) throws(JailFailure) {
        load(.architecture)
        emit(.skipIfEqual, cjail_architecture, jumpTrue: 1)
        refuse(.notPermitted)
        load(.number)
        emit(.skipIfAtLeast, cjail_x32_bit, jumpFalse: 1)
        refuse(.notPermitted)
        var rest = Self.ordered(rules)[...]
        while let first = rest.first {
            var last = first.call
            let block = try Self.block(&rest, upTo: &last)
            emit(.skipIfAtLeast, UInt32(last + 1), jumpTrue: UInt8(clamping: block.count))
            instructions += block
        }
        emit(.returnValue, Self.allow)
        if instructions.count > Self.longest {
            throw JailFailure(
                .seccomp, "the filter has \(instructions.count) instructions, the kernel takes \(Self.longest)")
        }
    }

    /// By number; several rules for one call stay in their order.
    private static func ordered(_ rules: [CallRule]) -> [CallRule] {
        var result: [CallRule] = []
        for rule in rules where rule.call >= 0 {
            result.insert(rule, at: result.firstIndex { $0.call > rule.call } ?? result.endIndex)
        }
        return result
    }

    /// Takes as many rules as make a block, and all of the last call. The accumulator holds the number.
    private static func block(
        _ rules: inout ArraySlice<CallRule>, upTo last: inout Int
    ) throws(JailFailure) -> [cjail_instruction] {
        var block: [cjail_instruction] = []
        while let rule = rules.first, rule.call == last || block.count < Self.blockSize {
            // Those that only refuse, and alike, share one refusal.
            let alike = rules.prefix(Self.blockSize).prefix { $0.exceptions.isEmpty && $0.refusal == rule.refusal }
            for (index, other) in alike.enumerated() {
                let following = UInt8(alike.count - 1 - index)
                block.append(
                    instruction(
                        .skipIfEqual, UInt32(other.call), jumpTrue: following, jumpFalse: following == 0 ? 1 : 0))
                last = other.call
            }
            if alike.isEmpty {
                // Whatever the tests have loaded, what follows finds the number in the accumulator.
                let body = Self.body(of: rule) + [instruction(.loadWord, Field.number.offset)]
                block.append(
                    instruction(.skipIfEqual, UInt32(rule.call), jumpFalse: UInt8(clamping: body.count)))
                block += body
                last = rule.call
            } else {
                block.append(instruction(.returnValue, rule.refusal.action))
            }
            rules = rules.dropFirst(max(1, alike.count))
        }
        block.append(instruction(.returnValue, Self.allow))
        // A jump's distance is a byte. A block that is longer would need long jumps; none comes near it.
        guard block.count <= UInt8.max else {
            throw JailFailure(.seccomp, "the rules for call \(last) are too long: split their exceptions")
        }
        return block
    }

    /// Goes on to what follows it if an exception holds, else refuses.
    private static func body(of rule: CallRule) -> [cjail_instruction] {
        // Built from the end, so that the distance to it is always known.
        var body = [instruction(.returnValue, rule.refusal.action)]
        for exception in rule.exceptions.reversed() {
            // All tests hold: past everything that follows, out of the block.
            var block = [instruction(.skip, UInt32(body.count))]
            for test in exception.tests.reversed() {
                // A test that does not hold: to the next exception, or to the refusal.
                let miss = UInt8(clamping: block.count)
                block.insert(
                    test.isEqual
                        ? instruction(.skipIfEqual, test.value, jumpFalse: miss)
                        : instruction(.skipIfEqual, test.value, jumpTrue: miss), at: 0)
                if test.mask != .max { block.insert(instruction(.and, test.mask), at: 0) }
                block.insert(instruction(.loadWord, Field.argument(test.argument).offset), at: 0)
            }
            body.insert(contentsOf: block, at: 0)
        }
        return body
    }

    // MARK: The instruction set (linux/bpf_common.h), as far as it is used

    private enum Operation: UInt16 {
        /// BPF_LD | BPF_W | BPF_ABS
        case loadWord = 0x20
        /// BPF_ALU | BPF_AND | BPF_K
        case and = 0x54
        /// BPF_JMP | BPF_JA
        case skip = 0x05
        /// BPF_JMP | BPF_JEQ | BPF_K
        case skipIfEqual = 0x15
        /// BPF_JMP | BPF_JGE | BPF_K
        case skipIfAtLeast = 0x35
        /// BPF_RET | BPF_K
        case returnValue = 0x06
    }

    /// A field of struct seccomp_data. Both our architectures are little-endian: an argument's low half comes first.
    private enum Field {
        case number, architecture
        case argument(Int)

        var offset: UInt32 {
            switch self {
            case .number: 0
            case .architecture: 4
            case .argument(let index): 16 + 8 * UInt32(index)
            }
        }
    }

    /// SECCOMP_RET_ALLOW.
    private static let allow: UInt32 = 0x7fff_0000

    private static func instruction(
        _ operation: Operation, _ operand: UInt32, jumpTrue: UInt8 = 0, jumpFalse: UInt8 = 0
    ) -> cjail_instruction {
        cjail_instruction(
            code: operation.rawValue, jump_true: jumpTrue, jump_false: jumpFalse, operand: operand)
    }

    private mutating func emit(
        _ operation: Operation, _ operand: UInt32, jumpTrue: UInt8 = 0, jumpFalse: UInt8 = 0
    ) {
        instructions.append(Self.instruction(operation, operand, jumpTrue: jumpTrue, jumpFalse: jumpFalse))
    }

    private mutating func load(_ field: Field) { emit(.loadWord, field.offset) }

    private mutating func refuse(_ refusal: CallRule.Refusal) { emit(.returnValue, refusal.action) }
}
