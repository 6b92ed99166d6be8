# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A client that stays connected while one server after the other serves it, for it-takeover.sh:
#
#   holder.py SOCKET FOLDER ROUNDS
#
# In each round it sends one half of a write on one connection, and on another one more reads than
# fit into the socket, of which it takes no answer.  It makes FOLDER/ready.ROUND, waits for
# FOLDER/go.ROUND, sends the other half, and prints what came: answers in their order, and the
# event of the write before its answer; then it sends a request whose pieces are apart.  With the socket alone it starts a transaction and stays.

import os
import socket
import struct
import sys
import time

READ, WATCH, START, WRITE, EVENT = 2, 4, 6, 11, 15
HEADER = struct.Struct("=IIII")
READS = 400
BIG = b"x" * 2000


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.n = 0

    def message(self, kind, payload):
        self.n += 1
        return HEADER.pack(kind, self.n, 0, len(payload)) + payload

    def take(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                sys.exit("the connection was closed")
            data += more
        return data

    def next(self):
        kind, request, _, length = HEADER.unpack(self.take(HEADER.size))
        return kind, request, self.take(length)

    def ask(self, kind, payload):
        self.socket.sendall(self.message(kind, payload))
        return self.next()


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)


def main():
    path, folder, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    half, lazy = Client(path), Client(path)
    assert half.ask(WATCH, b"/held\0token\0")[0] == WATCH
    assert half.next()[0] == EVENT
    assert half.ask(WRITE, b"/big\0" + BIG)[0] == WRITE
    for number in range(rounds):
        request = half.message(WRITE, b"/held/%d\0value" % number)
        half.socket.sendall(request[:21])
        first = lazy.n + 1
        reads = b"".join(lazy.message(READ, b"/big\0") for _ in range(READS))
        lazy.socket.sendall(reads)
        time.sleep(0.2)  # for the server to have read all of this
        open("%s/ready.%d" % (folder, number), "w").close()
        wait_for("%s/go.%d" % (folder, number))
        half.socket.sendall(request[21:])
        event, answer = half.next(), half.next()
        assert event == (EVENT, 0, b"/held/%d\0token\0" % number), event
        assert answer == (WRITE, half.n, b"OK\0"), answer
        for i in range(READS):
            assert lazy.next() == (READ, first + i, BIG), i
        # As libxenstore writes it: the server that reads the first piece finds no other.
        request = half.message(READ, b"/held/%d\0" % number)
        half.socket.sendall(request[: HEADER.size])
        time.sleep(0.2)
        half.socket.sendall(request[HEADER.size :])
        assert half.next() == (READ, half.n, b"value")
        print("round %d: all came" % number, flush=True)


if len(sys.argv) == 2:
    client = Client(sys.argv[1])
    client.ask(START, b"\0")
    time.sleep(600)
main()
