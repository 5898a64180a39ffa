"""How datagrams are sent, for the tests of who gets them."""

# Ways to send the bytes of `data` to the address `to`, with a socket `s`.
WAYS = {
    "sendto": "s.sendto(data, to)",
    "sendmsg": "s.sendmsg([data[:1], data[1:]], [], 0, to)",
    "send": "s.connect(to); s.send(data)",
    "write": "s.connect(to); os.write(s.fileno(), data)",
    "sendmsg to the peer": "s.connect(to); s.sendmsg([data])",
    "sendmmsg": "s.connect(to); many(s, data)",
}

MANY = """
import ctypes, os, socket, struct, sys
def many(s, data):
    '''sendmmsg(2) of the one datagram, and of a second.'''
    libc = ctypes.CDLL(None, use_errno=True)
    kept = [ctypes.create_string_buffer(text, len(text)) for text in (data, b'two')]
    parts = [ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(one), len(one))) for one in kept]
    messages = ctypes.create_string_buffer(b''.join(
        struct.pack('QQQQQQQII', 0, 0, ctypes.addressof(part), 1, 0, 0, 0, 0, 0) for part in parts))
    if libc.sendmmsg(s.fileno(), messages, 2, 0) != 2: raise OSError(ctypes.get_errno(), 'sendmmsg')
    assert [struct.unpack_from('I', messages, at)[0] for at in (56, 120)] == [len(data), 3]
"""
