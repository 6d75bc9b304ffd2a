/** A new destination of notices. The hub sends a first notice there before it keeps it. */
import { useState } from "preact/hooks"
import { Refusal } from "../api/hub"
import type { NoticeDestination } from "../api/shapes"
import { hub } from "../app"
import { obstacle, subscribe } from "../state/push"
import { confirm } from "./dialog"
import { Button, Choice, Field } from "./parts"
import { Secret } from "./secret"

const KINDS = [
  ["push", "This browser, or this phone"],
  ["ntfy", "ntfy"],
  ["email", "E-mail"],
  ["webhook", "A webhook: Slack, Discord, Mattermost, your own"],
  ["ping", "A sign of life, such as healthchecks.io"],
  ["apprise", "Another service, by apprise"],
] as const
const SECURITY = [
  ["starttls", "STARTTLS (port 587)"],
  ["tls", "TLS (port 465)"],
  ["none", "None, in your own network"],
] as const
const HINTS: Record<string, string> = {
  ntfy: "With the topic, such as https://ntfy.sh/a-topic-that-nobody-guesses",
  webhook: "The hub sends JSON there.",
  ping: "The hub asks it every five minutes. The service tells you when that stops.",
  apprise: "As apprise writes it, such as tgram://token/chat",
}
const NOTHING = { url: "", token: "", secret: "", host: "", username: "", password: "", sender: "", to: "", label: "" }
type Told = typeof NOTHING

export function AddDestination({ done }: { done: (label: string) => Promise<void> }) {
  const [kind, setKind] = useState("push")
  const [security, setSecurity] = useState("starttls")
  const [told, setTold] = useState(NOTHING)
  const set = (name: keyof Told) => (value: string) => setTold((now) => ({ ...now, [name]: value }))
  const blocked = kind === "push" ? obstacle() : null
  const add = async () => {
    const body = kind === "push" ? await subscribe() : described(kind, security, told)
    const send = (more: object) =>
      hub.call<NoticeDestination>("POST", "/api/notices/destinations", { kind, label: told.label, ...body, ...more })
    try {
      await done((await send({})).label)
    } catch (problem) {
      if (!(problem instanceof Refusal && problem.error === "private_address")) throw problem
      if (await confirm("Is this in your own network?", problem.message, "Yes, use it", false))
        await done((await send({ private: true })).label)
    }
  }
  const line = (name: keyof Told, label: string, hint?: string) => (
    <Field label={label} hint={hint}>
      {(ids) => (
        <input
          {...ids}
          type="text"
          value={told[name]}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          onInput={(event) => set(name)(event.currentTarget.value)}
        />
      )}
    </Field>
  )
  const hidden = (name: keyof Told, label: string) => (
    <Secret label={label} autocomplete="new-password" value={told[name]} set={set(name)} />
  )
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <Choice label="Where" value={kind} set={setKind} choices={KINDS} />
      {blocked && <p class="reason">{blocked}</p>}
      {kind === "email" && (
        <>
          {line("to", "Send to", "Your e-mail address")}
          {line("host", "Mail server", "For example smtp.example.com; with another port smtp.example.com:2525")}
          <Choice label="Encryption" value={security} set={setSecurity} choices={SECURITY} />
          {line("username", "User name")}
          {hidden("password", "Password")}
          {line("sender", "Sender", "Your e-mail address, if you leave this empty")}
        </>
      )}
      {kind !== "email" && kind !== "push" && line("url", "Address", HINTS[kind])}
      {kind === "ntfy" && hidden("token", "Access token (optional)")}
      {kind === "webhook" && hidden("secret", "Secret for signatures (optional)")}
      {line("label", "Name (optional)")}
      <p class="quiet">The hub keeps all of this encrypted and never shows it again.</p>
      <div class="row">
        <Button type="submit" kind="primary" act={add} disabled={blocked !== null || !complete(kind, told)}>
          Test and add
        </Button>
      </div>
    </form>
  )
}

function complete(kind: string, { url, to, host }: Told): boolean {
  if (kind === "push") return true
  return kind === "email" ? to !== "" && host !== "" : url !== ""
}

function described(kind: string, security: string, told: Told): object {
  if (kind !== "email") return { url: told.url, token: told.token, secret: told.secret }
  const [host, port] = told.host.split(":")
  const { to, username, password, sender } = told
  return { host, ...(port && { port: Number(port) }), security, to, username, password, sender: sender || to }
}
