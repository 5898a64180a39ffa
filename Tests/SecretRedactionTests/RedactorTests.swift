import FoundationEssentials
import SecretRedaction
import Testing

struct RedactorTests {
    private let secret = "s3cr3t/Value+\"quoted\"\\ü"
    private var redactor: Redactor { Redactor(secrets: [secret]) }

    /// Whether nothing of the form is left in the text.
    private func isGone(_ form: String, _ redactor: Redactor) -> Bool {
        let text = redactor.redact("before \(form) after")
        return text == "before \(Redactor.mark) after"
    }

    @Test func `a secret is taken out as it is`() {
        #expect(isGone(secret, redactor))
        #expect(redactor.redact("nothing here") == "nothing here")
    }

    @Test func `a secret is taken out of JSON, URLs and hex`() {
        #expect(isGone(#"s3cr3t/Value+\"quoted\"\\ü"#, redactor))
        #expect(isGone(#"s3cr3t\/Value+\"quoted\"\\ü"#, redactor))
        #expect(isGone("s3cr3t%2FValue%2B%22quoted%22%5C%C3%BC", redactor))
        #expect(isGone("s3cr3t%2fValue%2b%22quoted%22%5c%c3%bc", redactor))
        let digits = secret.utf8.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        #expect(isGone(digits, redactor))
        #expect(isGone(digits.uppercased(), redactor))
    }

    @Test(arguments: ["", "x", "xy", "xyz", "user:", "a\0b"])
    func `a secret is taken out of base64 at every alignment`(before: String) {
        for after in ["", "1", "22", "333"] {
            let standard = Data((before + secret + after).utf8).base64EncodedString()
            let url = String(standard.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
            // What carries the secret alone: with it gone, at most what the neighbours determine is left.
            for text in [standard, url] {
                let left = redactor.redact(text)
                #expect(left.contains(Redactor.mark), "\(text)")
                #expect(left.count - Redactor.mark.count <= (before.count + after.count) * 4 / 3 + 8, "\(left)")
            }
        }
    }

    @Test func `each line of a key is a secret`() {
        let redactor = Redactor(secrets: ["line one of it\nline two of it\nshort"])
        #expect(redactor.redact("line two of it") == Redactor.mark)
        #expect(redactor.redact("a short word") == "a short word")
    }

    @Test func `a value under 8 bytes is no secret`() {
        #expect(Redactor(secrets: ["seven77"]).redact("seven77") == "seven77")
        #expect(Redactor(secrets: ["eight888"]).redact("eight888") == Redactor.mark)
    }

    @Test(arguments: [8, 9, 12, 24, 40, 100])
    func `a redactor for texts of a length does with them what one for all texts does`(length: Int) {
        let secrets = [
            "eight888", "a secret of 24 bytes now", "one line\nand another of it\n", String(repeating: "k", count: 40),
        ]
        let all = Redactor(secrets: secrets)
        let some = Redactor(secrets: secrets, textLength: length)
        for secret in secrets + ["and another of it", "ordinary"] {
            let text = String((secret + " " + secrets.joined(separator: " ")).prefix(length))
            #expect(some.redact(text) == all.redact(text), "\(text)")
        }
    }

    @Test func `bytes that are no UTF-8 are left as they are`() {
        let redactor = Redactor(secrets: ["eight888"])
        #expect(redactor.redact([0xff, 0xfe]) == [0xff, 0xfe])
        #expect(
            redactor.redact([0xff] + Array("eight888".utf8) + [0xfe]) == [0xff] + Array(Redactor.mark.utf8) + [0xfe])
    }

    @Test func `secrets that overlap or follow one another leave nothing`() {
        let redactor = Redactor(secrets: ["abcdefgh", "efghijklmnop"])
        #expect(redactor.redact("abcdefghijklmnop") == Redactor.mark)
        #expect(redactor.redact("abcdefghabcdefgh") == Redactor.mark)
    }

    @Test(arguments: [
        "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefghijABCDEFGHIJ456789", "github_pat_11ABCDEFG0123456789_abcdef",
        "sk-ant-api03-abcdefghij0123", "sk-proj-abcdefghijklmnop0123456789", "glpat-abcdefghij0123456789",
        "xoxb-123456789012-abcdefghij", "AIzaSyA0123456789abcdefghijklmnopqrstuvw",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    ])
    func `what has the shape of a token goes, whoever's it is`(token: String) {
        let redactor = Redactor(secrets: [])
        #expect(isGone(token, redactor))
        #expect(redactor.redact("{\"key\":\"\(token)\"}") == "{\"key\":\"\(Redactor.mark)\"}")
    }

    @Test func `credentials in URLs, headers and PEM go, what is around them stays`() {
        let redactor = Redactor(secrets: [])
        #expect(redactor.redact("https://me:pass-word@host/x?y") == "https://me:\(Redactor.mark)@host/x?y")
        #expect(
            redactor.redact("curl -H 'Authorization: Bearer abc def' x")
                == "curl -H 'Authorization: \(Redactor.mark)' x")
        #expect(redactor.redact(#"{"authorization":"Basic eA=="}"#) == #"{"authorization":"\#(Redactor.mark)"}"#)
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nabcd\n-----END RSA PRIVATE KEY-----"
        #expect(redactor.redact("a\n\(key)\nb") == "a\n\(Redactor.mark)\nb")
        #expect(redactor.redact("a\n" + key.dropLast(40)) == "a\n\(Redactor.mark)")
    }

    @Test(arguments: [
        "task-list-of-things-to-do-1", "disk-usage-0123456789-report", "https://host:8080/path", "http://host/a@b",
        "sk-learn", "the authorization of users", "-----BEGIN CERTIFICATE-----", "AKIA", "eyJhbGciOiJIUzI1NiJ9",
        "nats://127.0.0.1:4222", "12:34:56",
    ])
    func `ordinary text stays`(text: String) {
        #expect(Redactor(secrets: []).redact(text) == text)
    }
}
