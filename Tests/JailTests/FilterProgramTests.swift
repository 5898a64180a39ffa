import CLinux
import Glibc
import Jail
import Testing

/// The assembled program, run by a small interpreter, against what the rules say in words.
@Suite struct FilterProgramTests {
    private static let allowed: UInt32 = 0x7fff_0000
    private static let refused: UInt32 = 0x0005_0000 | UInt32(EPERM)

    /// A call as the kernel shows it to the filter: struct seccomp_data.
    private struct Call {
        var number: UInt32
        var architecture: UInt32 = cjail_architecture
        var arguments: [UInt64] = Array(repeating: 0, count: 6)

        func word(at offset: UInt32) -> UInt32? {
            switch offset {
            case 0: number
            case 4: architecture
            case 16..<64 where offset % 8 == 0: UInt32(truncatingIfNeeded: arguments[Int(offset - 16) / 8])
            case 16..<64 where offset % 8 == 4: UInt32(truncatingIfNeeded: arguments[Int(offset - 16) / 8] >> 32)
            default: nil
            }
        }
    }

    /// What the program answers; nil if it does what the kernel would not accept.
    private func run(_ program: FilterProgram, on call: Call) -> UInt32? {
        var accumulator: UInt32 = 0
        var place = 0
        while program.instructions.indices.contains(place) {
            let instruction = program.instructions[place]
            place += 1
            func jump(_ condition: Bool) {
                place += Int(condition ? instruction.jump_true : instruction.jump_false)
            }
            switch instruction.code {
            case 0x20:
                guard let word = call.word(at: instruction.operand) else { return nil }
                accumulator = word
            case 0x54: accumulator &= instruction.operand
            case 0x05: place += Int(instruction.operand)
            case 0x15: jump(accumulator == instruction.operand)
            case 0x35: jump(accumulator >= instruction.operand)
            case 0x06: return instruction.operand
            default: return nil
            }
        }
        return nil
    }

    /// What the rules say: every rule for this call has an exception all of whose tests hold.
    private func answer(_ rules: [CallRule], on call: Call) -> UInt32 {
        for rule in rules where rule.call == Int(call.number) {
            let isExcepted = rule.exceptions.contains { exception in
                exception.tests.allSatisfy { test in
                    let low = UInt32(truncatingIfNeeded: call.arguments[test.argument])
                    return (low & test.mask == test.value) == test.isEqual
                }
            }
            if !isExcepted { return rule.refusal.action }
        }
        return Self.allowed
    }

    @Test func `for random rules and calls the program answers as the rules say`() throws {
        var random = SplitMix(seed: 2026)
        func value() -> UInt32 { UInt32.random(in: 0...3, using: &random) }
        for round in 0..<300 {
            let rules = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                CallRule(
                    call: Int.random(in: -1...5, using: &random),
                    exceptions: (0..<Int.random(in: 0...4, using: &random)).map { _ in
                        var exception = CallRule.Exception()
                        exception.tests = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                            ArgumentTest(
                                argument: Int.random(in: 0...5, using: &random),
                                mask: Bool.random(using: &random) ? .max : value(),
                                isEqual: Bool.random(using: &random),
                                value: value())
                        }
                        return exception
                    },
                    refusal: [.notPermitted, .notImplemented, .brokered][Int.random(in: 0...2, using: &random)])
            }
            let program = try FilterProgram(rules)
            for _ in 0..<100 {
                // The upper halves are noise: the kernel drops them, and so must the filter.
                let call = Call(
                    number: UInt32.random(in: 0...6, using: &random),
                    arguments: (0..<6).map { _ in
                        UInt64(value()) | UInt64(UInt32.random(in: 0...1, using: &random)) << 32
                    })
                #expect(run(program, on: call) == answer(rules, on: call), "round \(round): \(call)")
            }
        }
    }

    @Test func `a call by another architecture's entry is refused, whatever its number`() throws {
        let program = try FilterProgram([])
        #expect(run(program, on: Call(number: 0)) == Self.allowed)
        #expect(run(program, on: Call(number: 0, architecture: 0x4000_0003)) == Self.refused)
    }

    @Test(arguments: [0x4000_0000, 0x4000_0027, 0xffff_ffff] as [UInt32])
    func `an x32 number is refused`(number: UInt32) throws {
        #expect(run(try FilterProgram([]), on: Call(number: number)) == Self.refused)
    }

    @Test func `a rule that is too long for a jump is refused, not cut`() {
        let exceptions = Array(repeating: CallRule.Exception(.argument(0, is: 1)), count: 200)
        #expect(throws: JailFailure.self) {
            try FilterProgram([CallRule(call: 1, exceptions: exceptions, refusal: .notPermitted)])
        }
    }
}

/// A seeded generator, so that a failing round can be made again.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
