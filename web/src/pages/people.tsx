/** People: accounts, their vaults, invitations. */
import { useState } from "preact/hooks"
import type { Person } from "../api/shapes"
import { hub, me } from "../app"
import { ago } from "../format"
import { type Resource, useResource } from "../state/resource"
import { confirm } from "../ui/dialog"
import { described, Invitations, ROLES } from "../ui/invitations"
import { say } from "../ui/notices"
import { Button, Card, Choice, Field, Head, More, Ready } from "../ui/parts"

export function People() {
  const people = useResource("/api/users")
  const invites = useResource("/api/invites")
  const vaults = useResource("/api/users/vaults")
  return (
    <>
      <Head title="People" lead="Everyone has their own account and sees only the vaults you share with them." />
      <Ready of={[people, invites, vaults]}>
        {() => (
          <>
            <Accounts people={people} vaults={vaults.data?.vaults ?? []} />
            <Invitations invites={invites} vaults={vaults.data?.vaults ?? []} />
          </>
        )}
      </Ready>
    </>
  )
}

function Accounts({ people, vaults }: { people: Resource<{ users: Person[] }>; vaults: string[] }) {
  const users = people.data?.users ?? []
  return (
    <Card title="Accounts">
      <ul class="list">
        {users.map((person) => (
          <One
            key={person.id}
            person={person}
            others={users.filter(({ id }) => id !== person.id)}
            vaults={vaults}
            changed={people.reload}
          />
        ))}
      </ul>
      {users.length === 1 && <p class="quiet">Only you so far.</p>}
    </Card>
  )
}

interface OneProps {
  person: Person
  others: Person[]
  vaults: string[]
  changed: () => Promise<void>
}

function One({ person, others, vaults, changed }: OneProps) {
  const owner = person.role === "admin"
  const name = person.display_name || person.username
  return (
    <li>
      <div class="list-row">
        <div class="grow">
          <h3>
            {name} {owner && <span class="badge">Owner</span>}
          </h3>
          <p class="quiet">
            {name !== person.username && `Signs in as ${person.username}. `}
            {owner ? "Can do everything" : described(person.vaults)}. Joined {ago(person.created_at)}.
            {!person.password_changed && " Must choose a new password at the next sign-in."}
          </p>
        </div>
      </div>
      {owner && person.id !== me.value?.user?.id && (
        <More label={`Change ${name}`}>
          <Demote person={person} name={name} changed={changed} />
        </More>
      )}
      {!owner && (
        <More label={`Change or remove ${name}`}>
          <div class="stack">
            <Promote person={person} name={name} changed={changed} />
            <Access person={person} vaults={vaults} changed={changed} />
            <Reset person={person} />
            {(person.second_factor || person.passkeys > 0) && <FactorOff person={person} changed={changed} />}
            <Remove person={person} name={name} others={others} changed={changed} />
          </div>
        </More>
      )}
    </li>
  )
}

interface RoleProps {
  person: Person
  name: string
  changed: () => Promise<void>
}

/** A second owner can help when the first one has lost the way in; handing over is this, then leaving. */
function Promote({ person, name, changed }: RoleProps) {
  const promote = async () => {
    const sure = await confirm(
      `Make ${name} an owner?`,
      "Owners can do everything here: manage people, read every vault, and remove your own rights. A second owner can" +
        " let you back in if you lose your password. To hand the hub over, let them make you a member afterwards.",
      "Make owner",
    )
    if (!sure) return
    await hub.call("PATCH", `/api/users/${person.id}/role`, { role: "admin" })
    say(`${name} is an owner now, and must sign in again`)
    await changed()
  }
  return (
    <div>
      <Button act={promote}>Make {name} an owner</Button>
    </div>
  )
}

function Demote({ person, name, changed }: RoleProps) {
  const demote = async () => {
    const sure = await confirm(
      `Make ${name} a member?`,
      "They keep their account and the vaults that are shared with them. They are signed out everywhere.",
      "Make member",
    )
    if (!sure) return
    await hub.call("PATCH", `/api/users/${person.id}/role`, { role: "member" })
    say(`${name} is a member now`)
    await changed()
  }
  return (
    <div>
      <Button kind="danger" act={demote}>
        Make {name} a member
      </Button>
    </div>
  )
}

/** Not a person's id. */
const DELETE = "(delete)"

/** Asks what becomes of the vaults. They can be downloaded from an owner's account page first. */
function Remove({ person, name, others, changed }: RoleProps & { others: Person[] }) {
  const [fate, setFate] = useState("")
  const owns = Object.keys(person.vaults).length > 0
  const leaving = person.own_vaults.filter((vault) => !others.some(({ vaults }) => vault in vaults))
  const remove = async () => {
    const vaults =
      {
        "": "Their notes stay in the vaults, which owners can use.",
        [DELETE]:
          `What is theirs alone is deleted in 30 days: ${leaving.join(", ")}. Until then you can keep it after all, under` +
          " Vaults. Backups that you make before hold it for as long as you keep those.",
      }[fate] ?? "The person you chose gets their own vaults, and those that nobody else uses."
    const sure = await confirm(
      `Remove ${name}?`,
      `This signs them out everywhere and revokes their tokens. ${vaults}`,
      "Remove",
    )
    if (!sure) return
    const query = { "": "", [DELETE]: "?vaults=delete" }[fate] ?? `?heir=${encodeURIComponent(fate)}`
    await hub.call("DELETE", `/api/users/${person.id}${query}`)
    say(`${name} was removed`)
    await changed()
  }
  const heirs = others
    .filter(({ role }) => role === "member")
    .map((other) => [other.id, `give to ${other.display_name || other.username}`] as const)
  const ends = leaving.length > 0 ? ([[DELETE, "delete after 30 days"]] as const) : []
  return (
    <div class="narrow">
      {owns && (
        <Choice
          label="Their vaults"
          value={fate}
          set={setFate}
          choices={[["", "keep for the owners"], ...heirs, ...ends]}
        />
      )}
      {owns && (
        <p class="hint">
          To keep a copy, <a href="/account/download">download them</a> first.
        </p>
      )}
      <Button kind="danger" act={remove}>
        Remove {name}
      </Button>
    </div>
  )
}

function FactorOff({ person, changed }: { person: Person; changed: () => Promise<void> }) {
  const remove = async () => {
    await hub.call("DELETE", `/api/users/${person.id}/second-factor`)
    await changed()
  }
  return (
    <div>
      <p class="hint">
        For someone who has lost their authenticator app and their recovery codes, or a device with a passkey. Their
        passkeys are removed, too.
      </p>
      <Button act={remove} done={`${person.username} now signs in with the password only`}>
        {person.second_factor ? "Turn off second factor" : "Remove passkeys"}
      </Button>
    </div>
  )
}

interface AccessProps {
  person: Person
  vaults: string[]
  changed: () => Promise<void>
}

function Access({ person, vaults, changed }: AccessProps) {
  const own = Object.fromEntries(person.own_vaults.map((name) => [name, "own"]))
  const [wanted, setWanted] = useState<Record<string, string>>({ ...person.vaults, ...own })
  const choose = (name: string, role: string) => {
    const { [name]: _, ...rest } = wanted
    setWanted(role === "" ? rest : { ...rest, [name]: role })
  }
  const save = async () => {
    const roles = Object.entries(wanted).map(([name, role]) => [name, role === "own" ? "write" : role])
    await hub.call("PATCH", `/api/users/${person.id}/vaults`, {
      assigned_vaults: Object.fromEntries(roles),
      own_vaults: Object.keys(wanted).filter((name) => wanted[name] === "own"),
    })
    await changed()
  }
  const names = [...new Set([...vaults, ...Object.keys(person.vaults)])]
  if (names.length === 0) return <p class="quiet">There are no vaults to share yet.</p>
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      {names.map((name) => (
        <Choice
          key={name}
          label={`Vault ${name}`}
          value={wanted[name] ?? ""}
          set={(role) => choose(name, role)}
          choices={[["", "no access"], ...ROLES, ["own", "their own"]]}
        />
      ))}
      <Button act={save} done={`Saved for ${person.username}`}>
        Save access
      </Button>
    </form>
  )
}

function Reset({ person }: { person: Person }) {
  const [password, setPassword] = useState("")
  const reset = async () => {
    await hub.call("POST", `/api/users/${person.id}/reset-password`, { new_password: password })
    setPassword("")
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <Field
        label="Temporary password"
        hint="At least 12 characters. This signs them out. They choose a new password when they sign in."
      >
        {(ids) => (
          <input
            {...ids}
            type="password"
            autocomplete="new-password"
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
        )}
      </Field>
      {person.passkeys > 0 && (
        <p class="hint">Their passkeys still work. If one was on a device that is gone, remove them as well.</p>
      )}
      <Button
        type="submit"
        act={reset}
        done={`${person.username} has a temporary password`}
        disabled={password.length < 12}
      >
        Reset password
      </Button>
    </form>
  )
}
