// The dialog that records or takes a file and returns the text.

import { forSpeech } from "./audio.ts"
import { byId, onClick, Problem } from "./dom.ts"
import { transcribe } from "./vault.ts"

export class Voice {
  readonly #dialog = byId<HTMLDialogElement>("voice")
  readonly #record = byId<HTMLButtonElement>("record")
  readonly #file = byId<HTMLInputElement>("audio")
  readonly #done: (text: string) => void
  #recorder: MediaRecorder | undefined
  /** Counts uses of the dialog: a text that comes after it was closed is dropped. */
  #turn = 0

  constructor(done: (text: string) => void) {
    this.#done = done
    onClick("record", () => this.#guard(() => (this.#recorder ? this.#recorder.stop() : this.#start())))
    onClick("voice-close", () => this.#dialog.close())
    this.#dialog.addEventListener("close", () => this.#reset())
    this.#file.addEventListener("change", () => {
      const file = this.#file.files?.[0]
      if (file) void this.#guard(() => this.#transcribe(file, file.name))
    })
  }

  open(): void {
    this.#reset()
    this.#say("Record yourself, or choose a recording. It becomes text in your note.")
    this.#dialog.showModal()
  }

  #reset(): void {
    this.#turn++
    const recorder = this.#recorder
    this.#recorder = undefined
    recorder?.stop()
    this.#file.value = ""
    this.#ready(true)
  }

  async #start(): Promise<void> {
    const turn = this.#turn
    const stream = await microphone()
    const release = () => {
      for (const track of stream.getTracks()) track.stop()
    }
    if (turn !== this.#turn) return release()
    const recorder = new MediaRecorder(stream)
    const pieces: Blob[] = []
    recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data))
    recorder.addEventListener("stop", () => {
      release()
      if (turn !== this.#turn) return
      this.#recorder = undefined
      const recording = new Blob(pieces, { type: recorder.mimeType })
      const ending = /mp4/.test(recorder.mimeType) ? "mp4" : "webm"
      void this.#guard(() => this.#transcribe(recording, `recording.${ending}`))
    })
    this.#recorder = recorder
    recorder.start()
    this.#record.textContent = "Stop recording"
    this.#say("Recording. Speak now.")
  }

  async #transcribe(recording: Blob, given: string): Promise<void> {
    const turn = this.#turn
    this.#ready(false)
    this.#say("Turning speech into text…")
    const { audio, name } = await forSpeech(recording, given)
    const text = await transcribe(audio, name)
    if (turn !== this.#turn) return
    if (!text) throw new Problem("No words were heard. Try again, nearer to the microphone.")
    this.#dialog.close()
    this.#done(text)
  }

  #ready(ready: boolean): void {
    this.#record.disabled = this.#file.disabled = !ready
    this.#record.textContent = "Start recording"
  }

  #say(text: string): void {
    byId("voice-status").textContent = text
  }

  /** Shows a failure inside the dialog, which covers the rest of the page. */
  async #guard(work: () => Promise<void> | void): Promise<void> {
    try {
      await work()
    } catch (problem) {
      this.#ready(true)
      this.#say(problem instanceof Problem ? problem.message : "This did not work. Try again, or choose a recording.")
      if (!(problem instanceof Problem)) console.error(problem)
    }
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
