import Agent
import Glibc

/// Several threads that want one key at the same time, each with a store of its own.
final class Contest {
    /// One thread's: it is written by that thread only, and read when all have been joined.
    final class Entrant {
        let store: any ObjectStore
        var bytes: [UInt8] = []
        var key = ""
        var failure: ObjectStoreError?

        init(store: any ObjectStore) { self.store = store }

        func run() {
            do throws(ObjectStoreError) { try store.putIfAbsent(bytes, as: key) } catch { failure = error }
        }
    }

    private let entrants: [Entrant]

    init(_ entrants: [Entrant]) { self.entrants = entrants }

    static func claim(of index: Int) -> [UInt8] { Array("the claim of \(index)".utf8) }

    /// - Returns: each one's failure; nil for who has stored it.
    func run(key: String) -> [ObjectStoreError?] {
        var threads: [pthread_t] = []
        for (index, entrant) in entrants.enumerated() {
            entrant.bytes = Self.claim(of: index)
            entrant.key = key
            var thread = pthread_t()
            let context = Unmanaged.passUnretained(entrant).toOpaque()
            let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { context in
                if let context { Unmanaged<Entrant>.fromOpaque(context).takeUnretainedValue().run() }
                return nil
            }
            if pthread_create(&thread, nil, body, context) == 0 { threads.append(thread) }
        }
        for thread in threads { pthread_join(thread, nil) }
        return entrants.map(\.failure)
    }
}
