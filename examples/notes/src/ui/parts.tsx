import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { attempt } from "./state.ts"

interface ButtonProps {
  onClick: () => Promise<unknown> | unknown
  children: ComponentChildren
  class?: string
  label?: string
  pressed?: boolean
  disabled?: boolean
  id?: string
}

/** A button whose errors are shown. */
export function Button({ onClick, children, class: name, label, pressed, disabled, id }: ButtonProps) {
  return (
    <button
      type="button"
      id={id}
      class={name}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={() => void attempt(onClick)}
    >
      {children}
    </button>
  )
}

/** A modal dialog that is open as long as it is rendered. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string
  onClose: () => void
  children: ComponentChildren
}) {
  const element = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const dialog = element.current!
    dialog.showModal()
    return () => dialog.close()
  }, [])
  return (
    <dialog ref={element} aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  )
}

// Making a format takes longer than using it for a list of notes.
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "short" })
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" })
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })

export function day(iso: string): string {
  const date = new Date(iso)
  const today = new Date()
  if (date.toDateString() === today.toDateString()) return TIME.format(date)
  return (date.getFullYear() === today.getFullYear() ? DAY : DATE).format(date)
}

export function moment(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })
}

export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} KB`
  return `${(bytes / 1e6).toFixed(1)} MB`
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`
}

/** Saves what is at an address of this page to the person's downloads. */
export function download(url: string, name: string): void {
  const link = document.createElement("a")
  link.href = url
  link.download = name
  link.click()
}
