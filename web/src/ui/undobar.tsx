/** Says what is being done, and takes it back. */
import { useEffect, useRef } from "preact/hooks"
import type { Undoable } from "../state/undo"
import { undo } from "./notices"
import { Button } from "./parts"

export function UndoBar() {
  const act = undo.pending.value
  return <div role="status">{act && <Waits key={`${act.key} ${act.text}`} act={act} />}</div>
}

function Waits({ act }: { act: Undoable }) {
  const line = useRef<HTMLParagraphElement>(null)
  useEffect(() => {
    const button = line.current?.querySelector("button")
    const lost = () => document.activeElement === document.body || document.activeElement === button
    // The button that was pressed is gone: the keyboard goes on here, and at the heading once this is gone, too.
    if (lost()) button?.focus({ preventScroll: true })
    return () => {
      if (lost()) document.querySelector("h1")?.focus({ preventScroll: true })
    }
  }, [])
  return (
    <p class="notice busy" ref={line}>
      <span class="grow">{act.text}</span>
      <Button kind="quiet" act={() => undo.undo()}>
        Undo
      </Button>
    </p>
  )
}
