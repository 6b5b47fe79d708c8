#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-metrics.py BROKERD: the numbers of a running vtd-brokerd: their form, that they count what happens,
and that scrapers which stand still, come in numbers or send what they should not hold up nobody."""
import array
import http.client
import os
import re
import shutil
import socket
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is written beside the sources
from broker_process import Broker, wait_for  # pylint: disable=wrong-import-position

BROKERD = os.path.abspath(sys.argv[1])
OTHER = 4242  # a user that is not the test's
SAMPLE = r'(vtd_broker_[a-z_]+)(\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? (\d+)'


class Scrape(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("metrics", timeout=20)
        self.path = path

    def connect(self):
        self.sock = plain(self.path)


def plain(path):
    """A connection that has not said anything."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(20)
    client.connect(path)
    return client


def text_of(path):
    scrape = Scrape(path)
    scrape.request("GET", "/metrics")
    answer = scrape.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = answer.read().decode("ascii")
    scrape.close()
    return text


def numbers(path):
    """{name and labels: value}; every sample follows the HELP and TYPE of its metric."""
    found, current = {}, None
    for line in text_of(path).splitlines():
        if line.startswith("#"):
            kind = re.fullmatch(r"# (HELP|TYPE) (\S+) (.+)", line)
            assert kind, line
            if kind[1] == "TYPE":
                assert current == kind[2] and kind[3] == ("counter" if current.endswith("_total") else "gauge")
            current = kind[2]
            continue
        sample = re.fullmatch(SAMPLE, line)
        assert sample and sample[1] == current, line
        assert sample[1] + (sample[2] or "") not in found, line
        found[sample[1] + (sample[2] or "")] = int(sample[3])
    return found


def check_counts(place):
    path = f"{place}/metrics"
    broker = Broker(BROKERD, place, {"blue": OTHER, "mine": os.getuid()}, f"--metrics={path}")
    broker.wait_ready()
    assert os.stat(path).st_mode & 0o7777 == 0o660
    start = numbers(path)
    assert start['vtd_broker_info{version="0.1.0",host="simulated"}'] == 1
    assert abs(start["vtd_broker_start_time_seconds"] - time.time()) < 60
    assert start['vtd_broker_tenant_vms_limit{tenant="mine"}'] == 1
    assert not any(value for name, value in start.items() if name.endswith("_total") or "{tenant" in name and
                   "limit" not in name), start

    broker.provoke("blue", 3)
    now = numbers(path)
    assert now['vtd_broker_tenant_connections_refused_total{tenant="blue"}'] == 3
    assert now['vtd_broker_tenant_connections_refused_total{tenant="mine"}'] == 0
    assert now["vtd_broker_audit_lines_total"] == 3 and now["vtd_broker_audit_blocked"] == 0

    with broker.connect("mine"):
        wait_for("a VM", lambda: numbers(path)['vtd_broker_tenant_vms_greeting{tenant="mine"}'] == 1)
        now = numbers(path)
        assert now['vtd_broker_tenant_vms{tenant="mine"}'] == now["vtd_broker_workers"] == 1
        broker.provoke("mine")  # one VM is what it may have
    wait_for("its end", lambda: numbers(path)['vtd_broker_tenant_workers_ended_total{tenant="mine",how="done"}'] == 1)
    now = numbers(path)
    assert now['vtd_broker_tenant_workers_started_total{tenant="mine"}'] == 1
    assert now['vtd_broker_tenant_connections_refused_total{tenant="mine"}'] == 1
    assert now["vtd_broker_workers"] == now["vtd_broker_workers_greeting"] == 0

    # Nobody sends a descriptor along, where the kernel can keep them out.
    with plain(path) as client, open("/dev/null", "rb") as null:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null.fileno()]))]
        if "kernels before" not in broker.said():
            try:
                client.sendmsg([b"x"], rights)
                sys.exit("FAILED: a descriptor was let in")
            except PermissionError:
                pass
    broker.stop()
    assert not os.path.exists(path)


def check_slow_scrapers(place):
    """So many tenants that no answer fits into a socket's buffer."""
    path = f"{place}/metrics"
    tenants = {f"tenant-with-a-long-name-{n:04}": OTHER for n in range(800)}
    broker = Broker(BROKERD, place, tenants, f"--metrics={path}")
    broker.wait_ready()
    whole = len(text_of(path))
    assert whole > 600000, whole

    began = time.monotonic()
    silent, deaf = [plain(path) for _ in range(2)], [plain(path) for _ in range(2)]
    for client in deaf:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    late = plain(path)  # no place is left for this one
    late.sendall(b"GET / HTTP/1.0\r\n\r\n")
    late.settimeout(1)
    try:
        assert late.recv(1) == b"never"
    except TimeoutError:
        pass
    broker.provoke("tenant-with-a-long-name-0007", 5)
    assert time.monotonic() - began < 4, "a tenant had to wait for scrapers"
    late.settimeout(20)
    answer = b""
    while chunk := late.recv(4096):
        answer += chunk
    assert len(answer) > whole and answer.endswith(b"\n")
    assert 4 < time.monotonic() - began < 15, "the places were not freed in their time"
    assert all(client.recv(1) == b"" for client in silent)
    for client in deaf:  # cut off
        got = 0
        while chunk := client.recv(65536):
            got += len(chunk)
        assert 0 < got < whole
    broker.stop()


def check_flood(place):
    path = f"{place}/metrics"
    broker = Broker(BROKERD, place, {"blue": OTHER}, f"--metrics={path}")
    broker.wait_ready()
    began = time.monotonic()
    for _ in range(25):
        text_of(path)
    assert time.monotonic() - began > 1, "more than the rate was answered"
    began = time.monotonic()
    broker.provoke("blue", 5)
    assert time.monotonic() - began < 2
    broker.process.kill()
    broker.process.wait()
    assert os.path.exists(path)
    broker = Broker(BROKERD, place, {"blue": OTHER}, f"--metrics={path}")  # in place of what is left
    broker.wait_ready()
    assert numbers(path)["vtd_broker_workers_limit"] > 0
    other = tempfile.mkdtemp(dir=place)
    for taken, text in ((path, f"{path}: somebody listens there"), (f"{place}/log", "log: exists and is no socket"),
                        (f"{place}/none/m", f"metrics in {place}/none: No such file or directory"),
                        ("/" + "m" * 120, "107 are allowed")):
        second = Broker(BROKERD, other, {"blue": OTHER}, f"--metrics={taken}")
        assert second.process.wait(10) == 1 and text in second.said(), (taken, second.said())
        assert not os.listdir(f"{other}/sockets")
    assert numbers(path)["vtd_broker_workers_limit"] > 0
    broker.stop()


def main():
    os.umask(0o022)
    for check in (check_counts, check_slow_scrapers, check_flood):
        place = tempfile.mkdtemp()
        os.chmod(place, 0o755)
        try:
            check(place)
            print(check.__name__)
        finally:
            shutil.rmtree(place)


main()
