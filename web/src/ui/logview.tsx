/** A live log: filter, pause, copy, download. */
import { useEffect, useRef, useState } from "preact/hooks"
import { hub } from "../app"
import { Tail } from "../state/log"
import { say } from "./notices"
import { Button } from "./parts"

const DRAWN = 800
const DRAW_EVERY = 250
const AGAIN_AFTER = 2000

export function LogView({ short, name }: { short: string; name: string }) {
  const tail = useRef(new Tail())
  const box = useRef<HTMLPreElement>(null)
  const [, redraw] = useState(0)
  const [filter, setFilter] = useState("")
  const [paused, setPaused] = useState(false)
  useEffect(() => follow(short, tail.current, () => redraw((count) => count + 1)), [short])

  const lines = tail.current.view(filter)
  const drawn = lines.slice(-DRAWN)
  useEffect(() => {
    const view = box.current
    if (view && !paused) view.scrollTop = view.scrollHeight
  })
  const toggle = () => {
    tail.current.pause(!paused)
    setPaused(!paused)
  }
  const copy = () => navigator.clipboard.writeText(lines.join("\n"))
  const download = () => save(`${short}.log`, tail.current.all.join("\n"))
  return (
    <div class="logview">
      <div class="row">
        <input
          type="search"
          class="grow"
          aria-label="Filter lines"
          placeholder="Filter"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <button type="button" class="button" aria-pressed={paused} onClick={toggle}>
          {paused ? "Resume" : "Pause"}
        </button>
        <Button act={copy} done="Log copied">
          Copy
        </Button>
        <Button act={download}>Download</Button>
      </div>
      <pre class="log tall" role="region" ref={box} tabIndex={0} aria-label={`Log of ${name}`}>
        {drawn.join("\n") || (filter ? "No matching lines." : "No output yet.")}
      </pre>
    </div>
  )
}

/** Follows the log, reconnecting when the hub or the module restarts. */
function follow(short: string, tail: Tail, draw: () => void): () => void {
  const ended = new AbortController()
  let pending: ReturnType<typeof setTimeout> | undefined
  const drawSoon = () => {
    pending ??= setTimeout(() => {
      pending = undefined
      draw()
    }, DRAW_EVERY)
  }
  const run = async () => {
    const path = `/api/modules/${encodeURIComponent(short)}/logs?follow=1`
    while (!ended.signal.aborted) {
      try {
        const stream = await hub.stream(path, {}, ended.signal)
        const reader = stream
          .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
          .getReader()
        tail.restart()
        for (;;) {
          const { done, value } = await reader.read()
          if (done) break
          tail.push(value)
          drawSoon()
        }
      } catch {
        // The hub is away or the module has not started: try again below.
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER))
    }
  }
  void run()
  return () => {
    ended.abort()
    clearTimeout(pending)
  }
}

function save(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }))
  const link = document.createElement("a")
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
  say(`Saved as ${name}`)
}
