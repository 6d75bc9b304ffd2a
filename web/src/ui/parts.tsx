/** Components shared by all pages. */
import type { ButtonHTMLAttributes, ComponentChildren } from "preact"
import { useEffect, useId, useRef, useState } from "preact/hooks"
import { moved } from "../router"
import type { Tone } from "../words"
import { Icon } from "./icons"
import { forget, report, say } from "./notices"

/** Page heading. Takes the focus after a navigation, so that keyboards and screen readers start here. */
export function Head({ title, lead, children }: { title: string; lead?: string; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · Parachute`
    if (moved) heading.current?.focus({ preventScroll: true })
  }, [title])
  return (
    <header class="head">
      <div>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {lead && <p class="lead">{lead}</p>}
      </div>
      {children && <div class="row">{children}</div>}
    </header>
  )
}

export function Card({
  title,
  aside,
  children,
}: {
  title?: string
  aside?: ComponentChildren
  children: ComponentChildren
}) {
  const id = useId()
  return (
    <section class="card" aria-labelledby={title ? id : undefined}>
      {title && (
        <div class="card-head">
          <h2 id={id}>{title}</h2>
          {aside}
        </div>
      )}
      {children}
    </section>
  )
}

/** A state with an icon whose shape means the same as its colour. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`}>
      <Icon name={tone} />
      {children}
    </span>
  )
}

type ButtonProps = {
  act: () => unknown
  /** `submit` also reacts to Enter in its form. */
  type?: "button" | "submit"
  kind?: "primary" | "danger" | "quiet"
  /** Announced on success. */
  done?: string
  children: ComponentChildren
} & Pick<ButtonHTMLAttributes, "disabled" | "aria-label" | "title">

/** Runs an action: busy until it is done, and reports errors. */
export function Button({ act, kind, type = "button", done, children, ...rest }: ButtonProps) {
  const [busy, setBusy] = useState(false)
  const run = async () => {
    if (busy) return
    forget()
    setBusy(true)
    try {
      await act()
      if (done) say(done)
    } catch (problem) {
      report(problem)
    } finally {
      setBusy(false)
    }
  }
  return (
    <button type={type} {...rest} class={`button ${kind ?? ""}`} aria-busy={busy} onClick={run}>
      {children}
    </button>
  )
}

/** Placeholder for an empty list. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  )
}

/** Placeholder of the final height, so that nothing moves when data arrives. */
export function Waiting({ lines = 3 }: { lines?: number }) {
  return (
    <div class="waiting" role="status">
      <span class="unseen">Loading</span>
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} />
      ))}
    </div>
  )
}

/** Shows the content once all of its resources are loaded, so that nothing moves. */
export function Ready({ of, children }: { of: readonly Asked[]; children: () => ComponentChildren }) {
  const problem = of.find((asked) => asked.data === null && asked.problem !== null)?.problem
  if (problem) return <p class="notice bad">{problem}</p>
  return of.every(({ data }) => data !== null) ? children() : <Waiting lines={10} />
}

interface Asked {
  data: unknown
  problem: string | null
}

/** Characters above which a text is shown as one line. */
const LONG = 160

/** Plain http from another machine has no clipboard interface: there a selected field is copied. */
export async function toClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const field = document.createElement("textarea")
  field.value = text
  const open = [...document.querySelectorAll("dialog[open]")].at(-1)
  const before = document.activeElement
  ;(open ?? document.body).append(field)
  field.select()
  const done = document.execCommand("copy")
  field.remove()
  if (before instanceof HTMLElement) before.focus()
  if (!done) throw new Error("Your browser does not allow copying here. Select the text and copy it.")
}

/** Text with a copy button: a command, an address, a token. */
export function Copy({ text, label }: { text: string; label: string }) {
  const copy = () => toClipboard(text)
  return (
    <div class={text.length > LONG ? "copy long" : "copy"}>
      <code role="group" tabIndex={0} aria-label={label}>
        {text}
      </code>
      <Button act={copy} kind="quiet" done="Copied" aria-label={`Copy: ${label}`}>
        Copy
      </Button>
    </div>
  )
}

/** An input with its label, and a hint or an error. */
export function Field({
  label,
  hint,
  problem,
  children,
}: {
  label: string
  hint?: ComponentChildren
  problem?: string | null
  children: (ids: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean }) => ComponentChildren
}) {
  const id = useId()
  const described = hint || problem ? `${id}-hint` : undefined
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        ...(described ? { "aria-describedby": described } : {}),
        ...(problem ? { "aria-invalid": true } : {}),
      })}
      {described && (
        <p id={described} class={problem ? "hint bad" : "hint"}>
          {problem ?? hint}
        </p>
      )}
    </div>
  )
}

interface ChoiceProps {
  label: string
  value: string
  set: (value: string) => void
  choices: readonly (readonly [value: string, words: string])[]
}

/** A select box. */
export function Choice({ label, value, set, choices }: ChoiceProps) {
  return (
    <Field label={label}>
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => set(event.currentTarget.value)}>
          {choices.map(([each, words]) => (
            <option key={each} value={each}>
              {words}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

/** Collapsed details. */
export function More({ label, open, children }: { label: string; open?: boolean; children: ComponentChildren }) {
  return (
    <details class="more" open={open ?? false}>
      <summary>{label}</summary>
      <div class="more-body">{children}</div>
    </details>
  )
}

/** A list of names and values. */
export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {rows
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}
