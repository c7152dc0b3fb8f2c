"""Slots: which there are, who takes which, and what a worker then sees."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.records import Job, SlotKind
from tests.storage import make
from workbench.jobs import slots

LIGHT = make.job(slot_kind=SlotKind.LIGHT)


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    slots.gpus.cache_clear()
    yield
    slots.gpus.cache_clear()


def put_nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def on_gpu(index: str, **recipe: object) -> Job:
    return make.job(recipe=recipe, slot=f"gpu:{index}")


def test_each_gpu_is_a_slot_and_its_worker_sees_only_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_nvidia_smi(tmp_path, monkeypatch, "echo 0; echo 1")
    assert slots.slots_for(make.job()) == ("gpu:0", "gpu:1")
    assert slots.slots_for(LIGHT) == ("light",)
    seen = slots.devices("gpu:1")
    assert seen == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert slots.devices("light") == {}


def test_a_job_that_asks_for_the_cpu_sees_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_nvidia_smi(tmp_path, monkeypatch, "echo 0")
    assert slots.slots_for(make.job(recipe={"device": "cpu"})) == ("heavy",)
    assert slots.devices("heavy") == {"CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'", "echo oops; exit 1"])
def test_a_driver_without_gpus_leaves_the_heavy_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    put_nvidia_smi(tmp_path, monkeypatch, script)
    assert slots.slots_for(make.job()) == ("heavy",)
    assert slots.devices("heavy") == {}


def test_no_driver_leaves_the_heavy_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slots.gpus() == ()


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("2", ("2",)),
        ("3, 1", ("3", "1")),
        ("0,-1,2", ("0",)),
        ("GPU-ab,MIG-cd", ("GPU-ab", "MIG-cd")),
    ],
)
def test_the_persons_own_choice_of_gpus_is_kept(
    monkeypatch: pytest.MonkeyPatch, listed: str, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert slots.gpus() == found
    if found:
        assert slots.devices(f"gpu:{found[-1]}") == {"CUDA_VISIBLE_DEVICES": found[-1]}


def test_several_gpus_are_one_slot_of_all_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_nvidia_smi(tmp_path, monkeypatch, "echo 0; echo 1; echo 2")
    two = make.job(recipe={"devices": "2"})
    assert slots.slots_for(two) == ("gpu:0,gpu:1", "gpu:0,gpu:2", "gpu:1,gpu:2")
    assert slots.slots_for(make.job(recipe={"devices": "all"})) == ("gpu:0,gpu:1,gpu:2",)
    assert slots.slots_for(make.job(recipe={"devices": "gpu:2,gpu:0"})) == ("gpu:2,gpu:0",)
    assert slots.devices("gpu:2,gpu:0")["CUDA_VISIBLE_DEVICES"] == "2,0"
    assert slots.processes(make.job(recipe={"devices": "all"})) == 3
    on_cpu = make.job(recipe={"devices": "2", "device": "cpu"})
    assert (slots.slots_for(on_cpu), slots.processes(on_cpu)) == (("heavy",), 2)
