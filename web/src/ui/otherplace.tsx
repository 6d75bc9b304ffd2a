/** Where a module runs: on this machine, or on another one. */
import { useState } from "preact/hooks"
import { Refusal } from "../api/hub"
import type { Module, ModuleLink } from "../api/shapes"
import { hub, modules } from "../app"
import { ago, bytes, exactly } from "../format"
import { nearby } from "../state/nearby"
import { useResource } from "../state/resource"
import { wording } from "../words"
import { useTyped } from "./adding"
import { confirm } from "./dialog"
import { say } from "./notices"
import { Badge, Button, Card, Choice, Facts, Field, More } from "./parts"

export function OtherPlace({ module }: { module: Module }) {
  const path = `/api/links/${module.short}` as const
  const told = useResource(path)
  const changed = async () => {
    await told.reload()
    await modules.refresh()
  }
  if (!told.data) return null
  const { link } = told.data
  return (
    <Card title={link?.active ? "Runs on another machine" : "Another machine"}>
      {link ? (
        <Linked module={module} link={link} path={path} changed={changed} />
      ) : (
        <More label="Run it on another machine">
          <Linking module={module} path={path} changed={changed} />
        </More>
      )}
    </Card>
  )
}

interface Linkable {
  module: Module
  path: string
  changed: () => Promise<void>
}

function Linked({ module, link, path, changed }: Linkable & { link: ModuleLink }) {
  const there = module.elsewhere
  const paired = link.kind === "host"
  const move = (to: "there" | "here") => async () => {
    const backups = "From then on, the backups of this hub do not contain it, so back up the other machine as well."
    const sure = await confirm(
      to === "there" ? `Move ${module.display_name} to the other machine?` : `Bring ${module.display_name} back here?`,
      `Its data moves along. For a few seconds it does not answer. If anything goes wrong, it stays where it is.${
        to === "there" ? ` ${backups}` : ""
      }`,
      to === "there" ? "Move it" : "Bring it back",
      false,
    )
    if (!sure) return
    await hub.call("POST", `${path}/move`, { to })
    await changed()
  }
  const adopt = async () => {
    const sure = await confirm(
      "Use the data on the other machine?",
      `${module.display_name} then runs there, with what it has stored there before. Its data here is kept as a copy.`,
      "Use it",
      false,
    )
    if (!sure) return
    await hub.call("POST", `${path}/move`, { to: "there", keep_data: true })
    await changed()
  }
  const renew = async () => {
    await hub.call("POST", `${path}/renew`)
    await changed()
    say("The certificate is new.")
  }
  const end = async () => {
    const away = paired && link.active
    const sure = await confirm(
      `End the link of ${module.display_name}?`,
      away
        ? "What it has stored stays on the other machine, and it runs here without it. To keep your data, bring it back first."
        : "It runs on this machine then, with the data that is here.",
      "End the link",
    )
    if (!sure) return
    await hub.call("DELETE", `${path}${away ? "?leave_data=1" : ""}`)
    await changed()
  }
  return (
    <>
      <div class="row">
        <p class="grow">
          {link.active ? "It runs on " : "Paired with "}
          <code>{link.address}</code>
          {link.active ? "." : ". It still runs on this machine."}
        </p>
        {there && <Badge tone={wording(module).tone}>{reached(there.reach)}</Badge>}
      </div>
      {link.active && (
        <p class="quiet">
          What it stores is on that machine, and not in the backups of this hub.
          {paired && " Back up that machine as well."}
        </p>
      )}
      {there?.why && <p class="reason">{there.why}</p>}
      {there && (there.version || there.memory || there.disk_free) && (
        <Facts
          rows={[
            ["Version there", there.version],
            ["Memory there", there.memory ? bytes(there.memory) : null],
            ["Free disk there", there.disk_free ? bytes(there.disk_free) : null],
          ]}
        />
      )}
      <div class="row">
        {paired && !link.active && (
          <Button kind="primary" act={move("there")}>
            Move it there
          </Button>
        )}
        {paired && link.active && <Button act={move("here")}>Bring it back here</Button>}
        <Button kind="danger" act={end}>
          End the link
        </Button>
      </div>
      <More label="Technical details">
        <Facts
          rows={[
            ["Linked", `${ago(link.made_at)} (${exactly(link.made_at)})`],
            ["Certificate of this hub", link.renewed_at ? `made ${ago(link.renewed_at)}` : null],
            ["The other side is known by", TRUST[link.trust]],
            ["Key (SHA-256)", link.pin && <code>{link.pin}</code>],
          ]}
        />
        {paired && (
          <div class="row">
            <Button act={renew}>Renew the certificate</Button>
            {!link.active && <Button act={adopt}>Use the data that is there</Button>}
          </div>
        )}
      </More>
    </>
  )
}

const TRUST: Record<ModuleLink["trust"], string> = {
  pin: "its key",
  ca: "a certificate of your own authority",
  system: "a public certificate",
  none: "its address alone, without encryption",
}

const KINDS = [
  ["host", "My other machine"],
  ["upstream", "An existing server"],
] as const

function Linking({ module, path, changed }: Linkable) {
  const [kind, setKind] = useState<"host" | "upstream">("host")
  const { typed, line } = useTyped({ address: "", code: "", pin: "" })
  const [ca, setCa] = useState("")
  const send = async (more: { private?: boolean }) => {
    if (kind === "host") await hub.call("POST", `${path}/pair`, { address: typed.address, code: typed.code, ...more })
    else await hub.call("PUT", path, { address: typed.address, pin: typed.pin || null, ca: ca || null, ...more })
  }
  const approve = (text: string) => confirm("Is this your own machine?", text, "Yes, connect to it", false)
  const add = async () => {
    // Asked before the password where the address shows it: a proof of presence is for one request.
    const near = nearby(typed.address)
    if (
      near &&
      !(await approve(
        `${near} leads into a private network or to this machine. Confirm that the hub may connect to it.`,
      ))
    )
      return
    try {
      await send({ private: near !== null })
    } catch (problem) {
      if (!(problem instanceof Refusal && problem.error === "private_address")) throw problem
      if (!(await approve(problem.message))) return
      await send({ private: true })
    }
    await changed()
    say(kind === "host" ? "The machines are paired." : `${module.display_name} runs there now.`)
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="Where should it run?"
        value={kind}
        set={(chosen) => setKind(chosen === "host" ? "host" : "upstream")}
        choices={KINDS}
      />
      {kind === "host" ? (
        <>
          <p class="quiet">
            Install Parachute there as well, and run <code>parachute module host {module.short}</code>. It shows its
            address and a code.
          </p>
          {line("address", "Its address", "For example 10.0.0.5 or notes.example.com:1940")}
          {line("code", "The code", "It works once, for ten minutes.")}
        </>
      ) : (
        <>
          {line("address", "Its address", "For example https://notes.example.com")}
          <More label="It has no public certificate">
            <div class="stack">
              <Field label="Certificate of your authority" hint="The text that begins with -----BEGIN CERTIFICATE-----">
                {(ids) => (
                  <textarea {...ids} rows={4} value={ca} onInput={(event) => setCa(event.currentTarget.value)} />
                )}
              </Field>
              {line("pin", "Or the SHA-256 of its public key")}
            </div>
          </More>
        </>
      )}
      <div class="row">
        <Button
          type="submit"
          kind="primary"
          act={add}
          disabled={!typed.address.trim() || (kind === "host" && !typed.code.trim())}
        >
          {kind === "host" ? "Pair" : "Use it"}
        </Button>
      </div>
    </form>
  )
}

function reached(reach: NonNullable<Module["elsewhere"]>["reach"]): string {
  return {
    unknown: "Not asked yet",
    online: "Answers",
    "not answering": "Does not answer",
    "wrong certificate": "Wrong certificate",
    refused: "Refuses this hub",
  }[reach]
}
