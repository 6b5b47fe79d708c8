#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint-examples.py DIST: the examples for libvirt and containers are well-formed and fit each other, and
DIST/README.md names every file that is installed."""
import json
import os
import re
import sys
import xml.etree.ElementTree as tree

DIST = sys.argv[1]


def read(name):
    with open(os.path.join(DIST, name), encoding="utf-8") as file:
        return file.read()


def check_libvirt():
    domain = tree.fromstring(read("libvirt/domain.xml"))
    backing = domain.find("memoryBacking")
    assert backing.find("source").get("type") == "memfd" and backing.find("access").get("mode") == "shared"
    assert domain.find("devices/hostdev") is None and domain.find("devices/iommu") is None
    arguments = [arg.get("value") for arg in domain.iter("{http://libvirt.org/schemas/domain/qemu/1.0}arg")]
    assert arguments[::2] == ["-device", "-device"]
    assert re.fullmatch(r"vtd-broker-iommu,.*broker=/run/vtd-broker/\w+\.sock", arguments[1])
    assert domain.find("seclabel").get("model") == "dac"


def check_containers():
    spec = json.loads(read("containers/cdi.json"))
    assert set(spec) == {"cdiVersion", "kind", "devices"}
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z][A-Za-z0-9_-]*", spec["kind"])
    pod = read("containers/pod.yaml")
    for device in spec["devices"]:
        assert f"{spec['kind']}={device['name']}" in pod
        mount, = device["containerEdits"]["mounts"]
        assert mount["hostPath"] == f"/run/vtd-broker/{device['name']}.sock"
        assert f'"{mount["containerPath"]}"' in pod
    assert set(re.findall(r"runAsUser: (\d+)", pod)) == set(re.findall(r"\+(\d+):", read("libvirt/domain.xml")))


def check_page():
    page = read("README.md")
    for folder, _, names in os.walk(DIST):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), DIST)
            if path not in ("README.md", "meson.build"):
                assert path in page or os.path.dirname(path) + "/`" in page, f"README.md lacks {path}"


check_libvirt()
check_containers()
check_page()
