# SPDX-License-Identifier: BSD-3-Clause
"""The drivers of files and block devices in the modes that tests go through: name, how the bdev is
created. Where time is short (the tier `check`), those that differ most."""
import pytest

DRIVERS = {
    "uring": ("uring", {}),
    "uring-iopoll": ("uring", {"iopoll": "on"}),
    "uring-sqpoll": ("uring", {"sqpoll": "on"}),
    "aio": ("aio", {}),
    "sync": ("sync", {}),
    "sync-workers": ("sync", {"workers": 2}),
}
NVME_DRIVERS = {
    **DRIVERS,
    "uring_cmd": ("uring_cmd", {}),
    "uring_cmd-iopoll": ("uring_cmd", {"iopoll": "on"}),
}
FIRST = ["uring-iopoll", "aio", "sync", "uring_cmd-iopoll"]


def parameters(drivers):
    for name, (driver, params) in drivers.items():
        yield pytest.param(driver, params, id=name, marks=() if name in FIRST else pytest.mark.tier("lab"))


every_driver = pytest.mark.parametrize("driver, params", list(parameters(DRIVERS)))
every_nvme_driver = pytest.mark.parametrize("driver, params", list(parameters(NVME_DRIVERS)))
