"""Weights that learn through others: updates of low rank, branches that fold away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.training.test_training import TINY
from vsr.errors import ConfigurationError
from vsr.models.architecture_table import build_network
from vsr.models.checkpoints.checkpoint import save_network
from vsr.training.config import Schedule
from vsr.training.loop import Training, run, training_of
from vsr.training.parametrised import Branches, LowRank, learn_branches, learn_low_rank
from vsr.training.run import train

CPU = torch.device("cpu")


def trained(schedule: Schedule) -> tuple[dict[str, Tensor], Training]:
    """The weights before, and a run of a few steps on noise."""
    torch.manual_seed(0)
    network = build_network(TINY.network.architecture, TINY.network.options)
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    training = training_of(network, schedule, CPU)
    inputs = torch.randint(256, (1, 3, 3, 12, 12), dtype=torch.uint8)
    truth = torch.randint(256, (1, 3, 3, 48, 48), dtype=torch.uint8)
    clips = iter([(inputs, truth)] * schedule.iterations)
    run(training, iter(()), clips, lambda _: None, end=schedule.iterations)
    return before, training


def schedule_of(**changes: object) -> Schedule:
    plain = Schedule(iterations=4, warmup=1, learning_rate=1e-2, precision="float32")
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_updates_of_low_rank_are_all_that_learns() -> None:
    before, training = trained(schedule_of(low_rank=2))
    branch = training.network.get_submodule("forward_branch.trunk.main.0")
    assert isinstance(branch, nn.Conv2d)
    update = branch.weight - before["forward_branch.trunk.main.0.weight"]
    assert torch.linalg.matrix_rank(update.detach().flatten(1), rtol=1e-4) == 2
    after = training.average.state_dict()
    assert after.keys() == before.keys()
    kept = [name for name in before if torch.equal(before[name], after[name])]
    assert all(name in kept for name in before if "bias" in name or name.startswith("flow"))
    assert "forward_branch.trunk.main.0.weight" not in kept


def test_branches_learn_and_leave_one_convolution() -> None:
    before, training = trained(schedule_of(branches=True))
    after = training.average.state_dict()
    assert after.keys() == before.keys()
    branches = [m for m in training.network.modules() if isinstance(m, Branches)]
    assert branches
    assert all(branch.strength_FO.any() for branch in branches[:2])
    inputs = torch.rand(1, 2, 3, 12, 12)
    with torch.no_grad():
        training.average.load_state_dict(
            {name: _computed(training.network, name) for name in after}
        )
        assert torch.equal(training.average(inputs), training.network(inputs))


def _computed(network: nn.Module, name: str) -> Tensor:
    module, _, weight = name.rpartition(".")
    tensor: Tensor = getattr(network.get_submodule(module), weight)
    return tensor.detach()


def test_a_weight_with_branches_is_the_sum_of_their_convolutions() -> None:
    torch.manual_seed(1)
    weight, image = torch.randn(4, 3, 3, 3), torch.randn(1, 3, 8, 8)
    branches = Branches(weight)
    for parameter in branches.parameters():
        nn.init.normal_(parameter)
    point = F.conv2d(image, branches.point_OI11)[..., 1:-1, 1:-1]
    narrow = branches.squeeze_OE[..., None, None]
    expanded = F.conv2d(F.conv2d(image, branches.expand_EI33), narrow)
    edges = [
        strength[:, None, None] * F.conv2d(mixed, edge.expand(4, 1, 3, 3), groups=4)
        for strength, edge, mixed in zip(
            branches.strength_FO,
            branches.edges_F33,
            [F.conv2d(image, mix[..., None, None]) for mix in branches.mix_FOI],
            strict=True,
        )
    ]
    wanted = F.conv2d(image, weight) + point + expanded + sum(edges)
    torch.testing.assert_close(F.conv2d(image, branches(weight)), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("learn", [lambda n: learn_low_rank(n, 3), learn_branches])
def test_a_network_begins_as_it_was(learn: object) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3))
    image = torch.rand(1, 3, 9, 9)
    before = network(image)
    learn(network)  # type: ignore[operator]
    assert any(isinstance(m, Branches | LowRank) for m in network.modules())
    assert torch.equal(network(image), before)


def test_a_tuned_network_is_a_plain_file(footage: Path, tmp_path: Path) -> None:
    init = tmp_path / "init.safetensors"
    save_network(build_network(TINY.network.architecture, TINY.network.options), init)
    schedule = replace(TINY.schedule, flow_iterations=0, iterations=2, low_rank=1)
    train(replace(TINY, schedule=schedule), footage, tmp_path / "run", device="cpu", init=init)
    saved = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert not any("parametrizations" in name for name in saved["average"])


@pytest.mark.parametrize("other", ["flow_rate", "flow_weight", "flow_iterations", "branches"])
def test_what_learns_beside_updates_of_low_rank_is_refused(other: str) -> None:
    with pytest.raises(ConfigurationError, match="low_rank is 4, with which nothing but"):
        schedule_of(low_rank=4, **{other: 1})
