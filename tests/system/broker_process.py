# SPDX-License-Identifier: MIT
"""A vtd-brokerd that a test in Python runs, as root or as an ordinary user, on the simulated host."""
import os
import signal
import socket
import subprocess
import sys
import time

ROOT = os.geteuid() == 0
POLICY = "format = 1\n[tenant]\nname = {tenant}\nuid = {uid}\n[vm]\nmemory = 1MiB\n"


def wait_for(what, condition):
    for _ in range(100):
        if condition():
            return
        time.sleep(0.1)
    sys.exit(f"FAILED: {what}")


class Broker:
    """A vtd-brokerd that keeps everything in the directory @place; @tenants are {name: uid}."""

    def __init__(self, program, place, tenants, *options):
        self.place = place
        for name in ("policies", "sockets"):
            os.makedirs(f"{place}/{name}", mode=0o755, exist_ok=True)
        for tenant, uid in tenants.items():
            with open(f"{place}/policies/{tenant}.policy", "w", encoding="ascii") as file:
                file.write(POLICY.format(tenant=tenant, uid=uid))
            os.chmod(f"{place}/policies/{tenant}.policy", 0o644)
        command = [program, "--host=simulated", f"--policies={place}/policies", f"--sockets={place}/sockets",
                   f"--worker-dir={os.path.dirname(program)}", *options]
        if ROOT:
            command.append("--worker-uids=60000-60063")
        with open(f"{place}/log", "w", encoding="ascii") as log:
            self.process = subprocess.Popen(command, stderr=log)

    def said(self):
        with open(f"{self.place}/log", encoding="ascii") as log:
            return log.read()

    def wait_ready(self):
        wait_for("vtd-brokerd is not ready", lambda: "ready:" in self.said())

    def connect(self, tenant):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(10)
        client.connect(f"{self.place}/sockets/{tenant}.sock")
        return client

    def provoke(self, tenant, times=1):
        """Connections of a tenant that has another user: each is refused, which is its end."""
        for _ in range(times):
            with self.connect(tenant) as client:
                assert client.recv(1) == b""

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0
