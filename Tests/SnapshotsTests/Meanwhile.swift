import Agent

/// A store between which and us something happens at the moment of a call.
final class Meanwhile: ObjectStore {
    let store: any ObjectStore
    /// Around each `putIfAbsent`.
    var before: () throws(ObjectStoreError) -> Void = { () throws(ObjectStoreError) in }
    var after: () throws(ObjectStoreError) -> Void = { () throws(ObjectStoreError) in }

    private(set) var deleted: [String] = []

    init(_ store: any ObjectStore) { self.store = store }

    func putIfAbsent(_ bytes: [UInt8], as key: String) throws(ObjectStoreError) {
        try before()
        try store.putIfAbsent(bytes, as: key)
        try after()
    }

    func put(_ bytes: [UInt8], as key: String) throws(ObjectStoreError) { try store.put(bytes, as: key) }
    func put(file path: String, as key: String) throws(ObjectStoreError) { try store.put(file: path, as: key) }
    func get(_ key: String, limit: Int) throws(ObjectStoreError) -> [UInt8] { try store.get(key, limit: limit) }
    func get(_ key: String, toFile path: String, limit: Int64) throws(ObjectStoreError) {
        try store.get(key, toFile: path, limit: limit)
    }
    func list(_ prefix: String) throws(ObjectStoreError) -> [StoredObject] { try store.list(prefix) }
    func delete(_ key: String) throws(ObjectStoreError) {
        deleted.append(key)
        try store.delete(key)
    }
}
