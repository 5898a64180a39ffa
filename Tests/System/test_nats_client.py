"""The small NATS client against the real server."""

import pytest

import nats_process
from nats_client import NATS, NATSError
from nats_process import NATSProcess

pytestmark = pytest.mark.skipif(nats_process.program() is None, reason="nats-server is not installed")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with NATSProcess(tmp_path_factory.mktemp("nats")) as server:
        yield server.url


def test_a_subscriber_gets_what_is_published_with_its_headers(url):
    with NATS(url) as reader, NATS(url) as writer:
        number = reader.subscribe("a.*")
        writer.publish("a.b", "zwölf".encode())
        writer.publish("a.c", b"x", headers={"Nats-Msg-Id": "j.1"})
        writer.flush()
        first, second = reader.next(number), reader.next(number)
        assert (first.subject, first.data.decode(), first.headers) == ("a.b", "zwölf", {})
        assert (second.subject, second.data, second.headers["Nats-Msg-Id"]) == ("a.c", b"x", "j.1")


def test_a_wait_has_a_deadline_and_the_connection_goes_on(url):
    with NATS(url) as reader:
        number = reader.subscribe("silence")
        with pytest.raises(NATSError):
            reader.next(number, timeout=0.2)
        reader.publish("silence", b"broken")
        assert reader.next(number).data == b"broken"


def test_a_request_that_nobody_answers_is_an_error(url):
    with NATS(url) as client:
        with pytest.raises(NATSError, match="nobody answers"):
            client.request("nobody", b"")


def test_stored_messages_come_back_once_and_in_order(url):
    with NATS(url) as client:
        assert client.stream_of("t.one") is None
        assert list(client.stored("t.one")) == []
        client.jetstream("STREAM.CREATE.T", name="T", subjects=["t.>"], storage="file")
        for number in range(3):
            client.request("t.one", b'{"seq": %d}' % number)
            client.request("t.two", b"{}")
        client.publish("t.one", b'{"seq": 3}', headers={"Nats-Msg-Id": "x"})
        client.publish("t.one", b'{"seq": 4}', headers={"Nats-Msg-Id": "x"})
        client.flush()
        assert client.stream_of("t.one") == "T"
        assert [record["seq"] for _, record in client.stored("t.one")] == [0, 1, 2, 3]


def test_a_jetstream_error_is_raised_with_its_code(url):
    with NATS(url) as client:
        with pytest.raises(NATSError, match="10059"):
            client.jetstream("STREAM.INFO.NONE")


def test_a_wrong_password_is_an_error(tmp_path):
    with NATSProcess(tmp_path, "--user", "u", "--pass", "right") as server:
        with pytest.raises(NATSError):
            NATS(server.url, user="u", password="wrong")
        NATS(server.url, user="u", password="right").close()
