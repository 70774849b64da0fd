"""Jobs: one clip in one mode.

A job is self-contained, so that it gives the same scores on any machine. Each process loads the
network once for all jobs, and scores in one thread while the next chunk or clip is restored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vsr.engine.memory import forget_device_peak, peak_device_bytes, peak_host_bytes
from vsr.errors import VSRError
from vsr.evaluation.challenges import CHALLENGES
from vsr.evaluation.clips import Clip
from vsr.evaluation.ensembles import InferenceMode
from vsr.evaluation.frame_scores import open_score
from vsr.evaluation.frames import checksum
from vsr.evaluation.inference import ClipRestorer, Restored
from vsr.evaluation.pictures import PictureTaker
from vsr.evaluation.results import ClipResult, Scores
from vsr.evaluation.scoring import TEMPORAL, ClipScorer, Scoring
from vsr.evaluation.vmaf import SCORES as LIBVMAF
from vsr.models.loading import load_network
from vsr.models.placement import place

SCORED_AT_ONCE = 8
"""Frames scored at once: enough to fill a device, few enough to fit beside the network."""

WAITING = 3
"""Parts that may wait to be scored before the network has to."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Settings shared by all jobs of an evaluation.

    Attributes:
        model: See ``load_network``.
        weights: See ``load_network``.
        fidelity: See ``load_network``.
        device: See ``Restorer``.
        precision: See ``Restorer``.
        metrics: Scores besides PSNR and SSIM: ``tof``, ``warp``, those of libvmaf, or names for
            ``open_score``.
        score: One of ``CHALLENGES``; None for none.
        crop: Rows and columns left out at every border.
        rounded: Whether restored frames are rounded to 8 bit before they are scored.
    """

    model: str
    weights: str | None = None
    fidelity: float | None = None
    device: str = "auto"
    precision: str = "auto"
    metrics: tuple[str, ...] = ()
    score: str | None = None
    crop: int = 0
    rounded: bool = True


@dataclass(frozen=True, kw_only=True)
class Job:
    """One clip in one way, with or without pictures for a report."""

    clip: Clip
    way: InferenceMode
    pictures: bool = False

    @property
    def title(self) -> str:
        """Its name on a cluster's dashboard."""
        return f"{self.clip.name}, {self.way.name}"


class JobRunner:
    """Runs jobs: a network on its device, and a scoring thread."""

    def __init__(self, setup: Setup) -> None:
        network = load_network(setup.model, setup.weights, fidelity=setup.fidelity)
        self.network, self.device = place(network, device=setup.device, precision=setup.precision)
        self.scoring = Scoring(
            crop=setup.crop,
            rounded=setup.rounded,
            temporal=[name for name in setup.metrics if name in TEMPORAL],
            frames=[open_score(name, self.device) for name in _frame_scores(setup)],
            libvmaf=[name for name in setup.metrics if name in LIBVMAF],
            challenge=setup.score,
        )

    def start(self, job: Job, scorer_thread: ThreadPoolExecutor) -> Future[ClipResult]:
        """Restore a clip; the last of its scores may still be under way on return.

        Raises:
            VSRError: The clip cannot be read, restored or scored.
        """
        forget_device_peak(self.device)
        restorer = ClipRestorer(self.network, self.device, job.way)
        pictures = PictureTaker(len(job.clip.scored)) if job.pictures else None
        scorer = ClipScorer(self.scoring, pictures=pictures)
        waiting: deque[Future[None]] = deque()
        try:
            for restored in restorer.restore(job.clip):
                height, width = restored.truth.shape[-2:]
                for part in _parts(restored):
                    added = scorer_thread.submit(scorer.add, part.low, part.frames, part.truth)
                    waiting.append(added)
                    while len(waiting) > WAITING:
                        waiting.popleft().result()
        except BaseException:
            scorer_thread.submit(scorer.close)
            raise
        size, device_peak = (height, width), peak_device_bytes(self.device)
        return scorer_thread.submit(self._finish, job, restorer, scorer, waiting, size, device_peak)

    def _finish(
        self,
        job: Job,
        restorer: ClipRestorer,
        scorer: ClipScorer,
        waiting: Sequence[Future[None]],
        size: tuple[int, int],
        device_peak: int | None,
    ) -> ClipResult:
        try:
            for part in waiting:
                part.result()
            scores, pictures = scorer.finish()
        except BaseException:
            scorer.close()
            raise
        clip = job.clip
        _require_numbers(clip.name, scores)
        return ClipResult(
            clip=clip.name,
            way=job.way.name,
            frames=tuple(clip.low.names[i] for i in clip.scored),
            height=size[0],
            width=size[1],
            scores=scores,
            restore_seconds=restorer.seconds,
            score_seconds=scorer.seconds,
            restored_frames=len(clip.low.names),
            passed_through=restorer.passed_through,
            peak_host_bytes=peak_host_bytes(),
            peak_device_bytes=device_peak,
            truth_checksum=checksum(clip.truth.files),
            input_checksum=checksum(clip.low.files) if clip.make is None else None,
            pictures=pictures,
        )


def run_here(setup: Setup, jobs: Sequence[Job]) -> Iterator[ClipResult]:
    """Run jobs one after the other; a clip is scored while the next one is restored."""
    workplace = JobRunner(setup)
    with ThreadPoolExecutor(1, thread_name_prefix="scorer") as scorer_thread:
        last: Future[ClipResult] | None = None
        for job in jobs:
            try:
                started = workplace.start(job, scorer_thread)
            except VSRError:
                if last is not None:
                    yield last.result()
                raise
            if last is not None:
                yield last.result()
            last = started
        if last is not None:
            yield last.result()


def _frame_scores(setup: Setup) -> list[str]:
    """Names of the scores of single frames, those that a challenge needs included."""
    needed = () if setup.score is None else CHALLENGES[setup.score].metrics
    names = dict.fromkeys((*setup.metrics, *needed))
    return [name for name in names if name not in TEMPORAL and name not in LIBVMAF]


def _require_numbers(clip: str, scores: Scores) -> None:
    """PSNR is NaN for frames with pixels that are NaN or infinite.

    Raises:
        VSRError: There are such frames: a mean over the others would hide them.
    """
    lost = [i for i, value in enumerate(scores["psnr_rgb"]) if value is None]
    if lost:
        raise VSRError(
            f"clip {clip!r}: {len(lost)} restored frames hold NaN or infinite values, the "
            f"first is the one scored as number {lost[0]}; take --precision float32"
        )


def _parts(restored: Restored) -> Iterator[Restored]:
    """A few frames at a time, however long the network's chunks are."""
    for start in range(0, len(restored.frames), SCORED_AT_ONCE):
        now = slice(start, start + SCORED_AT_ONCE)
        yield Restored(restored.low[now], restored.frames[now], restored.truth[now])
