# SPDX-License-Identifier: MIT
# What tests need beside the devices of this folder: the machine's own IOMMU to compare with, disks,
# network cards, and a PCI function that does DMA as a register says.
CONFIG_Q35=y
CONFIG_VTD_BROKER=y
CONFIG_VTD=y
CONFIG_PCI_DEVICES=n
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
CONFIG_E1000E_PCI_EXPRESS=y
CONFIG_NVME_PCI=y
CONFIG_EDU=y
CONFIG_PCI_TESTDEV=y
CONFIG_PCIE_PORT=y
CONFIG_TEST_DEVICES=y
CONFIG_ISA_DEBUG=y
