/** The form for something that the hub tries before it keeps it: a place for backups, a destination of notices. */
import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { Refusal } from "../api/hub"
import { confirm } from "./dialog"
import { Button, Field } from "./parts"
import { Secret } from "./secret"

interface AddingProps {
  /** Tries and adds it. Called again with `private` once the person said that an address is in their own network. */
  send: (more: { private?: true }) => Promise<{ label: string }>
  ready: boolean
  done: (label: string) => Promise<void>
  back?: (() => void) | undefined
  children: ComponentChildren
}

export function Adding({ send, ready, done, back, children }: AddingProps) {
  const add = async () => {
    try {
      await done((await send({})).label)
    } catch (problem) {
      if (!(problem instanceof Refusal && problem.error === "private_address")) throw problem
      if (await confirm("Is this in your own network?", problem.message, "Yes, use it", false))
        await done((await send({ private: true })).label)
    }
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      {children}
      <div class="row">
        <Button type="submit" kind="primary" act={add} disabled={!ready}>
          Test and add
        </Button>
        {back && (
          <button type="button" class="button" onClick={back}>
            Cancel
          </button>
        )}
      </div>
    </form>
  )
}

/** What was typed so far, and inputs for it by name. */
export function useTyped<T extends Record<string, string>>(nothing: T) {
  const [typed, setTyped] = useState(nothing)
  const set = (name: keyof T) => (value: string) => setTyped((now) => ({ ...now, [name]: value }))
  const line = (name: keyof T, label: string, hint?: string) => (
    <Field label={label} hint={hint}>
      {(ids) => (
        <input
          {...ids}
          type="text"
          value={typed[name]}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          onInput={(event) => set(name)(event.currentTarget.value)}
        />
      )}
    </Field>
  )
  const hidden = (name: keyof T, label: string, hint?: string) => (
    <Secret
      label={label}
      {...(hint ? { hint } : {})}
      autocomplete="new-password"
      value={typed[name] ?? ""}
      set={set(name)}
    />
  )
  return { typed, line, hidden }
}
