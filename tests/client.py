# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The library through introspection, against the server whose socket is the first argument: every
# kind of call that a binding could get wrong.  Prints TAP; abi-python.sh runs it.

import sys
import unittest

import gi

gi.require_version("Xendomstore", "0")
from gi.repository import Gio, GLib, Xendomstore  # noqa: E402

SOCKET, FOLDER = sys.argv[1:3]


def until(condition):
    while not condition():
        GLib.MainContext.default().iteration(True)


class TestClient(unittest.TestCase):
    def setUp(self):
        self.client = Xendomstore.Client.open_path(SOCKET)

    def assertFails(self, code, call, *words):
        with self.assertRaises(GLib.Error) as caught:
            call(*words)
        self.assertTrue(caught.exception.matches(Xendomstore.error_quark(), code))

    def test_values_are_bytes(self):
        """Bytes go in and come out, NUL and all."""
        self.client.write(None, "/py/v", b"a\0b\xff")
        self.assertEqual(self.client.read(None, "/py/v"), b"a\0b\xff")

    def test_lists_are_lists(self):
        """Names and permissions are lists of strings, in both directions."""
        self.client.mkdir(None, "/py/l/a")
        self.client.mkdir(None, "/py/l/b")
        self.assertEqual(self.client.list(None, "/py/l"), ["a", "b"])
        self.client.set_permissions(None, "/py/l", ["n0", "r3"])
        self.assertEqual(self.client.get_permissions(None, "/py/l"), ["n0", "r3"])

    def test_errors_are_exceptions(self):
        """A refusal is an exception with the library's domain and code."""
        self.assertFails(Xendomstore.Error.ENOENT, self.client.read, None, "/py/none")
        self.assertFails(Xendomstore.Error.EINVAL, self.client.read, None, "/py//none")

    def test_bodies_are_called(self):
        """A body that does not wait, and one that makes new bytes of old ones, are called."""
        done = []

        def body(client, txn, task):
            client.write(txn, "/py/async", b"1")
            task.return_boolean(True)

        self.client.transact_async(0, body, (), None, lambda c, r: done.append(r))
        until(lambda: done)
        self.assertTrue(self.client.transact_finish(done[0]))
        self.assertEqual(self.client.read(None, "/py/async"), b"1")
        self.client.write(None, "/local/domain/31/vm", b"/vm/31111111-2222-3333-4444-555555555555")
        self.client.introduce(31, 1, 5)
        userdata = Xendomstore.Userdata.new(FOLDER, SOCKET)
        userdata.store(31, "note", b"a")
        userdata.update(31, "note", lambda old: GLib.Bytes.new(old.get_data() + b"b"))
        self.assertEqual(userdata.retrieve(31, "note")[1], b"ab")
        self.client.release(31)

    def test_transactions(self):
        """A function runs in a transaction; what it raises by the library aborts it."""

        def body(client, txn):
            client.write(txn, "/py/t", b"1")
            return True

        self.assertTrue(self.client.transact(0, body))
        self.assertEqual(self.client.read(None, "/py/t"), b"1")
        txn = self.client.begin()
        self.client.write(txn, "/py/u", b"1")
        txn.abort()
        self.assertFalse(self.client.exists(None, "/py/u"))

    def test_batches(self):
        """A batch gives each answer by its number."""
        batch = Xendomstore.Batch.new(self.client, None)
        batch.write("/py/b", b"x")
        value, missing = batch.read("/py/b"), batch.read("/py/nob")
        batch.run()
        self.assertEqual(batch.get_value(value), b"x")
        self.assertFails(Xendomstore.Error.ENOENT, batch.get_value, missing)

    def test_watches(self):
        """A watch signals what changes in a main loop."""
        seen = []
        watch = self.client.watch("/py/w", Xendomstore.WATCH_UNLIMITED)
        watch.connect("changed", lambda watch, path: seen.append(path))
        self.client.write(None, "/py/w/x", b"")
        until(lambda: len(seen) == 2)
        self.assertEqual(seen, ["/py/w", "/py/w/x"])

    def test_later(self):
        """Asynchronous calls finish in their callback."""
        results = []
        self.client.write(None, "/py/a", b"later")
        self.client.read_async(
            None, "/py/a", None, lambda client, result: results.append(client.read_finish(result))
        )
        until(lambda: results)
        self.assertEqual(results, [b"later"])

    def test_waiting(self):
        """Waiting gives the value, fails when the time is over, and can be cancelled."""
        self.client.write(None, "/py/s", b"4")
        self.assertEqual(self.client.wait_value("/py/s", "4", -1), b"4")
        self.assertFails(Xendomstore.Error.TIMED_OUT, self.client.wait_value, "/py/s", "5", 1)
        cancellable, caught = Gio.Cancellable(), []

        def on_waited(client, result):
            try:
                client.wait_value_finish(result)
            except GLib.Error as error:
                caught.append(error)

        self.client.wait_value_async("/py/s", "5", -1, cancellable, on_waited)
        cancellable.cancel()
        until(lambda: caught)
        self.assertTrue(caught[0].matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))

    def test_domains(self):
        """Domains, features, quotas and control have plain values."""
        self.assertEqual(self.client.get_domain_path(3), "/local/domain/3")
        self.assertFalse(self.client.is_introduced(33))
        good, features = self.client.get_features(Xendomstore.GLOBAL)
        self.assertTrue(good and features & Xendomstore.Features.WATCH_DEPTH)
        self.assertIn("nodes", self.client.list_quotas())
        self.assertIn("check", self.client.control(["help"]))

    def test_userdata(self):
        """Userdata is bytes and a generation; nothing stored is None, or no bytes."""
        self.client.write(None, "/local/domain/7/vm", b"/vm/00112233-4455-6677-8899-aabbccddeeff")
        self.client.introduce(7, 1, 5)
        userdata = Xendomstore.Userdata.new(FOLDER, SOCKET)
        self.assertEqual(userdata.retrieve(7, "note")[2], 0)
        userdata.store(7, "note", b"a\0b")
        good, data, generation = userdata.retrieve(7, "note")
        self.assertEqual((good, bytes(data)), (True, b"a\0b"))
        userdata.compare_and_store(7, "note", b"c", generation)
        self.assertFails(
            Xendomstore.Error.CHANGED, userdata.compare_and_store, 7, "note", b"d", generation
        )
        self.assertEqual([entry.userid for entry in userdata.list(7)], ["note"])
        userdata.unlink(7, "note")


class TapResult(unittest.TestResult):
    def report(self, test, word):
        print(f"{word} {self.testsRun} - {test.shortDescription()}", flush=True)

    def addSuccess(self, test):
        self.report(test, "ok")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.report(test, "not ok")
        print("# " + self.failures[-1][1].replace("\n", "\n# "))

    def addError(self, test, error):
        super().addError(test, error)
        self.report(test, "not ok")
        print("# " + self.errors[-1][1].replace("\n", "\n# "))


unittest.defaultTestLoader.loadTestsFromTestCase(TestClient).run(TapResult())
