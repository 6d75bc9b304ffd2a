/** A live log: filter by text, level and time, pause, copy, download. */
import { useEffect, useRef, useState } from "preact/hooks"
import { hub } from "../app"
import { type Entry, type Level, Tail } from "../state/log"
import { Button, toClipboard } from "./parts"

const DRAWN = 800
const DRAW_EVERY = 250
const AGAIN_AFTER = 2000
const HOUR = 3_600_000
const SHOWN = [
  ["debug", "All lines"],
  ["warning", "Warnings and errors"],
  ["error", "Errors"],
] as const
const SPANS = [
  ["", "Any time"],
  [String(HOUR), "Last hour"],
  [String(24 * HOUR), "Last day"],
] as const

/** `path`: the log in the API. */
export function LogView({ path, name }: { path: string; name: string }) {
  const tail = useRef(new Tail())
  const box = useRef<HTMLPreElement>(null)
  const [, redraw] = useState(0)
  const [text, setText] = useState("")
  const [level, setLevel] = useState<Level>("debug")
  const [span, setSpan] = useState("")
  const [paused, setPaused] = useState(false)
  useEffect(() => follow(path, tail.current, () => redraw((count) => count + 1)), [path])

  const since = span ? Date.now() - Number(span) : null
  const entries = tail.current.view({ text, level, since })
  useEffect(() => {
    const view = box.current
    if (view && !paused) view.scrollTop = view.scrollHeight
  })
  const toggle = () => {
    tail.current.pause(!paused)
    setPaused(!paused)
  }
  const copy = () => toClipboard(entries.map(plain).join("\n"))
  const filtered = text !== "" || level !== "debug" || span !== ""
  return (
    <div class="logview">
      <div class="row">
        <input
          type="search"
          class="grow"
          aria-label="Filter lines"
          placeholder="Filter"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <Select label="Level" value={level} choices={SHOWN} set={(value) => setLevel(value as Level)} />
        <Select label="Time" value={span} choices={SPANS} set={setSpan} />
        <button type="button" class="button" aria-pressed={paused} onClick={toggle}>
          {paused ? "Resume" : "Pause"}
        </button>
        <Button act={copy} done="Log copied">
          Copy
        </Button>
        <a class="button" href={`${path}?format=text&download=1`} download>
          Download
        </a>
      </div>
      <pre class="log tall" role="region" ref={box} tabIndex={0} aria-label={`Log of ${name}`}>
        {entries.slice(-DRAWN).map(drawn)}
        {entries.length === 0 && (filtered ? "No matching lines." : "No output yet.")}
      </pre>
    </div>
  )
}

function Select(props: {
  label: string
  value: string
  choices: readonly (readonly [value: string, words: string])[]
  set: (value: string) => void
}) {
  return (
    <select aria-label={props.label} value={props.value} onChange={(event) => props.set(event.currentTarget.value)}>
      {props.choices.map(([value, words]) => (
        <option key={value} value={value}>
          {words}
        </option>
      ))}
    </select>
  )
}

function drawn(entry: Entry, place: number) {
  const tone = entry.mark ? "log-mark" : `log-${entry.level}`
  return (
    <span key={place} class={tone}>
      <span class="log-time">{clock(entry.at)}</span> {entry.mark ? `— ${entry.text}` : entry.text}
      {"\n"}
    </span>
  )
}

/** The time of day here, with the date unless it is today. */
function clock(at: string): string {
  const then = new Date(at)
  const time = then.toLocaleTimeString("en", { hour12: false })
  return then.toDateString() === new Date().toDateString()
    ? time
    : `${then.toLocaleDateString("en", { month: "short", day: "numeric" })} ${time}`
}

function plain({ at, level, mark, text }: Entry): string {
  return `${at} ${mark ? `[${mark}]` : level} ${text}`
}

/** Follows the log, reconnecting when the hub or the module restarts. */
function follow(path: string, tail: Tail, draw: () => void): () => void {
  const ended = new AbortController()
  let pending: ReturnType<typeof setTimeout> | undefined
  const drawSoon = () => {
    pending ??= setTimeout(() => {
      pending = undefined
      draw()
    }, DRAW_EVERY)
  }
  const run = async () => {
    while (!ended.signal.aborted) {
      try {
        const stream = await hub.stream(`${path}?follow=1&format=json&n=3000`, {}, ended.signal)
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
