#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# xds under the names xenstore-* against Debian's own programs of these names: the same words give
# the same output, the same diagnostics, the same exit status and leave the same store, both with
# our daemon and with Debian's.  Each test point is one tool with one server.  What is random comes
# of a seed, which is printed; XDS_TEST_SEED gives it back.

import fcntl
import itertools
import os
import pty
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

build = os.environ.get('top_builddir', '.')
source = os.environ.get('top_srcdir', '.')
THEIRS = '/usr/bin/'
TOOLS = ['read', 'write', 'list', 'ls', 'rm', 'exists', 'chmod', 'watch']

# Words that each tool gets, whether it takes them or not.
WORDS = [
    [], ['-h'], ['--help'], ['-q'], ['/r/a'], ['/r/a', '/r/b'], ['/none'], ['/none', '/r/a'],
    ['/r/a', '/none'], ['bad.x'], ['/'], [''], ['-x', '/r/a'], ['-R', '/r/a', 'b'], ['-p', '/r/a'],
    ['-s', '/r/a', 'n0'], ['/r/a', 'n0', '/r/b', 'r0'], ['-t', '/r/b/c/d'], ['-u', '/r/b/c', 'r0'],
    ['-r', '/r', 'b0'], ['/r/a', 'zz'], ['/r/a', 'nx'], ['-r', '/none', 'n0'], ['-p', '/'],
    ['-p', '/r'], ['r'], ['/r/'], ['--prefix', '/r/a'], ['--tidy', '/r/b/c/d'],
]


def skip(why):
    print('1..0 # SKIP ' + why)
    sys.exit(0)


class Server:
    def __init__(self, name, argv, socket, env=None):
        self.name, self.socket = name, socket
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        for _ in range(200):
            if os.path.exists(socket) and run_tool(self, THEIRS, ['xenstore-ls'])[0] == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(name + ' does not answer')

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def environment(server):
    return dict(os.environ, XENSTORED_PATH=server.socket, LD_LIBRARY_PATH=build + '/.libs')


def run_tool(server, folder, argv):
    """Through pipes.  The folder is taken out of what it says, since it is all that may differ."""
    done = subprocess.run([folder + argv[0]] + argv[1:], env=environment(server),
                          capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.replace(folder.encode(), b'')


class NoTerminal(Exception):
    """A container may have no devpts."""


def run_on_terminal(server, folder, argv, width):
    try:
        main, side = pty.openpty()
    except OSError as error:
        raise NoTerminal('there is no terminal to be had: %s' % error) from error
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack('HHHH', 24, width, 0, 0))
    child = subprocess.Popen([folder + argv[0]] + argv[1:], env=environment(server), stdout=side)
    os.close(side)
    output = b''
    while True:
        try:
            more = os.read(main, 65536)
        except OSError:
            break
        if not more:
            break
        output += more
    os.close(main)
    return child.wait(), output


def reset(server):
    run_tool(server, THEIRS, ['xenstore-rm', '/r'])
    run_tool(server, THEIRS, ['xenstore-rm', '/none'])
    run_tool(server, THEIRS, ['xenstore-write', '/r/a', '1', '/r/b', '', '/r/b/c', '',
                              '/r/b/c/d', '', '/r/e/f', 'x y'])


def differences(server, argv):
    seen = []
    for folder in (THEIRS, ours):
        reset(server)
        seen.append((run_tool(server, folder, argv),
                     run_tool(server, THEIRS, ['xenstore-ls', '-fp', '/r'])))
    return [] if seen[0] == seen[1] else [(argv, seen[0], seen[1])]


def check_tool(server, tool):
    found = []
    for words in WORDS:
        if tool == 'watch':
            if any(word in words for word in ('-p', '-R', '-t', '-u', '-r')):
                continue
            words = ['-n', '1'] + words
        found += differences(server, ['xenstore-' + tool] + words)
    # By its other name once.
    found += differences(server, ['xenstore', tool, '/r/a'] + (['-n1'] if tool == 'watch' else []))
    return found


def check_layout(server):
    """ls cuts and aligns its lines alike at any width."""
    for n in range(1, 24, 3):
        run_tool(server, THEIRS, ['xenstore-write', '/c/n' + 'm' * n, 'v' * (n * 4)])
        run_tool(server, THEIRS, ['xenstore-write', '/c/k' + 'm' * (90 - 3 * n), 'v' * n * 3])
    run_tool(server, THEIRS, ['xenstore-write', '/c/one/two/three/four', 'seven' * 12])
    for c in range(256):
        run_tool(server, THEIRS, ['xenstore-write', '/c/b/x%02x' % c, 'a\\x%02x7' % c])
    found = []
    for options in ([], ['-p'], ['-f'], ['-fp']):
        argv = ['xenstore-ls'] + options + ['/c']
        if run_tool(server, THEIRS, argv) != run_tool(server, ours, argv):
            found.append((argv, 'differs in a pipe'))
        for width in (1, 2, 12, 19, 33, 61, 62, 80, 120):
            if run_on_terminal(server, THEIRS, argv, width) != run_on_terminal(server, ours, argv,
                                                                               width):
                found.append((argv, 'differs at width', width))
    return found


def escapes(rand):
    """Every text of up to three characters behind a backslash, and longer ones of many."""
    letters = 'xX08aFz"\\'
    for length in range(4):
        for text in itertools.product(letters, repeat=length):
            yield '\\' + ''.join(text)
    for _ in range(200):
        yield ''.join(rand.choice('\\\\\\xXtnr01789afz"') for _ in range(rand.randint(1, 12)))


def check_escapes(server):
    """What write takes for an escape, and how read shows it."""
    texts = list(escapes(random.Random(seed)))
    found = []
    for options in ([], ['-R']):
        seen = []
        for folder in (THEIRS, ours):
            run_tool(server, THEIRS, ['xenstore-rm', '/z'])
            for at in range(0, len(texts), 200):
                words = [word for n, text in enumerate(texts[at:at + 200], at)
                         for word in ('/z/%d' % n, text)]
                run_tool(server, folder, ['xenstore-write'] + options + words)
            seen.append(run_tool(server, THEIRS, ['xenstore-ls', '/z'])[1].splitlines())
        if len(seen[0]) != len(texts) or len(seen[1]) != len(texts):
            found.append((options, 'not all were written'))
        found += [(options, texts[n], his, mine)
                  for n, (his, mine) in enumerate(zip(*seen)) if his != mine]
    return found


def check_control(server, tool):
    found = []
    for words in ([], ['check'], ['print', 'x'], ['print'], ['quota', 'x'], ['live-update'],
                  ['live-update', '-c'], ['live-update', '-t'], ['bogus']):
        seen = [subprocess.run([program] + words, env=environment(server), capture_output=True)
                for program in (tool, ours + 'xenstore-control')]
        text = [(s.returncode, s.stdout, s.stderr.replace(p.encode(), b''))
                for s, p in zip(seen, (tool, ours + 'xenstore-control'))]
        if text[0] != text[1]:
            found.append((words, text[0], text[1]))
    return found


def start_servers(work):
    world = work + '/world'
    subprocess.run([build + '/xds-sim', '-w', world, 'init'], check=True)
    os.mkdir(work + '/userdata')
    open(work + '/conf', 'w').close()
    plugins = os.environ.get('XDS_PLUGIN_DIR', build + '/.libs')
    yield Server('our daemon', [build + '/xendomstored', '-N', '--hypervisor', 'sim:' + world,
                                '--plugin-dir', plugins, '--socket', work + '/socket',
                                '--pid-file', work + '/pid', '--config', work + '/conf',
                                '--userdata-dir', work + '/userdata'], work + '/socket')
    theirs = '/usr/lib/xen-4.17/bin/xenstored'
    if not os.path.exists(theirs) or os.geteuid() != 0:
        return
    # It runs in a mount namespace of its own, which a container may not make.
    if subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode != 0:
        return
    peers = source + '/tests/peers/'
    env = dict(os.environ, O=work + '/peers')
    if subprocess.run(['bash', peers + 'build.sh'], env=env, capture_output=True).returncode != 0:
        return
    yield Server("Debian's daemon", ['sh', peers + 'rundaemon.sh', work + '/debian', theirs, '-N'],
                 work + '/debian/run/socket', env)


def points(server):
    for tool in TOOLS:
        yield 'xenstore-%s does as Debian\'s, with %s' % (tool, server.name), \
            lambda tool=tool: check_tool(server, tool)
    yield 'xenstore-ls cuts and aligns alike, with ' + server.name, lambda: check_layout(server)
    yield 'xenstore-write reads escapes alike, with ' + server.name, lambda: check_escapes(server)
    control = '/usr/lib/xen-4.17/bin/xenstore-control'
    if os.path.exists(control):
        yield 'xenstore-control does as Debian\'s, with ' + server.name, \
            lambda: check_control(server, control)


if not os.path.exists(THEIRS + 'xenstore'):
    skip('xenstore-utils is not installed')
seed = os.environ.get('XDS_TEST_SEED') or str(random.SystemRandom().getrandbits(32))
print('# XDS_TEST_SEED=' + seed)
work = tempfile.mkdtemp(prefix='xds-compat-')
ours = work + '/bin/'
os.mkdir(ours)
for tool in TOOLS + ['control']:
    os.symlink(build + '/.libs/xds', ours + 'xenstore-' + tool)
os.symlink(build + '/.libs/xds', ours + 'xenstore')
number = failed = 0
try:
    for server in start_servers(work):
        try:
            for title, check in points(server):
                number += 1
                try:
                    found = check()
                except NoTerminal as error:
                    print('ok %d # SKIP %s' % (number, error), flush=True)
                    continue
                failed += bool(found)
                print('%sok %d - %s' % ('not ' if found else '', number, title), flush=True)
                for difference in found[:5]:
                    print('# %r' % (difference,))
        finally:
            server.stop()
finally:
    shutil.rmtree(work, ignore_errors=True)
print('1..%d' % number)
sys.exit(1 if failed else 0)
