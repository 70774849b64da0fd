"""Several streams in one process, and what the command line says of them."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.command_line import Run, vsr
from tests.live.harness import Running, asked, free_port, look, running
from tests.networks import basicvsr, moving_clip
from tests.streaming import frames_of, pieces, stream
from vsr.engine.batch import BatchRestorer
from vsr.errors import ConfigurationError, OpenError, VSRError
from vsr.live.monitor.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.service import _makers
from vsr.live.shared_network import NetworkShare, SharedNetwork
from vsr.live.streams_file import read_streams
from vsr.models.architectures.baselines import Bicubic
from vsr.restorer import Restorer
from vsr.types import Chunk
from vsr.units import duration_s, size_bytes

__all__ = ["vsr"]

DEFAULTS = StreamOptions(source="", target="")


def shares(names: str) -> list[NetworkShare]:
    batch = BatchRestorer(Bicubic(scale=2), chunk=2, device="cpu", precision="float32")
    shared = SharedNetwork(batch)
    return [NetworkShare(shared, name) for name in names]


def test_streams_that_share_a_network_get_what_each_gets_alone() -> None:
    network = basicvsr()
    clips = [moving_clip(9, 32, 40, seed) for seed in range(3)]
    settings = {"chunk": 2, "look_ahead": 1, "device": "cpu", "precision": "float32"}
    shared = SharedNetwork(BatchRestorer(network, **settings))  # type: ignore[arg-type]
    restored: dict[int, torch.Tensor] = {}

    def restore(place: int) -> None:
        share = NetworkShare(shared, place)
        chunks = [out for piece in pieces(clips[place], 2) for out in share.push(piece)]
        restored[place] = frames_of(chunks + share.drain())

    threads = [threading.Thread(target=restore, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, clip in enumerate(clips):
        alone = Restorer(network, **settings)  # type: ignore[arg-type]
        expected = frames_of(stream(alone, pieces(clip, 2)))
        torch.testing.assert_close(restored[place], expected, atol=1e-5, rtol=1e-5)


def test_a_share_continues_after_its_stream_was_drained() -> None:
    (share,) = shares("a")
    first, second = pieces(moving_clip(6, 16, 16), 3)
    share.change(chunk=1, look_ahead=0)
    assert len(frames_of(share.push(first) + share.drain())) == 3
    assert share.settings.chunk == 1
    left = share.pass_through(second)
    assert len(frames_of(left)) == 3
    assert share.counts.passed_through == 3
    assert share.counts.scenes == 2


def test_an_error_of_the_network_reaches_every_stream_that_waits() -> None:
    class Failing(Bicubic):
        def step(self, *_: object, **__: object) -> tuple[torch.Tensor, None]:
            raise ValueError("broken")

    shared = SharedNetwork(BatchRestorer(Failing(scale=2), chunk=1, device="cpu"))
    for name in "ab":
        with pytest.raises(ValueError, match="broken"):
            NetworkShare(shared, name).push(pieces(moving_clip(1, 16, 16), 1)[0])


class FailsOnWhite(Bicubic):
    """Cannot restore what holds a white frame, alone or beside others."""

    def step(
        self, window_BTCHW: torch.Tensor, *others: Any, **named: Any
    ) -> tuple[torch.Tensor, None]:
        if (window_BTCHW.mean(dim=(2, 3, 4)) > 0.99).any():
            raise ValueError("white")
        return super().step(window_BTCHW, *others, **named)


def test_an_error_of_one_stream_in_a_joint_step_is_its_own() -> None:
    settings: dict[str, Any] = {"chunk": 2, "device": "cpu", "precision": "float32"}
    batch = BatchRestorer(FailsOnWhite(scale=2), **settings)
    clips = {"a": moving_clip(4, 16, 16, 1), "b": moving_clip(4, 16, 16, 2)}
    clips["white"] = torch.ones_like(clips["a"])
    batch.add({key: pieces(clip, 2)[0] for key, clip in clips.items()})
    outcomes = batch.try_step()
    assert isinstance(outcomes.pop("white"), ValueError)
    alone = Restorer(Bicubic(scale=2), **settings)
    for key, outcome in outcomes.items():
        assert isinstance(outcome, Chunk)
        expected = frames_of(alone.push(pieces(clips[key], 2)[0]))
        torch.testing.assert_close(outcome.frames, expected)
        alone.drain()


def test_each_stream_has_its_own_fate(clip: Path, tmp_path: Path) -> None:
    """One has no source, one no sink any more, and one is well."""
    nowhere = f"rtmp://127.0.0.1:{free_port()}/app/key"
    cases = {
        "well": asked(clip, tmp_path / "well.mkv"),
        "sourceless": asked(nowhere, tmp_path / "none.mkv", retries=0),
        "sinkless": asked(clip, nowhere, retries=0),
    }
    with ExitStack() as stack:
        streams: dict[str, Running] = {
            name: stack.enter_context(running(options, share))
            for (name, options), share in zip(cases.items(), shares("abc"), strict=True)
        }
        streams["well"].wait()
        for name in ("sourceless", "sinkless"):
            with pytest.raises(VSRError, match=r"127\.0\.0\.1"):
                streams[name].wait()
    assert look(tmp_path / "well.mkv").numbers == list(range(50))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "streams.toml"
    path.write_text(text)
    return path


def test_a_file_describes_streams_and_what_they_share(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        latency = "1.5s"
        retries = 3
        [[stream]]
        name = "a"
        source = "rtmp://h/app/a"
        target = "a.mkv"
        latency = "300ms"
        retries = "endless"
        encode_args = "-metadata title='my cam'"
        [[stream]]
        name = "b"
        source = "rtmp://h/app/b"
        target = "b.mkv"
        on_overload = "skip"
        slate = "away.png"
        """,
    )
    first, second = read_streams(path, DEFAULTS)
    assert (first.latency_s, first.retries, first.encode_args) == (
        0.3,
        None,
        ("-metadata", "title=my cam"),
    )
    assert (second.latency_s, second.retries, second.on_overload) == (1.5, 3, "skip")
    assert second.slate == Path("away.png")


STREAM = '[[stream]]\nname = "a"\nsource = "s"\ntarget = "t"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "describes no stream"),
        ("[[stream]]\nname = 'a'", "does not say its source and target"),
        (STREAM + STREAM, "several streams named a"),
        (STREAM + "latancy = '1s'", "did you mean latency"),
        (STREAM + "latency = 800", "no text"),
        (STREAM + "latency = 'soon'", "800ms"),
        (STREAM + "encode_args = '-crf \"3'", "check its quotes"),
        (STREAM + "retries = true", "attempts"),
        (STREAM + "on_overload = 'panic'", "degrade, skip, block"),
        ("[[stream", "TOML"),
    ],
)
def test_a_file_that_is_wrong_says_what_is_accepted(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_streams(write(tmp_path, text), DEFAULTS)


def test_durations_have_units() -> None:
    assert (duration_s("800ms"), duration_s("1.5s")) == (0.8, 1.5)


def test_sizes_have_units_of_1024() -> None:
    assert {size_bytes(text) for text in ("2G", "2g", "2 GB", "2GiB", "2048M")} == {2**31}
    assert size_bytes("800B") == 800


def test_the_command_restores_several_and_fails_if_one_does(
    vsr: Run, clip: Path, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        f"""
        latency = "30s"
        retries = 0
        [[stream]]
        name = "well"
        source = "{clip}"
        target = "{tmp_path}/well.mkv"
        [[stream]]
        name = "ill"
        source = "rtmp://127.0.0.1:{free_port()}/app/s3cret"
        target = "{tmp_path}/ill.mkv"
        """,
    )
    done = vsr("live", "--streams", path, "-m", "bicubic-x2", "--json")
    assert done.code == 1
    well, ill = json.loads(done.out)
    assert (well["state"], well["frames_out"]) == ("ended", 50)
    assert ill["state"] == "failed"
    assert "s3cret" not in done.out + done.err
    assert "well: 96x72 to 192x144 at 25 frames/s; chunk" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["in.mkv"], "give SOURCE and TARGET, or --streams"),
        (["in.mkv", "--streams", __file__], "give SOURCE and TARGET, or --streams"),
        (["a", "b", "--latency", "800"], "give 800ms or 1.5s"),
        (["a", "b", "--retries", "often"], "0 or more, or endless"),
        (["a", "ftp://h/x", "-m", "identity"], "is no sink"),
        (["a", "nowhere/b.mkv", "-m", "identity"], "does not exist"),
        (["a.mkv", "b.mkv", "-m", "identity"], "a.mkv' does not exist"),
        (
            ["a.mkv", "b.mkv", "-m", "identity", "--listen"],
            "'a.mkv' cannot be published to; --listen takes rtmp://, srt",
        ),
        (
            ["/dev/video0", "b.mkv", "-m", "identity", "--listen"],
            "'/dev/video0' cannot be published to",
        ),
    ],
)
def test_errors_are_one_line(
    words: list[str], said: str, vsr: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = vsr("live", *words)
    assert done.code in {1, 2}
    assert said in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [("-bogus 1", "Unrecognized option 'bogus'"), ("-vf nosuch", "No such filter: 'nosuch'")],
)
def test_arguments_that_the_encoder_refuses_are_reported_in_its_words(
    arguments: str, said: str, vsr: Run, clip: Path, tmp_path: Path
) -> None:
    done = vsr("live", clip, tmp_path / "out.mkv", "-m", "identity", "--encode-args", arguments)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"vsr: ffmpeg stopped: {said}; change the encoder or its arguments"
    )
    assert not list(tmp_path.iterdir())


def test_an_encoder_whose_packets_cannot_be_shared_is_refused(
    vsr: Run, clip: Path, tmp_path: Path
) -> None:
    done = vsr("live", clip, tmp_path / "out.mov", "-m", "identity", "--encoder", "prores")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("vsr: prores cannot be handed to several sinks")
    # What still reads frames when the program ends would end it with a crash.
    assert "vsr-live-source" not in {thread.name for thread in threading.enumerate()}


def test_a_stream_that_cannot_be_begun_again_has_failed(tmp_path: Path) -> None:
    slate = tmp_path / "slate.png"
    Image.new("RGB", (4, 4)).save(slate)
    wanted = [asked("udp://h:1", f"udp://h:{n}", name=str(n), slate=slate) for n in (2, 3)]
    figures = [Figures(name=one.name) for one in wanted]
    make, _ = _makers(wanted, figures, Bicubic(scale=2), None, "cpu", "float32", print)
    make()
    assert figures[0].state == "connecting"
    slate.unlink()
    with pytest.raises(OpenError, match="slate"):
        make()
    assert figures[0].state == "failed"
