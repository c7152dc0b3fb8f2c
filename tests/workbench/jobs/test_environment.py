"""The worker's environment."""

from pathlib import Path

import pytest

from tests.storage import make
from workbench.endpoints import KEYS_VARIABLE, EndpointKeys
from workbench.jobs import slots
from workbench.jobs.slots import ROOT, cpu_quota, environment, patient
from workbench.workspace import Workspace


def test_ours_goes_through_and_the_home_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("WORKBENCH_TRUST_REMOTE_CODE", "1")
    monkeypatch.setenv(KEYS_VARIABLE, "MY_KEY=https://evil.example")
    env = environment(workspace, make.job(slot="heavy"))
    assert env["HF_ENDPOINT"] == "https://mirror.example"
    assert env["HF_HUB_OFFLINE"] == "1"
    assert env["WORKBENCH_HOME"] == str(workspace.home)
    assert env["PYTHONPATH"].split(":") == [str(ROOT), "/elsewhere"]
    assert "WORKBENCH_DB" not in env
    # Only the person who started the server says so, not what happens to stand in the environment.
    assert "WORKBENCH_TRUST_REMOTE_CODE" not in env and KEYS_VARIABLE not in env


def test_trust_and_another_database_are_handed_on(home: Path) -> None:
    url = f"sqlite:///{home.parent / 'other.db'}"
    keys = EndpointKeys.read(["MY_KEY=https://host", "OTHER=http://[::1]:80"])
    workspace = Workspace.open(home, url=url, trust_remote_code=True, endpoint_keys=keys)
    env = environment(workspace, make.job())
    assert EndpointKeys.read(env[KEYS_VARIABLE].split()) == keys
    assert env["WORKBENCH_TRUST_REMOTE_CODE"] == "1"
    assert env["WORKBENCH_DB"] == url
    workspace.close()


def test_a_gpu_slot_shows_its_gpu(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    slots.gpus.cache_clear()
    assert environment(workspace, make.job(slot="gpu:5"))["CUDA_VISIBLE_DEVICES"] == "5"
    assert environment(workspace, make.job(slot="light"))["CUDA_VISIBLE_DEVICES"] == "4,5"


@pytest.mark.parametrize(
    ("content", "cores"),
    [("max 100000", None), ("50000 100000", 1), ("100000 100000", 1), ("99999900000 100000", None)],
)
def test_threads_follow_a_containers_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, cores: int | None
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    file = tmp_path / "cpu.max"
    file.write_text(content + "\n")
    assert cpu_quota(file) == cores
    assert cpu_quota(tmp_path / "none") is None


def test_threads_wait_asleep_unless_told_otherwise() -> None:
    assert patient({}) == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert patient({"OMP_WAIT_POLICY": "ACTIVE"}) == {"OMP_WAIT_POLICY": "ACTIVE"}


def test_processes_that_train_together_share_the_cores(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    env = environment(workspace, make.job(slot="heavy", recipe={"devices": "2"}))
    assert env["WORKBENCH_PROCESSES"] == "2"
    assert int(env["OMP_NUM_THREADS"]) <= 4
    assert environment(workspace, make.job(slot="heavy"))["WORKBENCH_PROCESSES"] == "1"
