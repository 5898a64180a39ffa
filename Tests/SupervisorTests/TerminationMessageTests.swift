import Supervisor
import Testing

struct TerminationMessageTests {
    private func message(_ reason: String, outcome: String = "failed", phase: String = "TACTICAL") -> TerminationMessage
    {
        TerminationMessage(
            outcome: outcome, exitCode: 1, reason: reason, phase: phase, step: 4, seq: 77, restarts: 2)
    }

    @Test func `it is one JSON object on one line`() {
        #expect(
            message("so").json
                == #"{"outcome":"failed","exit_code":1,"reason":"so","phase":"TACTICAL","step":4,"seq":77,"restarts":2}"#
                + "\n")
    }

    @Test func `as long as the run has not ended its code is null`() {
        var message = message("")
        message.exitCode = nil
        #expect(message.json.contains(#""exit_code":null,"#))
    }

    @Test func `everything JSON forbids is escaped`() {
        #expect(message("a\"b\\c\nd\te\u{1}f\u{7f}€").json.contains(#""reason":"a\"b\\c\nd\te\u0001f\u007f€","#))
    }

    @Test(arguments: ["x", "\"", "\u{1}", "€", "👩‍🚀", "e\u{301}"])
    func `any text at any length stays within the kubelet's limit and is cut between characters`(piece: String) {
        let long = String(repeating: piece, count: 5000)
        let json = message(long, outcome: long, phase: long).json
        // What the kubelet shows of the file (kubernetes.io, "Determine the Reason for Pod Failure").
        #expect(json.utf8.count <= 4096)
        #expect(json.hasSuffix(#","step":4,"seq":77,"restarts":2}"# + "\n"))
        // Every backslash begins a whole escape.
        let rest = json.replacing("\\\"", with: "").replacing("\\u0001", with: "")
        #expect(!rest.contains("\\"))
        #expect(rest.count(where: { $0 == "\"" }) == 20)
    }
}
