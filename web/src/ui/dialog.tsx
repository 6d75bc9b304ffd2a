/** Modal dialogs: confirmation and step-up. */
import { signal } from "@preact/signals"
import type { ComponentChildren } from "preact"
import { useEffect, useId, useRef, useState } from "preact/hooks"
import type { Hub } from "../api/hub"
import { weighty } from "../words"
import { Field } from "./parts"
import { canSign, proveByPasskey } from "./passkey"

/**
 * A modal dialog. The browser traps the focus and closes on Escape. Escape removes the element before the browser could
 * restore the focus, so this does: to what had it, or to the heading if that is gone.
 */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const before = document.activeElement
    box.current?.showModal()
    return () => {
      const back = before?.isConnected && before !== document.body ? before : document.querySelector("h1")
      if (back instanceof HTMLElement) back.focus()
    }
  }, [])
  return (
    <dialog ref={box} aria-labelledby={id} onClose={close} onCancel={close}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}

interface Question {
  title: string
  text: string
  yes: string
  danger: boolean
  answer: (yes: boolean) => void
}

const question = signal<Question | null>(null)

/** Asks for confirmation; false when the person cancels. */
export function confirm(title: string, text: string, yes: string, danger = true): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = { title, text, yes, danger, answer: resolve }
  })
}

interface Wanted {
  operation: string
  answer: (proof: string | null) => void
}

const wanted = signal<Wanted | null>(null)

/** Asks for a password or code before a protected operation; implements `Doors.prove`. */
export function prove(operation: string): Promise<string | null> {
  return new Promise((resolve) => {
    wanted.value = { operation, answer: resolve }
  })
}

/** Renders the open dialog, if any. */
export function Questions({ hub }: { hub: Hub }) {
  const asked = question.value
  const proving = wanted.value
  return (
    <>
      {asked && <Confirm key={asked.title} asked={asked} />}
      {proving && <Proof key={proving.operation} wanted={proving} hub={hub} />}
    </>
  )
}

function Confirm({ asked }: { asked: Question }) {
  const answer = (yes: boolean) => {
    question.value = null
    asked.answer(yes)
  }
  return (
    <Dialog title={asked.title} close={() => answer(false)}>
      <p>{asked.text}</p>
      <div class="row end">
        <button type="button" class="button" onClick={() => answer(false)}>
          Cancel
        </button>
        <button type="button" class={`button ${asked.danger ? "danger" : "primary"}`} onClick={() => answer(true)}>
          {asked.yes}
        </button>
      </div>
    </Dialog>
  )
}

function Proof({ wanted: { operation, answer }, hub }: { wanted: Wanted; hub: Hub }) {
  const [secret, setSecret] = useState("")
  const [problem, setProblem] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const [passkeys, setPasskeys] = useState(false)
  const [codes, setCodes] = useState(false)
  useEffect(() => {
    hub.me().then(
      ({ passkeys, two_factor_enabled }) => {
        setPasskeys(!!passkeys && canSign())
        setCodes(!!two_factor_enabled)
      },
      () => undefined,
    )
  }, [])
  const byPasskey = async () => {
    setProblem(null)
    try {
      const proof = await proveByPasskey(hub, operation)
      if (proof) end(proof)
    } catch (failure) {
      setProblem(failure instanceof Error ? failure.message : String(failure))
    }
  }
  const end = (proof: string | null) => {
    wanted.value = null
    answer(proof)
  }
  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    const isCode = /^\d{6}$/.test(secret.trim())
    const given = isCode ? { code: secret.trim() } : { password: secret }
    try {
      const { proof } = await hub.call<{ proof: string }>("POST", "/api/account/step-up", { operation, ...given })
      end(proof)
    } catch (failure) {
      setProblem(failure instanceof Error ? failure.message : String(failure))
      setBusy(false)
    }
  }
  return (
    <Dialog title="Confirm it's you" close={() => end(null)}>
      <form onSubmit={submit}>
        <p>You are about to {weighty(operation)}.</p>
        <Field label={codes ? "Password, or a code from your authenticator app" : "Password"} problem={problem}>
          {(ids) => (
            <input
              {...ids}
              type="password"
              autocomplete="current-password"
              required
              value={secret}
              onInput={(event) => setSecret(event.currentTarget.value)}
            />
          )}
        </Field>
        <div class="row end">
          <button type="button" class="button" onClick={() => end(null)}>
            Cancel
          </button>
          {passkeys && (
            <button type="button" class="button" onClick={byPasskey}>
              Use a passkey
            </button>
          )}
          <button type="submit" class="button primary" aria-busy={busy} disabled={busy}>
            Continue
          </button>
        </div>
      </form>
    </Dialog>
  )
}
