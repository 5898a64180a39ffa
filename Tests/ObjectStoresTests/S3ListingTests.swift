import Agent
import ObjectStores
import Testing

struct S3ListingTests {
    private static let page = """
        <?xml version="1.0" encoding="UTF-8"?>
        <!-- a comment -->
        <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/>
        <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
        <Contents><Key>a%2Fb+c%C3%A4</Key><Size>3</Size><Owner><ID>x</ID></Owner></Contents>
        <Contents><Key>d&amp;&#101;&#x66;</Key><Size>0</Size></Contents>
        <NextContinuationToken>t&lt;1</NextContinuationToken></ListBucketResult>
        """

    @Test func `keys, sizes and the token of the next page are read`() throws {
        let listing = try #require(S3Listing(parsing: Array(Self.page.utf8)))
        #expect(listing.objects == [StoredObject(key: "a/b cä", size: 3), StoredObject(key: "d&ef", size: 0)])
        #expect(listing.next == "t<1")
    }

    @Test(arguments: [
        "", "<", "<a", "<a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "<a>&#0;</a>", "<a>&amp</a>", "text",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "<a b=c/>", "<a><![CDATA[x]]></a>", "<a/>x",
        String(repeating: "<a>", count: 100_000),
    ])
    func `what is no XML of S3 is none`(text: String) {
        #expect(XMLElement(parsing: Array(text.utf8)) == nil)
    }

    @Test(arguments: [
        ("<IsTruncated>true</IsTruncated>", "<IsTruncated>maybe</IsTruncated>"),
        ("<NextContinuationToken>t&lt;1</NextContinuationToken>", ""), ("<Size>3</Size>", "<Size>-3</Size>"),
        ("<Size>3</Size>", ""), ("%2F", "%G2"), ("%2F", "%+2"), ("%C3%A4", "%C3"), ("ListBucketResult", "Error"),
    ])
    func `a listing that says less than it must is none`(part: String, other: String) {
        #expect(S3Listing(parsing: Array(Self.page.replacing(part, with: other).utf8)) == nil)
    }

    /// Bytes changed, taken away and doubled, by a fixed seed: it ends, and never with a key that was not there whole.
    @Test func `a damaged listing never crashes the reader`() {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<5000 {
            var bytes = Array(Self.page.utf8)
            for _ in 0...random(6) {
                let place = random(bytes.count)
                switch random(4) {
                case 0: bytes[place] = UInt8(random(256))
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + random(40))], at: place)
                default: bytes.removeLast(random(min(20, bytes.count)))
                }
            }
            let objects = S3Listing(parsing: bytes)?.objects ?? []
            #expect(objects.allSatisfy { $0.size >= 0 })
        }
    }
}
