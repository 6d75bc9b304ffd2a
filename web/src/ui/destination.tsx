/** A new destination of notices. The hub sends a first notice there. */
import { useState } from "preact/hooks"
import type { NoticeDestination } from "../api/shapes"
import { hub } from "../app"
import { obstacle, subscribe } from "../state/push"
import { Adding, useTyped } from "./adding"
import { Choice } from "./parts"

const KINDS = [
  ["push", "This browser or phone"],
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
type Typed = typeof NOTHING

export function AddDestination({ done }: { done: (label: string) => Promise<void> }) {
  const [kind, setKind] = useState("push")
  const [security, setSecurity] = useState("starttls")
  const { typed, line, hidden } = useTyped(NOTHING)
  const blocked = kind === "push" ? obstacle() : null
  const send = async (more: object) => {
    const body = kind === "push" ? await subscribe() : described(kind, security, typed)
    const asked = { kind, label: typed.label, ...body, ...more }
    return hub.call<NoticeDestination>("POST", "/api/notices/destinations", asked)
  }
  return (
    <Adding send={send} ready={blocked === null && complete(kind, typed)} done={done}>
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
    </Adding>
  )
}

function complete(kind: string, { url, to, host }: Typed): boolean {
  if (kind === "push") return true
  return kind === "email" ? to !== "" && host !== "" : url !== ""
}

function described(kind: string, security: string, typed: Typed): object {
  if (kind !== "email") return { url: typed.url, token: typed.token, secret: typed.secret }
  const [host, port] = typed.host.split(":")
  const { to, username, password, sender } = typed
  return { host, ...(port && { port: Number(port) }), security, to, username, password, sender: sender || to }
}
