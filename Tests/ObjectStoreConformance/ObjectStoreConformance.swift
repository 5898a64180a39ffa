package import Agent
import AgentFixtures
import Glibc
import LinuxSystem

/// What every `ObjectStore` must do. `make` gives a new connection to one and the same, at first empty store each time.
package struct ObjectStoreConformance {
    private let make: () throws -> any ObjectStore

    package init(_ make: @escaping () throws -> any ObjectStore) { self.make = make }

    /// A broken promise.
    package struct Violation: Error, CustomStringConvertible {
        package let description: String
    }

    /// Runs the suite on an empty store. `isAtomic` false: a store of others' that does not keep apart what wants one key
    /// in the same moment.
    package func run(isAtomic: Bool = true) throws {
        try beginsEmpty()
        try givesBackWhatWasPut()
        try givesBackFiles()
        try replaces()
        try leavesNoFileOfWhatItCannotGive()
        try keepsToTheLimit()
        try listsByKey()
        if isAtomic { try letsOneOfManyPut() }
        try putsIfAbsentOnly()
        try deletes()
        try refusesKeysThatAreNone()
    }

    private func expect(_ condition: Bool, _ what: String) throws {
        if !condition { throw Violation(description: what) }
    }

    private func expect(
        _ kind: ObjectStoreError.Kind, _ what: String, _ body: () throws(ObjectStoreError) -> Void
    ) throws {
        do throws(ObjectStoreError) {
            try body()
        } catch {
            try expect(error.kind == kind, "\(what): \(error.kind) instead of \(kind): \(error)")
            return
        }
        throw Violation(description: "\(what): done, where it must throw \(kind)")
    }

    private func beginsEmpty() throws {
        try expect(try make().list("") == [], "a new store has objects")
        try expect(.missing, "get of nothing") { () throws(ObjectStoreError) in
            _ = try store().get("none/at-all", limit: 10)
        }
    }

    private func store() throws(ObjectStoreError) -> any ObjectStore {
        do { return try make() } catch { throw ObjectStoreError(.unavailable, "no store: \(error)") }
    }

    /// Every byte, and sizes around those of buffers.
    private func givesBackWhatWasPut() throws {
        for size in [0, 1, 255, 16384, 65537, 3 << 20] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
            try make().put(bytes, as: "size/\(size)")
            try expect(try make().get("size/\(size)", limit: size) == bytes, "\(size) bytes came back changed")
        }
    }

    private func givesBackFiles() throws {
        let folder = try TemporaryFolder()
        let text = String(repeating: "A line of a file.\n", count: 200_000)
        try folder.write("from", text)
        try make().put(file: folder.path + "/from", as: "files/a")
        try make().get("files/a", toFile: folder.path + "/to", limit: Int64(text.utf8.count))
        let back = try readFile(folder.path + "/to", limit: 1 << 30)
        try expect(back == Array(text.utf8), "a file came back changed")
        try folder.write("empty", "")
        try make().put(file: folder.path + "/empty", as: "files/empty")
        try make().get("files/empty", toFile: folder.path + "/to", limit: 0)
        try expect(try readFile(folder.path + "/to", limit: 1) == [], "an empty file came back changed")
        try expect(.refused, "put of a file that is not there") { () throws(ObjectStoreError) in
            try store().put(file: folder.path + "/none", as: "files/none")
        }
        try expect(try namesInFolder(folder.path) == ["empty", "from", "to"], "a temporary file is left")
    }

    private func replaces() throws {
        try make().put(Array("first, and longer".utf8), as: "replaced")
        try make().put(Array("second".utf8), as: "replaced")
        try expect(try make().get("replaced", limit: 100) == Array("second".utf8), "put does not replace")
    }

    private func leavesNoFileOfWhatItCannotGive() throws {
        let folder = try TemporaryFolder()
        let target = folder.path + "/target"
        try expect(.missing, "get of nothing to a file") { () throws(ObjectStoreError) in
            try store().get("none", toFile: target, limit: 10)
        }
        try make().put([1, 2, 3], as: "three")
        try expect(.damaged, "get of too much to a file") { () throws(ObjectStoreError) in
            try store().get("three", toFile: target, limit: 2)
        }
        try expect(try namesInFolder(folder.path) == [], "a failed get leaves \(try namesInFolder(folder.path))")
        try folder.write("target", "as it was")
        try expect(.damaged, "get of too much over a file") { () throws(ObjectStoreError) in
            try store().get("three", toFile: target, limit: 2)
        }
        try expect(try folder.read("target") == "as it was", "a failed get changed the file that was there")
    }

    private func keepsToTheLimit() throws {
        try make().put([1, 2, 3], as: "three")
        try expect(try make().get("three", limit: 3) == [1, 2, 3], "get with the exact limit")
        try expect(.damaged, "get beyond the limit") { () throws(ObjectStoreError) in
            _ = try store().get("three", limit: 2)
        }
    }

    private func listsByKey() throws {
        let keys = ["list/b", "list/a/2", "list/a/10", "list/a-b", "list/B.c_d", "list2/x"]
        for key in keys { try make().put(Array(key.utf8), as: key) }
        let found = try make().list("list/")
        try expect(
            found.map(\.key) == ["list/B.c_d", "list/a-b", "list/a/10", "list/a/2", "list/b"], "the list is \(found)")
        try expect(found.allSatisfy { $0.size == Int64($0.key.utf8.count) }, "sizes are wrong: \(found)")
        try expect(try make().list("list/a").map(\.key) == ["list/a-b", "list/a/10", "list/a/2"], "a prefix is cut")
        try expect(try make().list("list/none") == [], "a prefix of nothing lists something")
    }

    /// Eight threads want one key at the same time: one gets it, and what is stored is that one's.
    private func letsOneOfManyPut() throws {
        let contest = Contest(try (0..<8).map { _ in Contest.Entrant(store: try make()) })
        let results = contest.run(key: "claim/1")
        try expect(results.filter { $0 == nil }.count == 1, "putIfAbsent: \(results)")
        try expect(results.compactMap(\.self).allSatisfy { $0.kind == .exists }, "putIfAbsent: \(results)")
        guard let winner = results.firstIndex(of: nil) else { return }
        let stored = try make().get("claim/1", limit: 100)
        try expect(stored == Contest.claim(of: winner), "the object is not the winner's")
    }

    private func putsIfAbsentOnly() throws {
        let claim = Array("the claim".utf8)
        try make().putIfAbsent(claim, as: "claim/2")
        // After a lost reply it is found to be one's own.
        try make().putIfAbsent(claim, as: "claim/2")
        for other in [Array("other".utf8), claim.dropLast(), claim + claim] {
            try expect(.exists, "putIfAbsent of others") { () throws(ObjectStoreError) in
                try store().putIfAbsent(other, as: "claim/2")
            }
        }
        try expect(try make().get("claim/2", limit: 100) == claim, "putIfAbsent replaces")
    }

    private func deletes() throws {
        try make().put([1], as: "gone")
        try make().delete("gone")
        try expect(.missing, "get of the deleted") { () throws(ObjectStoreError) in
            _ = try store().get("gone", limit: 1)
        }
        try make().delete("gone")
        try make().delete("never/was/there")
    }

    private func refusesKeysThatAreNone() throws {
        let long = String(repeating: "a/", count: 256) + "a"
        let wrong = ["", "/a", "a/", "a//b", ".", "a/../b", "a/./b", "ä", "a b", "a?b", "a%2Fb", "a\0b", "~a", long]
        for key in wrong + [String(repeating: "a", count: 256)] {
            try expect(.refused, "put of \(key)") { () throws(ObjectStoreError) in try store().put([], as: key) }
            try expect(.refused, "get of \(key)") { () throws(ObjectStoreError) in _ = try store().get(key, limit: 1) }
            try expect(.refused, "delete of \(key)") { () throws(ObjectStoreError) in try store().delete(key) }
        }
        let longest = String(repeating: "abc/", count: 127) + "abcd"
        try make().put([1], as: longest)
        try expect(try make().get(longest, limit: 1) == [1], "a key of 512 bytes")
    }
}
