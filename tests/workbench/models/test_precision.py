"""bf16 is taken where the processor has it, and a wish is obeyed anywhere."""

import pytest
import torch

from workbench.models import precision


@pytest.mark.parametrize(
    ("cpuinfo", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("", False),
    ],
)
def test_flags_are_read_as_linux_writes_them(cpuinfo: str, has: bool) -> None:
    assert bool(precision._cpu_flags(cpuinfo) & precision._BF16_FLAGS) is has


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, has: bool, chosen: str
) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bf16", lambda: has)
    assert precision.choose("auto", "cpu") == chosen
    assert precision.choose("fp32", "cpu") == "fp32"
    assert precision.choose("bf16", "cpu") == "bf16"


def test_fp32_is_multiplied_by_tf32_within_steps_alone() -> None:
    for wanted, within in ((True, "high"), (False, "highest")):
        with precision.tf32(wanted=wanted):
            assert torch.get_float32_matmul_precision() == within
        assert torch.get_float32_matmul_precision() == "highest"
