import Supervisor
import Testing

struct ReceivedSignalTests {
    @Test(arguments: [0, -6, 0x80] as [Int32])
    func `without a sender it is from outside`(code: Int32) {
        #expect(ReceivedSignal(number: 15, code: code, sender: 0).isFromOutside)
    }

    @Test(arguments: [0, -6] as [Int32])
    func `with a sender it is from inside`(code: Int32) {
        #expect(!ReceivedSignal(number: 15, code: code, sender: 7).isFromOutside)
    }

    @Test func `a sender that the sender itself wrote is not believed`() {
        #expect(!ReceivedSignal(number: 15, code: -1, sender: 0).isFromOutside)
        #expect(!ReceivedSignal(number: 15, code: -60, sender: 0).isFromOutside)
    }

    @Test func `only the kernel's own code is a terminal's`() {
        #expect(ReceivedSignal(number: 2, code: 0x80, sender: 0).isFromKernel)
        #expect(!ReceivedSignal(number: 2, code: 0, sender: 0).isFromKernel)
    }
}
