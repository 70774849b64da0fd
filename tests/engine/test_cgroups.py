"""Memory limits of control groups: the least along the process's own path counts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from vsr.engine import memory
from vsr.engine.cgroups import bytes_left_in_cgroups

MIB = 2**20
V2 = "0::/user.slice/job.service"
V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "4:memory:/docker/c1"
V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"


def process(root: Path, groups: str, *mounts: str) -> None:
    """What the kernel says of the process itself."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"{groups}\n")
    other = "23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw"
    (root / "proc/self/mountinfo").write_text("\n".join([other, *mounts]) + "\n")


def group(
    folder: Path, limit: int | str, used: int, cached: int = 0, high: int | str = "max"
) -> None:
    """A group of version 2."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.high").write_text(f"{high}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    stat = f"anon {used - cached}\nactive_file {cached // 2}\ninactive_file {cached // 2}\n"
    (folder / "memory.stat").write_text(stat)


def group_v1(folder: Path, limit: int, used: int, cached: int = 0) -> None:
    """A group of version 1, whose own pages are less than those of all groups below."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    stat = f"active_file 7\ninactive_file 7\ntotal_active_file {cached}\ntotal_inactive_file 0\n"
    (folder / "memory.stat").write_text(stat)


def test_a_services_own_limit_counts(tmp_path: Path) -> None:
    process(tmp_path, V2, V2_MOUNT)
    group(tmp_path / "sys/fs/cgroup/user.slice/job.service", 800 * MIB, 300 * MIB, cached=100 * MIB)
    group(tmp_path / "sys/fs/cgroup/user.slice", "max", 900 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 600 * MIB


def test_the_least_along_the_path_counts(tmp_path: Path) -> None:
    process(tmp_path, V2, V2_MOUNT)
    group(tmp_path / "sys/fs/cgroup/user.slice/job.service", 800 * MIB, 300 * MIB)
    group(tmp_path / "sys/fs/cgroup/user.slice", 1000 * MIB, 900 * MIB)
    group(tmp_path / "sys/fs/cgroup/user.slice/another.service", 1, 1)
    assert bytes_left_in_cgroups(tmp_path) == 100 * MIB


def test_the_limit_above_which_a_group_is_slowed_down_counts(tmp_path: Path) -> None:
    process(tmp_path, V2, V2_MOUNT)
    folder = tmp_path / "sys/fs/cgroup/user.slice/job.service"
    group(folder, 800 * MIB, 300 * MIB, high=500 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 200 * MIB


def test_a_container_sees_its_group_as_the_root(tmp_path: Path) -> None:
    process(tmp_path, "0::/", V2_MOUNT)
    group(tmp_path / "sys/fs/cgroup", 800 * MIB, 300 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 500 * MIB


def test_version_1_counts_pages_of_all_groups_below(tmp_path: Path) -> None:
    process(tmp_path, V1, V1_MOUNT)
    group_v1(tmp_path / "sys/fs/cgroup/memory/docker/c1", 800 * MIB, 300 * MIB, cached=50 * MIB)
    group_v1(tmp_path / "sys/fs/cgroup/memory", 9223372036854771712, 1000 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 550 * MIB


@pytest.mark.parametrize("mounted", ["/docker/c1", "/../.."])
def test_a_container_that_mounts_only_its_group(tmp_path: Path, mounted: str) -> None:
    process(tmp_path, V1, V1_MOUNT.replace(" / /sys", f" {mounted} /sys"))
    group_v1(tmp_path / "sys/fs/cgroup/memory", 800 * MIB, 300 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 500 * MIB


def test_both_versions_beside_each_other(tmp_path: Path) -> None:
    unified = V2_MOUNT.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    process(tmp_path, f"{V1}\n{V2}", V1_MOUNT, unified)
    group_v1(tmp_path / "sys/fs/cgroup/memory/docker/c1", 800 * MIB, 300 * MIB)
    group(tmp_path / "sys/fs/cgroup/unified/user.slice", 700 * MIB, 300 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 400 * MIB


def test_a_group_outside_of_what_is_seen_is_limited_by_what_is_seen(tmp_path: Path) -> None:
    process(tmp_path, "0::/../neighbour", V2_MOUNT)
    group(tmp_path / "sys/fs/cgroup", 800 * MIB, 300 * MIB)
    group(tmp_path / "sys/fs/neighbour", 1, 1)
    assert bytes_left_in_cgroups(tmp_path) == 500 * MIB


def test_mount_points_with_spaces(tmp_path: Path) -> None:
    process(tmp_path, V2, V2_MOUNT.replace("/sys/fs/cgroup", r"/my\040groups"))
    group(tmp_path / "my groups/user.slice", 800 * MIB, 300 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 500 * MIB


def test_nothing_is_left_below_zero(tmp_path: Path) -> None:
    process(tmp_path, V2, V2_MOUNT)
    group(tmp_path / "sys/fs/cgroup/user.slice", 800 * MIB, 900 * MIB)
    assert bytes_left_in_cgroups(tmp_path) == 0


def test_without_groups_nothing_limits(tmp_path: Path) -> None:
    assert bytes_left_in_cgroups(tmp_path) == sys.maxsize
    process(tmp_path, V2, V2_MOUNT)
    assert bytes_left_in_cgroups(tmp_path) == sys.maxsize


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_the_memory_budget_respects_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < bytes_left_in_cgroups() <= sys.maxsize
    monkeypatch.setattr(memory, "bytes_left_in_cgroups", lambda: 12 * MIB)
    assert memory.free_bytes(torch.device("cpu")) == 12 * MIB
