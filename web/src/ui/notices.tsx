/** Short messages: shown at the top of the page and read out by screen readers. */
import { signal } from "@preact/signals"
import { TurnedBack } from "../api/hub"
import { Undo } from "../state/undo"

interface Notice {
  text: string
  tone: "good" | "busy" | "bad"
}

const current = signal<Notice | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined

/** Confirms that something was done. */
export function say(text: string): void {
  show({ text, tone: "good" }, 6000)
}

/** Shows a notice from the hub until it is closed. */
export function tell(text: string): void {
  show({ text, tone: "busy" }, 0)
}

/** Shows an error until it is closed, or something else is tried. */
export function report(problem: unknown): void {
  if (problem instanceof TurnedBack) return
  show({ text: problem instanceof Error ? problem.message : String(problem), tone: "bad" }, 0)
}

/** Acts that can be taken back for ten seconds. */
export const undo = new Undo({ say, report })

/** Something else is tried: an earlier error would look like its outcome. */
export function forget(): void {
  if (current.value?.tone === "bad") hush()
}

export function hush(): void {
  current.value = null
}

function show(notice: Notice, stays: number): void {
  clearTimeout(timer)
  current.value = notice
  if (stays) timer = setTimeout(hush, stays)
}

/** Always rendered, so that screen readers know the live regions before the first message. */
export function Notices() {
  const notice = current.value
  return (
    <>
      <div role="status">{notice && notice.tone !== "bad" && <Line notice={notice} />}</div>
      <div role="alert">{notice?.tone === "bad" && <Line notice={notice} />}</div>
    </>
  )
}

function Line({ notice }: { notice: Notice }) {
  return (
    <p class={`notice ${notice.tone}`}>
      <span class="grow">{notice.text}</span>
      {notice.tone !== "good" && (
        <button type="button" class="plain" onClick={hush}>
          Close
        </button>
      )}
    </p>
  )
}
