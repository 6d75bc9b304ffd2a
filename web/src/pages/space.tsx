/** Storage: what is large on the disk, by person, vault and kind; quotas; clearing. */
import { useState } from "preact/hooks"
import type { Leftover, Space, SpaceOfPerson, SpaceOfVault } from "../api/shapes"
import { hub, modules } from "../app"
import { ago, bytes } from "../format"
import { useResource } from "../state/resource"
import { confirm } from "../ui/dialog"
import { say } from "../ui/notices"
import { Badge, Button, Card, Choice, Head, More, Ready } from "../ui/parts"
import { fullness } from "../words"

const MB = 1024 ** 2
const SIZES = [100 * MB, 500 * MB, 1024 * MB, 5 * 1024 * MB, 20 * 1024 * MB, 100 * 1024 * MB]

interface Kind {
  name: string
  text: string
  /** Asked before clearing what cannot be fetched or made again. */
  question?: string
}

const KINDS: Record<string, Kind> = {
  downloads: {
    name: "Downloads and old versions",
    text: "What modules were installed from. It is downloaded again when it is needed.",
  },
  copies: {
    name: "Copies from before updates",
    text: "The data of modules as it was before an update, or before a move to another machine.",
    question: "Without these copies, going back to an earlier version of a module keeps the data as it is now.",
  },
  logs: { name: "Older logs", text: "The latest lines of each log stay." },
}

export function SpacePage() {
  const space = useResource("/api/space")
  return (
    <>
      <Head title="Storage" lead="What takes up space on this machine, and how much of it people and vaults may use." />
      <Ready of={[space]}>
        {() =>
          space.data && (
            <>
              <Clearing space={space.data} changed={space.reload} />
              <People people={space.data.people} changed={space.reload} />
              <Vaults vaults={space.data.vaults} counted={space.data.vaults_counted} changed={space.reload} />
            </>
          )
        }
      </Ready>
    </>
  )
}

type Changed = () => Promise<void>

function Clearing({ space, changed }: { space: Space; changed: Changed }) {
  return (
    <Card title="This machine">
      <p>
        {bytes(space.free)} of {bytes(space.total)} are free. <a href="/admin/settings">Everything by module</a>
      </p>
      <ul class="list">
        {space.leftovers.map((leftover) => (
          <Left key={leftover.what} leftover={leftover} changed={changed} />
        ))}
      </ul>
    </Card>
  )
}

function Left({ leftover, changed }: { leftover: Leftover; changed: Changed }) {
  const { name, text, question }: Kind = KINDS[leftover.what] ?? { name: leftover.what, text: "" }
  const clear = async () => {
    if (question && !(await confirm(`Clear ${name.toLowerCase()}?`, question, "Clear"))) return
    const { freed } = await hub.call<{ freed: number }>("POST", "/api/space/clear", { what: leftover.what })
    say(`${bytes(freed)} freed`)
    await changed()
  }
  return (
    <li>
      <div class="list-row">
        <div class="grow">
          <h3>{name}</h3>
          <p class="quiet">
            {bytes(leftover.bytes)}. {text}
            {leftover.since && ` The oldest is from ${ago(leftover.since)}.`}
          </p>
        </div>
        {leftover.bytes > 0 && (
          <Button act={clear} aria-label={`Clear ${name.toLowerCase()}`}>
            Clear
          </Button>
        )}
      </div>
    </li>
  )
}

function People({ people, changed }: { people: SpaceOfPerson[]; changed: Changed }) {
  return (
    <Card title="People">
      {people.length === 0 && <p class="quiet">Nobody has a vault of their own.</p>}
      <ul class="list">
        {people.map((person) => (
          <li key={person.id}>
            <div class="list-row">
              <div class="grow">
                <h3>{person.name}</h3>
                <Used used={person.bytes} quota={person.quota} />
              </div>
            </div>
            <Quota
              name={person.name}
              quota={person.quota}
              path={`/api/users/${encodeURIComponent(person.id)}/quota`}
              changed={changed}
            />
          </li>
        ))}
      </ul>
    </Card>
  )
}

function Vaults({ vaults, counted, changed }: { vaults: SpaceOfVault[]; counted: boolean; changed: Changed }) {
  return (
    <Card title="Vaults">
      {vaults.length === 0 && <p class="quiet">There are no vaults yet.</p>}
      {modules.installed.value.some((module) => module.short === "vault" && module.elsewhere) && (
        <p>
          {counted
            ? "The vaults are on another machine, and take room there."
            : "The vaults are on another machine. What they store there is not counted here, and limits do not apply to it."}
        </p>
      )}
      <ul class="list">
        {vaults.map((vault) => (
          <OneVault key={vault.name} vault={vault} changed={changed} />
        ))}
      </ul>
    </Card>
  )
}

function OneVault({ vault, changed }: { vault: SpaceOfVault; changed: Changed }) {
  const empty = async () => {
    const sure = await confirm(
      `Empty the trash of ${vault.name}?`,
      "Deleted notes can then no longer be restored.",
      "Empty trash",
    )
    if (!sure) return
    await hub.call("POST", `/api/space/trash/${encodeURIComponent(vault.name)}`)
    say(`The trash of ${vault.name} is empty`)
    await changed()
  }
  return (
    <li>
      <div class="list-row">
        <div class="grow">
          <h3>{vault.name}</h3>
          <Used used={vault.bytes} quota={vault.quota} />
          <p class="quiet">
            {vault.owner && `It belongs to ${vault.owner}. `}
            {bytes(vault.files_bytes)} are pictures and other files.
          </p>
        </div>
        <Button act={empty}>
          Empty trash<span class="unseen"> of {vault.name}</span>
        </Button>
      </div>
      <Quota
        name={vault.name}
        quota={vault.quota}
        path={`/vaults/${encodeURIComponent(vault.name)}/quota`}
        changed={changed}
      />
    </li>
  )
}

function Used({ used, quota }: { used: number; quota: number }) {
  const tone = fullness(used, quota)
  return (
    <p>
      {bytes(used)}
      {quota > 0 && ` of ${bytes(quota)}`}{" "}
      {quota > 0 && used >= quota ? (
        <Badge tone="bad">Full</Badge>
      ) : (
        (tone === "bad" || tone === "busy") && <Badge tone="busy">Almost full</Badge>
      )}
    </p>
  )
}

interface QuotaProps {
  name: string
  quota: number
  path: string
  changed: Changed
}

/** A quota of another size, set by the command, is one more choice. */
function Quota({ name, quota, path, changed }: QuotaProps) {
  const [size, setSize] = useState(String(quota))
  const sizes = [...new Set([...SIZES, ...(quota ? [quota] : [])])].sort((a, b) => a - b)
  const save = async () => {
    await hub.call("PUT", path, { bytes: Number(size) })
    await changed()
  }
  return (
    <More label={`Limit ${name}`}>
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Choice
          label={`Storage for ${name}`}
          value={size}
          set={setSize}
          choices={[["0", "no limit"], ...sizes.map((one) => [String(one), bytes(one)] as const)]}
        />
        <p class="hint">When it is full, nothing new can be saved there. Reading and deleting still work.</p>
        <Button act={save} type="submit" done={`Saved for ${name}`}>
          Save limit
        </Button>
      </form>
    </More>
  )
}
