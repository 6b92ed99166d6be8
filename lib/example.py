#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# libxendomstore from Python, through introspection: prints each domain that comes and goes, with
# the name that it has in the store, and keeps a note of it in the domain's own userdata.
#
#     python3 example.py [SOCKET [FOLDER]]

import sys

import gi

gi.require_version("Xendomstore", "0")
from gi.repository import GLib, Xendomstore  # noqa: E402


def name_of(client, domid):
    """The name of a domain, or a dash."""
    try:
        return client.read(None, f"/local/domain/{domid}/name").decode()
    except GLib.Error as error:
        if error.matches(Xendomstore.error_quark(), Xendomstore.Error.ENOENT):
            return "-"
        raise


def main(socket=None, folder=None):
    client = Xendomstore.Client.open_path(socket) if socket else Xendomstore.Client.open()
    userdata = Xendomstore.Userdata.new(folder, socket)
    loop = GLib.MainLoop()

    def on_introduced(client, domid, uuid):
        print("came", domid, uuid, name_of(client, domid), flush=True)
        userdata.store(domid, "note", b"seen by example.py")

    def on_released(client, domid, uuid, reason):
        print("went", domid, uuid, reason or "-", flush=True)

    client.connect("domain-introduced", on_introduced)
    client.connect("domain-released", on_released)
    client.connect("closed", lambda client: loop.quit())
    client.watch_domains()
    print("watching", client.get_path(), flush=True)
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
