/** Inviting people: the form, the links that wait, and how to send one. */
import { useState } from "preact/hooks"
import { opensOnlyHere } from "../address"
import type { Invite, Role } from "../api/shapes"
import { hub } from "../app"
import { ago, list } from "../format"
import { capital } from "../scopes"
import type { Resource } from "../state/resource"
import { undo } from "./notices"
import { Button, Card, Choice, Copy, Field, More } from "./parts"
import { QrPicture } from "./qrpicture"

export const ROLES = [
  ["read", "can read"],
  ["write", "can read and write"],
] as const
const OWN = " own"
const NONE = ""
const DAY = 24 * 3600
const LASTING = [
  ["1", "1 day"],
  ["7", "7 days"],
  ["30", "30 days"],
] as const

interface Link {
  url: string
  qr_data_url: string
}

export function Invitations({ invites, vaults }: { invites: Resource<{ invites: Invite[] }>; vaults: string[] }) {
  const waiting = (invites.data?.invites ?? []).filter(({ id, status }) => status === "pending" && !undo.hides(id))
  return (
    <Card title="Invite someone">
      <Inviting vaults={vaults} done={invites.reload} />
      {waiting.length > 0 && (
        <ul class="list">
          {waiting.map((invite) => (
            <Waits key={invite.id} invite={invite} changed={invites.reload} />
          ))}
        </ul>
      )}
    </Card>
  )
}

export function described(given: Record<string, Role>, own = false): string {
  const words = Object.entries(given).map(
    ([name, role]) => `${role === "read" ? "can read" : "can read and write in"} ${name}`,
  )
  if (own) words.unshift("gets their own vault")
  return words.length > 0 ? capital(list(words)) : "No vaults yet"
}

function Inviting({ vaults, done }: { vaults: string[]; done: () => Promise<void> }) {
  const [name, setName] = useState("")
  const [note, setNote] = useState("")
  const [days, setDays] = useState("7")
  const [vault, setVault] = useState(vaults.length > 0 ? OWN : NONE)
  const [role, setRole] = useState<Role>("write")
  const [made, setMade] = useState<(Link & { name: string }) | null>(null)
  const named = vault !== OWN && vault !== NONE
  const invite = async () => {
    const asked = { name, note, expires_in: Number(days) * DAY, provision_vault: vault === OWN }
    const link = await hub.call<Link>("POST", "/api/invites", { ...asked, vaults: named ? { [vault]: role } : {} })
    setMade({ ...link, name })
    setName("")
    setNote("")
    await done()
  }
  const choices: [string, string][] = vaults.map((each) => [each, each])
  if (vaults.length > 0) choices.unshift([OWN, "a new one of their own"])
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <p class="quiet">You get a link to send. Whoever opens it first can create an account.</p>
      <Field label="Name">
        {(ids) => (
          <input
            {...ids}
            autocomplete="off"
            maxLength={64}
            value={name}
            onInput={(e) => setName(e.currentTarget.value)}
          />
        )}
      </Field>
      <Choice label="Vault" value={vault} set={setVault} choices={[...choices, [NONE, "none for now"]]} />
      {named && <Choice label="They" value={role} set={(chosen) => setRole(chosen as Role)} choices={ROLES} />}
      {vaults.length === 0 && <p class="hint">Install Vault first, and they can have a vault of their own.</p>}
      <More label="Add a note, or change how long the link lasts">
        <div class="stack">
          <Field label="Note" hint="They see it when they open the link.">
            {(ids) => (
              <textarea
                {...ids}
                rows={2}
                maxLength={500}
                value={note}
                onInput={(e) => setNote(e.currentTarget.value)}
              />
            )}
          </Field>
          <Choice label="The link lasts" value={days} set={setDays} choices={LASTING} />
        </div>
      </More>
      <Button type="submit" kind="primary" act={invite}>
        Create invitation
      </Button>
      {made && (
        <div class="stack" role="status">
          <p>
            {opensOnlyHere(made.url) ? "The link is ready." : `Send this link to ${made.name || "one person"}.`} It
            works once.
          </p>
          <Send link={made} />
        </div>
      )}
    </form>
  )
}

/** The link to copy, to share, and to scan. */
function Send({ link }: { link: Link }) {
  const share = async () => {
    try {
      await navigator.share({ title: "Parachute", text: "Your invitation to my Parachute", url: link.url })
    } catch (problem) {
      // Closing the sheet is no failure.
      if (!(problem instanceof DOMException && problem.name === "AbortError")) throw problem
    }
  }
  return (
    <>
      <Copy text={link.url} label="Invitation link" />
      {opensOnlyHere(link.url) ? (
        <p class="hint">
          This link opens only on this computer. For people elsewhere,{" "}
          <a href="/admin/settings/reach">open a way to your hub</a> first, and then show the link again.
        </p>
      ) : (
        <>
          {"share" in navigator && (
            <div>
              <Button act={share}>Share</Button>
            </div>
          )}
          <QrPicture url={link.qr_data_url} label="QR code of the invitation link" />
        </>
      )}
    </>
  )
}

function Waits({ invite, changed }: { invite: Invite; changed: () => Promise<void> }) {
  const [link, setLink] = useState<Link | null>(null)
  const show = async () => setLink(await hub.call<Link>("POST", `/api/invites/${invite.id}/link`))
  const whom = invite.name || invite.username
  const title = whom ? `Invitation for ${whom}` : "Invitation"
  const revoke = () =>
    undo.begin({
      text: whom ? `Revoking the invitation for ${whom}` : "Revoking the invitation",
      key: invite.id,
      done: "The link does not work any more",
      commit: async () => {
        await hub.call("DELETE", `/api/invites/${invite.id}`)
        await changed()
      },
    })
  return (
    <li>
      <div class="list-row">
        <div class="grow">
          <h3>{title}</h3>
          <p class="quiet">
            {described(invite.vaults, invite.own_vault)}, expires {ago(invite.expires_at)}.
          </p>
        </div>
        {link === null && <Button act={show}>Show link</Button>}
        <Button act={revoke}>
          Revoke<span class="unseen"> the invitation{whom && ` for ${whom}`}</span>
        </Button>
      </div>
      {link && (
        <div class="stack">
          <Send link={link} />
        </div>
      )}
    </li>
  )
}
