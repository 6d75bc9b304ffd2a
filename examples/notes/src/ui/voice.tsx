import { signal, useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import { forSpeech } from "../core/audio.ts"
import { newId } from "../core/ids.ts"
import { Problem } from "../core/problem.ts"
import type { Recording } from "../local/database.ts"
import { speechProblem, transcribe } from "../remote/vault.ts"
import { insertInto } from "./editor.tsx"
import { Button, Dialog, moment, size } from "./parts.tsx"
import { desk, go, say } from "./state.ts"

/** The open dialog, with the note that the text goes into; without one it becomes a new note. */
const voice = signal<{ note?: string } | undefined>(undefined)
/** Recordings that are not text yet. */
export const recordings = signal<Recording[]>([])

export function openVoice(note?: string): void {
  voice.value = { note }
}

export async function loadRecordings(): Promise<void> {
  recordings.value = (await desk.value?.db.getAll("recordings")) ?? []
}

async function keep(recording: Recording): Promise<void> {
  await desk.value!.db.put("recordings", recording)
  await loadRecordings()
}

async function drop(id: string): Promise<void> {
  await desk.value!.db.delete("recordings", id)
  await loadRecordings()
}

/** Turns a kept recording into text. It is deleted only when its text is in a note. */
async function toText(recording: Recording): Promise<void> {
  const { library } = desk.value!
  try {
    const { audio, name } = await forSpeech(recording.blob, recording.name)
    const text = await transcribe(audio, name)
    if (!text) throw new Problem("No words were heard. Try again, nearer to the microphone.")
    if (recording.note && library.notes.has(recording.note)) {
      await insertInto(recording.note, text)
    } else {
      const note = await library.create({ content: text })
      go({ page: "note", id: note.id })
    }
    await drop(recording.id)
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error)
    const problem = error instanceof Problem ? error.message : "This did not work. Try again."
    await keep({ ...recording, problem })
    throw error instanceof Problem ? error : new Problem(problem)
  }
}

export function Voice() {
  return voice.value ? <VoiceDialog note={voice.value.note} /> : null
}

function VoiceDialog({ note }: { note?: string }) {
  const status = useSignal("Record yourself, or choose a recording. It becomes text in your note.")
  const recorder = useSignal<MediaRecorder | undefined>(undefined)
  const busy = useSignal(false)
  const level = useSignal(0)
  const close = () => {
    recorder.value?.stop()
    voice.value = undefined
  }
  useEffect(() => {
    void speechProblem()
      .catch(() => "Your hub does not answer. You can record; it becomes text when the hub is back.")
      .then((found) => {
        if (found && !recorder.value) status.value = found
      })
    return () => recorder.value?.stop()
  }, [])

  const convert = async (blob: Blob, name: string) => {
    const recording: Recording = { id: newId(), blob, name, note, at: Date.now() }
    await keep(recording)
    busy.value = true
    status.value = "Turning speech into text…"
    try {
      await toText(recording)
      voice.value = undefined
    } catch (error) {
      status.value = `${(error as Error).message} Your recording is kept below.`
    } finally {
      busy.value = false
    }
  }
  const start = async () => {
    try {
      const stream = await microphone()
      const stopMeter = meter(stream, (value) => (level.value = value))
      const next = new MediaRecorder(stream)
      const pieces: Blob[] = []
      next.addEventListener("dataavailable", ({ data }) => pieces.push(data))
      next.addEventListener("stop", () => {
        for (const track of stream.getTracks()) track.stop()
        stopMeter()
        recorder.value = undefined
        void convert(
          new Blob(pieces, { type: next.mimeType }),
          /mp4/.test(next.mimeType) ? "speech.mp4" : "speech.webm",
        )
      })
      next.start(1000)
      recorder.value = next
      status.value = "Recording. Speak now."
    } catch (error) {
      status.value =
        error instanceof Problem ? error.message : "The microphone did not start. Choose a recording instead."
    }
  }
  return (
    <Dialog title="Speak a note" onClose={close}>
      <p role="status">{status.value}</p>
      <div class="bar">
        <Button
          class="primary"
          disabled={busy.value}
          onClick={() => (recorder.value ? recorder.value.stop() : start())}
        >
          {recorder.value ? "Stop recording" : "Start recording"}
        </Button>
        <Button onClick={close}>Close</Button>
      </div>
      {recorder.value && (
        <meter class="level" min={0} max={1} low={0.02} value={level.value} aria-label="How loud you are" />
      )}
      <label for="audio">Or choose a recording</label>
      <input
        id="audio"
        type="file"
        accept="audio/*,video/webm,video/mp4"
        disabled={busy.value}
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? []
          if (file) void convert(file, file.name)
        }}
      />
      <Kept busy={busy.value} onText={() => (voice.value = undefined)} onProblem={(words) => (status.value = words)} />
    </Dialog>
  )
}

function Kept(props: { busy: boolean; onText: () => void; onProblem: (words: string) => void }) {
  const again = async (recording: Recording) => {
    try {
      await toText(recording)
      say("Your recording became text.")
      props.onText()
    } catch (error) {
      props.onProblem((error as Error).message)
    }
  }
  if (recordings.value.length === 0 || props.busy) return null
  return (
    <>
      <h3>Recordings that are not text yet</h3>
      <ul class="cards">
        {recordings.value.map((recording) => (
          <li key={recording.id}>
            <strong>{moment(new Date(recording.at).toISOString())}</strong>
            <span class="detail">
              {size(recording.blob.size)}
              {recording.problem && ` · ${recording.problem}`}
            </span>
            <Sound recording={recording} />
            <span class="bar">
              <Button onClick={() => again(recording)}>Try again</Button>
              <Button class="danger" onClick={() => drop(recording.id)}>
                Delete
              </Button>
            </span>
          </li>
        ))}
      </ul>
    </>
  )
}

function Sound({ recording }: { recording: Recording }) {
  const element = useRef<HTMLAudioElement>(null)
  useEffect(() => {
    const url = URL.createObjectURL(recording.blob)
    element.current!.src = url
    return () => URL.revokeObjectURL(url)
  }, [recording.id])
  // biome-ignore lint/a11y/useMediaCaption: the person made this recording a moment ago, and it becomes text next.
  return <audio ref={element} controls aria-label="Recording" />
}

/** Reports the level of a microphone, 0 to 1, until the returned function is called. */
function meter(stream: MediaStream, report: (level: number) => void): () => void {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  context.createMediaStreamSource(stream).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    report(Math.min(1, 3 * Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)))
  }, 80)
  return () => {
    clearInterval(timer)
    void context.close()
  }
}

async function microphone(): Promise<MediaStream> {
  if (!navigator.mediaDevices) {
    throw new Problem("Recording needs https, or the machine that runs the hub. You can choose a recording instead.")
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: true })
  } catch {
    throw new Problem("The browser gave no microphone. Allow it for this page, or choose a recording.")
  }
}
