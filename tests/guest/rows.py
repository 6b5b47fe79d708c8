# SPDX-License-Identifier: MIT
"""The rows of the matrix: what machine a guest has, what it does there, and what is to be seen.

A row names the virtual IOMMU's profile, QEMU's and the kernel's options, the steps that the guest runs
(the functions step_* of inside/), and points that must fail, in rows that show that a fault is noticed.
"""
from dataclasses import dataclass, field

VIRTIO_NET = "virtio-net-pci,iommu_platform=on,disable-legacy=on,romfile=,netdev="
E1000E = "e1000e,romfile=,netdev="
BLOCK = "virtio-blk-pci,drive=vda,iommu_platform=on,disable-legacy=on"
NVME = "nvme,drive=nvme0n1,serial=one"
MOVES = ("transfers:vda,nvme0n1", "interrupts")
# Removing a device is left to the port's registers; the rig's kernel has no driver for the other way.
PORT = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")


@dataclass(frozen=True)
class Row:
    """One test."""
    steps: tuple
    profile: str = "first-stage"
    interrupts: str = "remapped"  # or x2apic, or direct
    processors: int = 1
    kernel: str = ""
    devices: tuple = (BLOCK, NVME)
    spare: tuple = ()  # drives of devices that come later
    qemu: tuple = ()
    ends: int = 1  # how often the guest comes to its end
    fails: tuple = field(default=())

    def adapters(self):
        """
        The two network adapters, each to be given its end of the wire.  With one processor, this
        kernel's virtio-net sometimes fails in a QEMU without KVM, whoever's IOMMU it is behind: README.md.
        """
        return (VIRTIO_NET if self.processors > 1 else E1000E, E1000E)


ROWS = {
    "strict": Row(("strict", *MOVES, "xapic", "clean_log"), kernel="iommu.strict=1"),
    "lazy": Row(("lazy", *MOVES, "xapic", "clean_log"), kernel="iommu.strict=0"),
    "four-processors": Row(("processors:4", "strict", *MOVES, "transfers:vda,nvme0n1", "clean_log"),
                           processors=4, kernel="iommu.strict=1"),
    "four-processors-lazy": Row(("processors:4", "lazy", *MOVES, "clean_log"),
                                processors=4, kernel="iommu.strict=0"),
    "nested-profile": Row(("lazy", *MOVES, "xapic", "clean_log"), profile="nested"),
    "pass-through": Row(("passthrough", *MOVES, "clean_log"), kernel="iommu=pt"),
    "scalable-mode-off": Row(("declined", *MOVES, "clean_log"), kernel="intel_iommu=sm_off"),
    "no-interrupt-remapping": Row(("lazy", *MOVES, "not_remapped", "clean_log"), interrupts="direct"),
    "x2apic": Row(("lazy", *MOVES, "x2apic", "clean_log"), interrupts="x2apic", processors=4),
    "reset": Row(("resets", "lazy", *MOVES, "clean_log"), ends=2),
    "hot-plug": Row(("lazy", "plug:nvme,nvme0n1", "all_translated:1,DMA-FQ", *MOVES, "unplug",
                     "plug:virtio-blk-pci,vdb", "all_translated:1,DMA-FQ",
                     "transfers:vda,vdb", "interrupts", "unplug", "clean_log"),
                    devices=(BLOCK, "pcie-root-port,id=port0,slot=1,chassis=1"), qemu=PORT,
                    spare=("nvme0n1", "vdb")),
    "save-restore": Row(("lazy", "transfers:vda", "saved", "transfers:vda", "interrupts", "clean_log"),
                        devices=(BLOCK,)),
    # What is wrong on purpose must make exactly these points fail.
    "stray-dma": Row(("lazy", "transfers:vda", "stray", "clean_log"), devices=(BLOCK,),
                     fails=("the kernel log has no fault and no warning",
                            "vda: with one wrong byte, the image holds what the guest wrote")),
}
