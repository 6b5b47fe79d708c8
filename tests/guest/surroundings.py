# SPDX-License-Identifier: MIT
"""What a test with a guest is given by its environment: the rig, the QEMU, the virtual IOMMU."""
import os


def missing():
    """None, or why there can be no guest: (True, reason) for a failure, (False, reason) for a skip."""
    rig, qemu = os.environ.get("VTD_RIG", ""), os.environ.get("VTD_QEMU", "")
    if not rig and not qemu:
        return False, "neither VTD_RIG, a rig, nor VTD_QEMU, the QEMU with this device, is named (see ./dev)"
    if not os.access(os.path.join(rig, "run"), os.X_OK):
        return True, f"VTD_RIG='{rig}' must name a rig: a folder with an executable 'run'"
    if not os.access(qemu, os.X_OK) or not os.path.isfile(qemu):
        return True, f"VTD_QEMU='{qemu}' must name a QEMU with the device vtd-broker-iommu"
    return None


def own_unit(profile, interrupts):
    """This project's device; INTERRUPTS are direct, remapped, or remapped with x2apic."""
    remapping = "off" if interrupts == "direct" else "on"
    eim = "on" if interrupts == "x2apic" else "off"
    return f"vtd-broker-iommu,profile={profile},intremap={remapping},eim={eim}"


def peer_unit(profile, interrupts):
    """QEMU's device nearest to it; it has no second profile."""
    remapping = "off" if interrupts == "direct" else "on"
    eim = "on" if interrupts == "x2apic" else "off"
    if profile != "first-stage":
        raise ValueError(f"intel-iommu has no profile '{profile}'")
    return ("intel-iommu,x-scalable-mode=on,x-flts=on,aw-bits=48,snoop-control=on,"
            f"intremap={remapping},eim={eim}")
