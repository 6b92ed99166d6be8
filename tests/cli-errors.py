#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xds when things go wrong.  Proves each exit status of xds(1), as text and as JSON, against a server
# that refuses everything, hangs up or talks nonsense; that what cannot be printed is an error and
# never goes to the server instead; that Ctrl-C ends what waits; that odd words get one line that
# says what is wrong; and that what takes long says so on a terminal, and only there.  Prints TAP.

import json
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

XDS = os.environ.get('top_builddir', os.getcwd()) + '/xds'
WORK = tempfile.TemporaryDirectory(prefix='xds-errors-')
SOCKET = WORK.name + '/socket'
DIRECTORY, READ, GET_PERMS = 1, 2, 3
ERROR, TRANSACTION_START, TRANSACTION_END, WATCH, WATCH_EVENT = 16, 6, 7, 4, 15


class Server(threading.Thread):
    """A server that does to every request what it was told last."""

    def __init__(self):
        super().__init__(daemon=True)
        self.answer = None
        self.requests = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(SOCKET)
        self.listener.listen(8)

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        stream = peer.makefile('rb')
        while True:
            try:
                header = stream.read(16)
                if len(header) < 16:
                    break
                op, req, tx, size = struct.unpack('<4I', header)
                self.requests.append((op, stream.read(size)))
                reply = self.answer(op, self.requests[-1][1])
                if reply is None:
                    break
                peer.sendall(struct.pack('<4I', reply[0], req, tx, len(reply[1])) + reply[1])
            except ConnectionError:
                break
        peer.close()


def refusing(name):
    return lambda op, payload: (ERROR, name.encode() + b'\0')


def losing(op, payload):
    """Every transaction meets a conflict."""
    if op == TRANSACTION_START:
        return op, b'1\0'
    return (ERROR, b'EAGAIN\0') if op == TRANSACTION_END else (op, b'OK\0')


def agreeing(op, payload):
    return op, b'1\0' if op == TRANSACTION_START else b'OK\0'


def slow(op, payload):
    """A chain of four nodes, of which each takes its time."""
    if op == DIRECTORY:
        time.sleep(0.3)
        return op, b'x\0' if payload.count(b'x') < 4 else b''
    return op, {READ: b'v', GET_PERMS: b'n0\0', TRANSACTION_START: b'1\0'}.get(op, b'OK\0')


def silent(op, payload):
    time.sleep(100)


def nonsense(op, payload):
    return 99, b'?'


def run(*words, **more):
    more.setdefault('stdin', subprocess.DEVNULL)
    done = subprocess.run([XDS, '-s', SOCKET, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, **more)
    return done.returncode, done.stdout, done.stderr.decode()


number = failed = 0


def check(title, good, *shown):
    global number, failed
    number += 1
    failed += not good
    print('%sok %d - %s' % ('' if good else 'not ', number, title), flush=True)
    if not good:
        print('# %r' % (shown,))


def check_status(title, answer, status, name, *words):
    """It ends with @status, saying so in one line, and as JSON with the same @name and status."""
    server.answer = answer
    code, out, err = run(*words)
    check(title, code == status and err.startswith('xds: ') and err.count('\n') == 1 and not out,
          code, out, err)
    code, out, err = run('-j', *words)
    try:
        said = json.loads(err)
    except ValueError:
        said = {}
    check(title + ', as JSON', code == status and said.get('error') == name
          and said.get('status') == status and said.get('message'), code, out, err)


def check_statuses():
    read, write = ('read', '/a'), ('write', '/a', '1')
    check_status('absent is 1', refusing('ENOENT'), 1, 'ENOENT', *read)
    check_status('there already is 1', refusing('EEXIST'), 1, 'EEXIST', *read)
    check_status('too few words is 2', refusing('ENOENT'), 2, 'USAGE', 'read')
    check_status('an unknown option is 2', refusing('ENOENT'), 2, 'USAGE', 'read', '--bogus', '/a')
    check_status('an unknown verb is 2', refusing('ENOENT'), 2, 'USAGE', 'raed', '/a')
    check_status('not permitted is 3', refusing('EACCES'), 3, 'EACCES', *read)
    check_status('another owner\'s is 3', refusing('EPERM'), 3, 'EPERM', 'chmod', '/a', 'n1')
    check_status('a conflict after all retries is 4', losing, 4, 'EAGAIN', *write)
    check_status('a quota is 5', refusing('ENOSPC'), 5, 'ENOSPC', *write)
    check_status('the quota of memory is 5', refusing('ENOMEM'), 5, 'ENOMEM', *write)
    check_status('too long for a message is 5', agreeing, 5, 'E2BIG', 'write', '/a', 'x' * 5000)
    check_status('a server that hangs up is 6', lambda *_: None, 6, 'CLOSED', *read)
    check_status('no server is 6', agreeing, 6, 'CONNECT', '-s', WORK.name + '/none', *read)
    check_status('any other error is 7', refusing('EIO'), 7, 'EIO', *read)
    check_status('what is no answer is 7', nonsense, 7, 'PROTOCOL', *read)
    check_status('a time that is over is 124', agreeing, 124, 'TIMED_OUT', 'wait', '-t', '0.1',
                 '/a', 'never')
    code, out, err = run('-s', WORK.name + '/none', 'help')
    check('help needs no server', code == 0 and b'userdata' in out, code, out, err)


def check_quota_named():
    for words, quota in ((('watch', '/a'), 'watches'), (('write', '/a', '1'), 'transactions')):
        server.answer = refusing('ENOSPC')
        _, _, err = run(*words)
        check('a foreign server\'s ENOSPC names what it could be: ' + quota, 'does not tell which: %s or memory' % quota in err, err)


def check_retries():
    server.answer = losing
    server.requests.clear()
    run('write', '/a', '1')
    tries = sum(op == TRANSACTION_START for op, _ in server.requests)
    check('a conflict is tried again, but not for ever', 1 < tries < 10000, tries)


def check_streams():
    server.answer = agreeing
    server.requests.clear()
    code = subprocess.run(['sh', '-c', '"$0" -s "$1" read -R /a >&-', XDS, SOCKET],
                          stderr=subprocess.DEVNULL, timeout=60).returncode
    time.sleep(0.1)
    check('with a closed standard output it fails', code == 7, code)
    check('and what it would print does not go to the server',
          all(payload in (b'/a\0', b'T\0', b'F\0', b'0\0', b'\0') for _, payload in server.requests),
          server.requests)
    for words in (['read', '/a'], ['help'], ['--version']):
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([XDS, '-s', SOCKET] + words, stdout=full, stderr=subprocess.PIPE,
                                  timeout=60)
        check('a full disk is said by xds ' + words[0],
              done.returncode == 7 and b'Cannot write the output: No space' in done.stderr,
              done.returncode, done.stderr)


def check_interrupts():
    for words in (['watch', '/a'], ['wait', '/a', 'never'], ['top', '-i', '100'], ['read', '/a']):
        server.answer = silent if words[0] in ('read', 'top') else agreeing
        process = subprocess.Popen([XDS, '-s', SOCKET] + words, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        # What a shell shows as 130.
        check('Ctrl-C ends xds ' + words[0], process.returncode == -signal.SIGINT, process.returncode,
              err)


def check_words():
    server.answer = agreeing
    for words, wanted in (
            (['raed', '/a'], 'is it "read"?'),
            (['-D', '7'], 'Give a verb'),
            (['read', '--bogus', '/a'], '"xds read --help" tells the options'),
            (['wait', '-t', 'nan', '/a'], 'A timeout is'),
            (['wait', '-t', '-1', '/a'], 'A timeout is'),
            (['watch', '-d', '-7', '/a'], 'A depth is'),
            (['watch', '-n', '-7', '/a'], 'number of events'),
            (['tree', '-L', '-7', '/a'], 'A level is'),
            (['top', '-i', 'nan'], 'an interval'),
            (['chmod', '/a', 'q0'], 'is no permission'),
            (['quota', 'set', 'nodes', '9' * 30], 'Give a quota'),
            (['apply', WORK.name], 'Is a directory'),
            (['txn', '/no/such'], 'Cannot read /no/such: No such file')):
        code, _, err = run(*words)
        check('odd words: xds ' + ' '.join(words), wanted in err and code in (2, 7), code, err)


def on_terminal(*words, **more):
    """Status, standard output, and what came on a terminal that is its standard error."""
    ours, theirs = pty.openpty()
    done = subprocess.run([XDS, '-s', SOCKET, *words], stdin=subprocess.DEVNULL, stderr=theirs,
                          stdout=subprocess.PIPE, timeout=60, **more)
    os.write(theirs, b'END')
    shown = b''
    while not shown.endswith(b'END'):
        shown += os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)
    return done.returncode, done.stdout, shown[:-3]


def check_progress():
    server.answer = slow
    for words, dump in ((('ls', '-f', '/r'), b''), (('dump', '/r'), b''),
                        (('apply', '-'), b'[{"path":"/r","value":"new","permissions":["n0"]}]')):
        title = 'xds ' + words[0]
        plain = subprocess.run([XDS, '-s', SOCKET, *words], input=dump, capture_output=True,
                               timeout=60)
        with tempfile.TemporaryFile() as file:
            file.write(dump)
            file.seek(0)
            code, out, shown = on_terminal(*words) if not dump else on_terminal(
                '-s', SOCKET, words[0], '/dev/fd/%d' % file.fileno(), pass_fds=[file.fileno()])
        check(title + ' takes its time, and says nothing of it where nobody looks',
              plain.returncode == 0 and plain.stderr == b'', plain)
        check(title + ' tells on a terminal how far it is, and clears the line',
              b' nodes...' in shown and shown.endswith(b'\r\033[K') and shown.count(b'\n') == 0,
              code, shown)
        check(title + ' prints the same with a terminal', (code, out) == (0, plain.stdout), out,
              plain.stdout)
    server.answer = agreeing
    code, out, shown = on_terminal('write', '/a', '1')
    check('what is quick says nothing on a terminal', (code, shown) == (0, b''), code, shown)


def check_hypervisor():
    server.answer = agreeing
    server.requests.clear()
    for named, wanted in (('nobody', 'there is no '), ('sim:' + WORK.name, 'cannot serve')):
        env = dict(os.environ, XDS_HYPERVISOR=named)
        code, _, err = run('userdata', '--folder', WORK.name, 'ls', '5', env=env)
        check('a hypervisor that was named must answer: ' + named.split(':')[0],
              code == 7 and 'XDS_HYPERVISOR' in err and wanted in err and not server.requests,
              code, err)


# Whoever runs this in the background has it ignored, and xds would inherit that.
signal.signal(signal.SIGINT, signal.SIG_DFL)
server = Server()
server.start()
check_statuses()
check_quota_named()
check_retries()
check_streams()
check_interrupts()
check_words()
check_progress()
check_hypervisor()
print('1..%d' % number)
WORK.cleanup()
sys.exit(1 if failed else 0)
