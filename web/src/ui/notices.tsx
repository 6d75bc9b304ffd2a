/** Short messages: shown at the top of the page and read out by screen readers. */
import { signal } from "@preact/signals"
import { TurnedBack } from "../api/hub"

interface Notice {
  text: string
  bad: boolean
}

const current = signal<Notice | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined

/** Says that something was done. */
export function say(text: string): void {
  show({ text, bad: false }, 6000)
}

/** Says that something failed, and leaves it until it is read. */
export function report(problem: unknown): void {
  if (problem instanceof TurnedBack) return
  show({ text: problem instanceof Error ? problem.message : String(problem), bad: true }, 0)
}

export function hush(): void {
  current.value = null
}

function show(notice: Notice, stays: number): void {
  clearTimeout(timer)
  current.value = notice
  if (stays) timer = setTimeout(hush, stays)
}

/** Always in the page, so that a screen reader knows the region before the first message. */
export function Notices() {
  const notice = current.value
  return (
    <div class="notices">
      <div role="status">{notice && !notice.bad && <p class="notice good">{notice.text}</p>}</div>
      <div role="alert">
        {notice?.bad && (
          <p class="notice bad">
            {notice.text}
            <button type="button" class="plain" onClick={hush}>
              Close
            </button>
          </p>
        )}
      </div>
    </div>
  )
}
