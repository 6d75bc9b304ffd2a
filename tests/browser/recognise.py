"""A speech program for scribe's `command` provider: prints the English words in a 16 kHz mono WAV file. PocketSphinx's
small model knows "hello world" and little more, which is enough here.
"""

import sys
import wave

from pocketsphinx import Decoder


def words(path: str) -> str:
    """The recognised words; empty if there are none."""
    with wave.open(path, "rb") as sound:
        decoder = Decoder(samprate=sound.getframerate(), loglevel="FATAL")
        decoder.start_utt()
        decoder.process_raw(sound.readframes(sound.getnframes()), full_utt=True)
        decoder.end_utt()
    heard = decoder.hyp()
    return heard.hypstr if heard else ""


if __name__ == "__main__":
    print(words(sys.argv[1]))
