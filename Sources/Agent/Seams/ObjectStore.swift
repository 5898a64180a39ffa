/// An object as a listing tells of it.
package struct StoredObject: Equatable, Sendable {
    package let key: String
    /// Bytes.
    package let size: Int64

    package init(key: String, size: Int64) {
        self.key = key
        self.size = size
    }
}

/// Why an object store could not do what it was asked.
package struct ObjectStoreError: Error, Equatable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable {
        /// There is no object of that key.
        case missing
        /// `putIfAbsent`: there is one already, and it is not ours.
        case exists
        /// The credentials are refused: unknown, wrong, expired. They may have been rotated (`KeyPatience`).
        case denied
        /// The credentials are known and not enough for this; or, in a folder, its mode is.
        case forbidden
        /// What came is cut, or larger than was asked for, or not what was sent.
        case damaged
        /// Asked wrongly: no such bucket, a key that is none. To try again changes nothing.
        case refused
        /// Out of reach, slow or failing, for longer than the store tries by itself. To be tried again later.
        case unavailable
    }

    package let kind: Kind
    /// What failed, with the key and the store's own words, and what to do about it. Never a secret.
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}

/// The seam to where snapshots lie: a flat space of immutable objects.
///
/// Contract, which `ObjectStoreConformance` tries on every implementation:
/// - A key is 1 to 512 of `A-Z a-z 0-9 - _ . /`, each segment 1 to 255 long and neither `.` nor `..`; anything else is
///   `refused` before anything is sent. Give no key that is the folder of another (`a` beside `a/b`): a store in a
///   folder cannot hold both.
/// - `put` returns when the object is stored whole; an object under its name is whole, at every instant, or is not
///   there. It replaces what is there.
/// - `putIfAbsent` stores it only if there is none of that key, atomically among all who try, and throws `exists` if
///   there is one of other bytes. One of the same bytes is its own, stored by a request whose reply was lost: give
///   bytes that nobody else gives.
/// - `get` gives what was put, or throws; it never gives a part. A file is written under its final name only when all
///   of it has come and is on the disk.
/// - `list` gives all objects whose key begins with `prefix`, by key in byte order.
/// - `delete` of what is not there succeeds.
/// - Every call returns or throws within its deadline (each implementation states its own), tries again by itself what
///   may pass, and keeps a bounded amount in memory whatever the object's size. Used from one thread.
package protocol ObjectStore: AnyObject {
    func put(_ bytes: [UInt8], as key: String) throws(ObjectStoreError)
    func put(file path: String, as key: String) throws(ObjectStoreError)
    func putIfAbsent(_ bytes: [UInt8], as key: String) throws(ObjectStoreError)
    /// - Throws: `ObjectStoreError`: `missing`; `damaged` if it is larger than `limit` bytes.
    func get(_ key: String, limit: Int) throws(ObjectStoreError) -> [UInt8]
    /// - Throws: `ObjectStoreError`: `missing`; `damaged` if it is larger than `limit` bytes. There is no file then.
    func get(_ key: String, toFile path: String, limit: Int64) throws(ObjectStoreError)
    func list(_ prefix: String) throws(ObjectStoreError) -> [StoredObject]
    func delete(_ key: String) throws(ObjectStoreError)
}
