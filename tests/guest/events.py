# SPDX-License-Identifier: MIT
"""What a guest can ask the host for, each by its first word (inside/events.sh).

A verb returns what the guest is told, "done" or a reason; None: nothing, because that guest is gone.
"""
from functools import partial

from qmp import MonitorError


def reboots(machine, answer):
    """From now on, or no more, a reboot leads to another boot; the rig ends its machine otherwise."""
    machine.monitor.execute("set-action", reboot="reset" if answer == "yes" else "shutdown")
    return "done"


def reset(machine):
    """As by the reset button."""
    machine.monitor.execute("system_reset")


def plug(machine, model, drive):
    """A new device in the port, with a drive that the machine has already."""
    properties = {"driver": model, "drive": drive, "bus": "port0", "id": "plugged"}
    if model.startswith("virtio"):
        properties |= {"iommu_platform": True, "disable-legacy": "on"}
    else:
        properties["serial"] = drive
    machine.monitor.execute("device_add", **properties)
    return "done"


def unplug(machine):
    """Asks for it back."""
    machine.monitor.execute("device_del", id="plugged")
    return "done"


def unplugged(machine):
    """Waits until it is gone."""
    while machine.monitor.wait_event("DEVICE_DELETED")["data"].get("device") != "plugged":
        continue
    return "done"


def save(machine):
    """Saves the machine into a file and ends QEMU; another one goes on from there, and answers."""
    machine.monitor.execute("stop")
    try:
        machine.monitor.execute("migrate", uri=f"file:{machine.path('state')}")
        machine.monitor.wait_migrated(20)
    except MonitorError:
        machine.monitor.execute("cont")
        raise
    machine.next_boot = ["--qemu-arg", "-incoming", "--qemu-arg", f"file:{machine.path('state')}"]
    machine.monitor.execute("quit")


def add_verbs(machine):
    """Lets the guest of MACHINE ask for all of them."""
    for verb in (reboots, reset, plug, unplug, unplugged, save):
        machine.verbs[verb.__name__] = partial(verb, machine)
