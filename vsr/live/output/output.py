"""The output of a stream: video encoder, audio track and sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

from av import Packet
from av.audio.stream import AudioStream
from av.stream import Stream

from vsr.errors import EncodeError, VSRError
from vsr.live.audio.packets import EncodedPacket, StreamTemplates
from vsr.live.audio.track import OutputAudio
from vsr.live.output.bit_rate import BitRateController, lowest
from vsr.live.output.encoder import LiveEncoder, OutputPicture, can_limit
from vsr.live.output.interleaver import Interleaver
from vsr.live.output.sink import Sink
from vsr.streams.encode.raw_nut import CARRIED_CODECS
from vsr.types import Chunk


class Output:
    """Takes frames and audio in order of time.

    Args:
        picture: Format of the video.
        sound: First audio stream of the source; None without audio.
        outlets: Sinks, the main one first.
        on_left: Called with the time in seconds of every emitted frame.
        encoder: ffmpeg's name of an encoder.
        arguments: Further arguments for it.

    Attributes:
        notes: Deviations worth a message.
    """

    def __init__(
        self,
        picture: OutputPicture,
        sound: AudioStream | None,
        sinks: Sequence[Sink],
        on_left: Callable[[Fraction], None],
        *,
        encoder: str | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.notes: list[str] = []
        self._sinks, self._on_left = list(sinks), on_left
        self._video, self._audio = StreamTemplates(), StreamTemplates()
        self._sound = self._take_sound(sound)
        self._interleaver = Interleaver(self._sinks, self._left)
        self._started = self._written = False
        self._make_encoder = partial(
            LiveEncoder, picture, self._video, self._coded, encoder=encoder, arguments=arguments
        )
        self._encoder = self._make_encoder()
        remote = [sink for sink in self._sinks if sink.is_remote]
        self._rates = [(sink, BitRateController(sink.most_lag_s)) for sink in remote]
        self._can_limit = can_limit(encoder, arguments)
        self._limit: int | None = None
        self._limit_of_encoder: int | None = None

    def write(self, chunk: Chunk) -> None:
        """Encode frames.

        Raises:
            EncodeError: The encoder has stopped, or the main sink has been given up.
        """
        self.raise_error()
        if self._limit != self._limit_of_encoder and self._started:
            self._replace_encoder(self._limit)
        self._encoder.write(chunk)
        self._written = True

    def adapt(self, now: float) -> int | None:
        """Choose the bit rate that all sinks can take.

        Args:
            now: On the monotonic clock.

        Returns:
            Bits per second of the picture at most; None without a limit.
        """
        if self._can_limit:
            self._limit = lowest([rate.decide(sink.load(), now) for sink, rate in self._rates])
        return self._limit

    def begin_sound(self, stream: AudioStream | None) -> None:
        """Start the audio of another connection."""
        if self._sound is not None:
            self._sound.begin(_carried(stream))

    def write_sound(self, packet: Packet[Stream], time: Fraction) -> None:
        """Write an audio packet of the source at its output time."""
        if self._sound is not None:
            self._interleaver.sound(self._sound.take(packet, time))

    def fill_sound(self, until: Fraction) -> None:
        """Fill a long gap of audio with silence up to the video time."""
        if self._sound is not None:
            self._interleaver.sound(self._sound.silence(until))

    def raise_error(self) -> None:
        """Raise the error that the main sink was given up for."""
        if (error := self._sinks[0].error) is not None:
            raise error

    def finish(self) -> None:
        """Flush and close the sinks; without a frame no file is left.

        Raises:
            VSRError: The encoder failed, or a sink.
        """
        try:
            if self._written:
                self._encoder.finish()
            else:
                self._encoder.abort()
        finally:
            if self._sound is not None:
                self._interleaver.sound(self._sound.last())
            self._interleaver.finish()
            self._close()
        if failed := [str(sink.error) for sink in self._sinks if sink.error]:
            raise EncodeError("; ".join(failed))

    def abort(self) -> None:
        """End the encoder at once; emitted output is kept."""
        self._encoder.abort()
        self._close()

    def _close(self) -> None:
        for sink in self._sinks:
            sink.finish()

    def _replace_encoder(self, limit: int | None) -> None:
        """Flush the encoder and continue with another one, which starts with a key frame."""
        following = self._make_encoder(limit=limit)
        try:
            self._encoder.finish()
        except VSRError:
            following.abort()
            raise
        self._encoder, self._limit_of_encoder = following, limit

    def _coded(self, coded: EncodedPacket) -> None:
        if not self._started:
            self._started = True
            for sink in self._sinks:
                sink.start([*self._video.streams, *self._audio.streams])
        self._interleaver.picture(coded)

    def _left(self, coded: EncodedPacket) -> None:
        self._on_left(coded.pts * coded.time_base)

    def _take_sound(self, stream: AudioStream | None) -> OutputAudio | None:
        carried = _carried(stream)
        if carried is None:
            if stream is not None:
                name = stream.codec_context.codec.canonical_name
                self.notes.append(f"sound of the codec {name} cannot be copied; it is left out")
            return None
        try:
            return OutputAudio(carried, self._audio.add(carried))
        except (VSRError, ValueError) as error:
            self.notes.append(f"the sound cannot be copied ({error}); it is left out")
            return None


def _carried(stream: AudioStream | None) -> AudioStream | None:
    """The stream, if NUT can carry its codec."""
    if stream is None or stream.codec_context.codec.canonical_name not in CARRIED_CODECS:
        return None
    return stream
