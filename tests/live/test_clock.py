"""Times of the output, from those of the source and of its arrival."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vsr.live.timing.clock import Clock

TICK = Fraction(1, 1000)


def test_times_are_shifted_by_a_constant() -> None:
    clock = Clock(TICK, Fraction(1, 25))
    times = [Fraction(5000 + t, 1000) for t in (0, 40, 80, 130, 160)]
    stamped = [clock.frame(time, 10 + float(time)) for time in times]
    assert stamped == [0, 40, 80, 130, 160]
    assert clock.sound(times[2]) == Fraction(80, 1000)


@pytest.mark.parametrize("moved", [-3600, -1, 3600])
def test_a_jump_of_the_sources_times_does_not_show(moved: int) -> None:
    clock = Clock(TICK, Fraction(1, 25))
    stamped = []
    for i in range(6):
        time = Fraction(i, 25) + (moved if i >= 3 else 0)
        stamped.append(clock.frame(time, 100 + i / 25))
    assert stamped == [0, 40, 80, 120, 160, 200]
    assert clock.jumps == 1
    # Sound of both sides of the jump keeps its place beside the picture.
    assert clock.sound(Fraction(2, 25)) == Fraction(80, 1000)
    assert clock.sound(Fraction(4, 25) + moved) == Fraction(160, 1000)


def test_sound_that_jumps_before_the_picture_waits_for_it() -> None:
    clock = Clock(TICK, Fraction(1, 25))
    clock.frame(Fraction(0), 50.0)
    assert clock.sound(Fraction(3600)) is None
    clock.frame(Fraction(3600), 50.04)
    assert clock.sound(Fraction(3600)) == Fraction(40, 1000)


def test_frames_that_come_at_another_rate_than_was_said_are_noticed_once() -> None:
    clock, found = Clock(TICK, Fraction(1, 25)), []
    times = [Fraction(round(1000 * t), 1000) for t in (n / 30 for n in range(300))]
    for time in times:
        clock.frame(time, float(time))
        if (rate := clock.other_rate()) is not None:
            found.append(rate)
            clock.step = 1 / rate
    assert [round(float(rate), 1) for rate in found] == []
    for number in range(1, 200):
        time = times[-1] + Fraction(number, 10)
        clock.frame(time, float(time))
        if (rate := clock.other_rate()) is not None:
            found.append(rate)
            clock.step = 1 / rate
    assert found == [10]


def test_a_few_frames_that_are_missing_are_no_other_rate() -> None:
    clock = Clock(TICK, Fraction(1, 25))
    for number in (n for n in range(400) if n % 4):
        clock.frame(Fraction(number, 25), number / 25)
        assert clock.other_rate() is None


def test_held_frames_fill_a_gap_and_the_source_continues_behind_them() -> None:
    clock = Clock(TICK, Fraction(1, 25))
    clock.frame(Fraction(7), 100.0)
    assert clock.held(100.5, delay_s=0.5) == []
    # A bounded number at a time.
    filled = [clock.held(102.5, delay_s=0.5) for _ in range(3)]
    assert filled == [list(range(40, 1001, 40)), list(range(1040, 2001, 40)), []]
    clock.restart()
    # Two seconds and a half after the last frame came, the next one comes, whatever time it says.
    assert clock.frame(Fraction(0), 102.5) == 2500
    assert clock.frame(Fraction(1, 25), 102.54) == 2540


def test_a_frame_whose_place_was_filled_is_not_shown_in_the_past() -> None:
    clock = Clock(TICK, Fraction(1, 25))
    clock.frame(Fraction(0), 100.0)
    while clock.held(103.0, delay_s=0.0):
        pass
    assert clock.frame(Fraction(1, 25), 103.0) is None
    assert clock.frame(Fraction(304, 100), 103.04) == 3040


@pytest.mark.parametrize("pause_s", [2, 10, 3600])
def test_a_source_that_was_stopped_and_continues_is_shown_again_within_a_second(
    pause_s: int,
) -> None:
    """Its times merely continue: every frame comes too late for its place."""
    clock, shown, refused = Clock(TICK, Fraction(1, 25)), [], 0
    clock.frame(Fraction(0), 0.0)
    for number in range(1, 100):
        at = pause_s + number / 25
        while filled := clock.held(at, delay_s=0.2):
            shown += filled
        pts = clock.frame(Fraction(number, 25), at)
        refused += pts is None
        shown += [] if pts is None else [pts]
    assert 25 <= refused <= 27
    assert clock.jumps == 1
    assert shown == sorted(set(shown))
    # As far behind as it was, and the sound with it.
    assert shown[-1] == round(1000 * at)
    assert clock.sound(Fraction(99, 25)) == Fraction(shown[-1], 1000)


def test_frames_that_were_held_up_on_their_way_catch_up_without_a_jump() -> None:
    clock = Clock(TICK, Fraction(1, 25))
    clock.frame(Fraction(0), 0.0)
    while clock.held(30.0, delay_s=0.0):
        pass
    stamped = [clock.frame(Fraction(number, 25), 30 + number / 250) for number in range(1, 800)]
    assert stamped == [None] * 750 + [40 * number for number in range(751, 800)]
    assert clock.jumps == 0


@pytest.mark.parametrize("reconnects", [True, False])
def test_a_source_that_catches_up_does_not_push_the_output_ahead_for_good(
    reconnects: bool,
) -> None:
    """Ten seconds of frames come at once, again and again: of a server's memory, or held up."""
    clock, at, number = Clock(TICK, Fraction(1, 25)), 0.0, 0
    leads, placed = [], []

    def send(frames: int, pause_s: float) -> None:
        nonlocal at, number
        for _ in range(frames):
            at, number = at + pause_s, number + 1
            pts = clock.frame(Fraction(number, 25), 1000 + at)
            if pts is not None:
                placed.append(pts)
                leads.append(float(clock.last or 0) - at)

    for _ in range(5):
        send(250, 0.04)
        if reconnects:
            clock.restart()
        send(250, 0.001)
        assert clock.lead_s < 1.1
    assert max(leads) < 1.5
    send(500, 0.04)
    assert clock.lead_s < 0.3
    assert leads[-1] < 0.5
    assert placed == sorted(set(placed))
    send(100, 0.04)
    assert len(placed) > 5 * 250 + 500


def test_a_burst_of_frames_at_the_start_is_kept_as_lead() -> None:
    clock, placed = Clock(TICK, Fraction(1, 25)), []
    for number in range(1000):
        at = 1000 + max(0.001 * number, (number - 50) / 25)
        placed.append(clock.frame(Fraction(number, 25), at))
    assert placed == list(range(0, 40000, 40))


def test_times_that_creep_are_no_rate_and_do_not_stop_the_output() -> None:
    clock, late_s = Clock(Fraction(1, 90000), Fraction(1, 25)), []
    for number in range(200):
        clock.frame(Fraction(number, 90000), number / 25)
        assert clock.other_rate() is None
        late_s.append(number / 25 - float(clock.last or 0))
    assert max(late_s) < 1.1
