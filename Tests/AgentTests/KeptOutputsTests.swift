import Agent
import AgentFixtures
import LinuxSystem
import Testing

/// The budget of kept outputs, on a folder of the test's own.
struct KeptOutputsTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// An output of so many bytes, as a command leaves it; how many of them found room.
    @discardableResult
    private func print(_ outputs: KeptOutputs, _ name: String, _ bytes: Int) throws -> Int {
        outputs.begin(name)
        try folder.write(name, "")
        let granted = outputs.takeRoom(bytes)
        try folder.write(name, String(repeating: "x", count: granted))
        outputs.end(name, granted: granted)
        return granted
    }

    private func exists(_ name: String) -> Bool { (try? folder.read(name)) != nil }

    @Test func `the oldest go, no more than needed, and are told once`() throws {
        let outputs = KeptOutputs(folder: folder.path, budget: 1000)
        outputs.settle()
        for name in ["10.0.out", "9.0.out", "11.0.out"] { #expect(try print(outputs, name, 300) == 300) }
        #expect(outputs.takeRemoved() == nil)
        #expect(try print(outputs, "12.0.out", 400) == 400)
        #expect(!exists("10.0.out") && exists("9.0.out") && exists("11.0.out") && exists("12.0.out"))
        let removal = outputs.takeRemoved()
        #expect(removal?.names == ["10.0.out"] && removal?.count == 1 && removal?.bytes == 300)
        #expect(outputs.takeRemoved() == nil)
    }

    @Test func `what is being written stays, and what has no room is not granted`() throws {
        let outputs = KeptOutputs(folder: folder.path, budget: 1000)
        outputs.settle()
        outputs.begin("1.0.out")
        try folder.write("1.0.out", "")
        #expect(outputs.takeRoom(900) == 900)
        #expect(try print(outputs, "1.1.out", 200) == 100)
        #expect(exists("1.0.out") && outputs.takeRemoved() == nil)
    }

    @Test func `a new process counts what lies there, and removes nothing before the old calls are settled`() throws {
        try folder.write("1.0.out", String(repeating: "x", count: 2000))
        let outputs = KeptOutputs(folder: folder.path, budget: 1000)
        #expect(try print(outputs, "1.1.out", 10) == 0)
        #expect(exists("1.0.out"))
        outputs.settle()
        #expect(try print(outputs, "1.2.out", 10) == 10)
        #expect(!exists("1.0.out") && exists("1.1.out"))
        #expect(outputs.takeRemoved()?.bytes == 2000)
    }

    @Test func `an output in the place of an older one counts once`() throws {
        let outputs = KeptOutputs(folder: folder.path, budget: 1000)
        outputs.settle()
        for _ in 0..<5 { #expect(try print(outputs, "1.0.out", 600) == 600) }
        #expect(try print(outputs, "1.1.out", 400) == 400)
        #expect(exists("1.0.out") && outputs.takeRemoved() == nil)
    }

    @Test func `empty outputs are bounded by their number, and go without a word`() throws {
        for number in 0..<KeptOutputs.fileLimit { try folder.write("\(number).0.out", "") }
        let outputs = KeptOutputs(folder: folder.path)
        outputs.settle()
        try print(outputs, "new.out", 0)
        #expect(try namesInFolder(folder.path).count == KeptOutputs.fileLimit)
        #expect(outputs.takeRemoved() == nil && exists("new.out"))
    }

    @Test func `of many that go the first are named`() throws {
        for number in 100..<150 { try folder.write("\(number).0.out", "x") }
        let outputs = KeptOutputs(folder: folder.path, budget: 50)
        outputs.settle()
        try print(outputs, "new.out", 50)
        let removal = outputs.takeRemoved()
        #expect(removal?.count == 50 && removal?.names.count == KeptOutputs.Removal.namedLimit)
    }
}
