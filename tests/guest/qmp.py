# SPDX-License-Identifier: MIT
"""Talks to a running QEMU by its monitor protocol (QMP), over a unix socket.

One thread at a time may use a Monitor.  Whatever goes wrong is a MonitorError.
"""
import json
import socket
import time


class MonitorError(Exception):
    """QEMU refused, or did not answer in time."""


class Monitor:
    """A connection, ready for commands."""

    def __init__(self, path, seconds):
        self.socket = connect(path, seconds)
        self.socket.settimeout(seconds)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.events = []
        self._receive()  # the greeting
        self.execute("qmp_capabilities")

    def _receive(self):
        try:
            line = self.lines.readline()
        except OSError as error:
            raise MonitorError(f"no answer: {error}") from error
        if not line:
            raise MonitorError("QEMU closed its monitor")
        return json.loads(line)

    def execute(self, command, **arguments):
        """What the command returns."""
        request = {"execute": command, "arguments": arguments}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._receive()
            if "error" in answer:
                raise MonitorError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            self.events.append(answer)

    def wait_event(self, name):
        """The next event of that name, also one that has come before."""
        while True:
            for event in self.events:
                if event.get("event") == name:
                    self.events.remove(event)
                    return event
            self.events.append(self._receive())

    def wait_migrated(self, seconds):
        """Until an outgoing or incoming migration is complete."""
        end = time.monotonic() + seconds
        while True:
            status = self.execute("query-migrate")
            if status.get("status") == "completed":
                return
            if status.get("status") == "failed" or time.monotonic() > end:
                raise MonitorError(f"migration: {status}")
            time.sleep(0.02)

    def close(self):
        """QEMU keeps running."""
        self.lines.close()
        self.socket.close()


def connect(path, seconds):
    """A unix socket that listens there, or will do so within that time."""
    end = time.monotonic() + seconds
    while True:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.connect(path)
            return peer
        except OSError as error:
            peer.close()
            if time.monotonic() > end:
                raise MonitorError(f"{path}: {error}") from error
            time.sleep(0.02)
