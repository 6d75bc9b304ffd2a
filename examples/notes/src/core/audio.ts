// Recordings as plain 16 kHz mono WAV: every speech program reads it, whatever the browser records.

const RATE = 16_000
/** Seconds; a longer recording is sent as it is, because WAV would be large. */
const LONGEST = 10 * 60

/** The recording as WAV with its file name, or as it came when the browser cannot read it. */
export async function forSpeech(recording: Blob, name: string): Promise<{ audio: Blob; name: string }> {
  try {
    // Decoding converts to the rate of the context.
    const decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await recording.arrayBuffer())
    if (decoded.duration > LONGEST) return { audio: recording, name }
    return { audio: wav(mono(decoded)), name: name.replace(/(\.\w+)?$/, ".wav") }
  } catch {
    return { audio: recording, name }
  }
}

function mono(decoded: AudioBuffer): Float32Array {
  const mixed = new Float32Array(decoded.length)
  for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
    decoded.getChannelData(channel).forEach((sample, index) => {
      mixed[index]! += sample / decoded.numberOfChannels
    })
  }
  return mixed
}

/** RIFF WAVE, 16-bit PCM, one channel. */
function wav(samples: Float32Array): Blob {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2))
  const text = (at: number, word: string) =>
    [...word].forEach((c, i) => {
      view.setUint8(at + i, c.charCodeAt(0))
    })
  text(0, "RIFF")
  view.setUint32(4, 36 + samples.length * 2, true)
  text(8, "WAVEfmt ")
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, RATE, true)
  view.setUint32(28, RATE * 2, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  text(36, "data")
  view.setUint32(40, samples.length * 2, true)
  samples.forEach((sample, index) => {
    view.setInt16(44 + index * 2, Math.max(-1, Math.min(1, sample)) * 0x7fff, true)
  })
  return new Blob([view], { type: "audio/wav" })
}
