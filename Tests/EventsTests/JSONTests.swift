import Events
import Testing

struct JSONTests {
    @Test(arguments: [
        "null", "true", "0", "-9223372036854775808", "9223372036854775807", "1.5", "\"\"", "\"\\u0000\"", "[]", "{}",
        #"{"a":[1,{"b":"\"\\/"},null]}"#, "\"\u{1F980}\"",
    ])
    func `a value that is written reads back as the same`(text: String) throws {
        let value = try JSON(parsing: text)
        #expect(try JSON(parsing: value.text) == value)
    }

    @Test func `whole numbers stay whole`() throws {
        #expect(try JSON(parsing: "9007199254740993") == .int(9_007_199_254_740_993))
    }

    @Test(arguments: ["", "nope", "{", "[1", "{\"a\":}", "1 2", "\"\u{1}\"", "NaN"])
    func `what is not JSON is refused`(text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
    }

    @Test func `equal values have equal text`() throws {
        let one = try JSON(parsing: #"{"b":1,"a":2}"#)
        let other = try JSON(parsing: #"{"a":2,"b":1}"#)
        #expect(one.text == other.text)
        #expect(!one.text.contains("\n"))
    }
}
