/** What a backup would bring: all of it, one module's data, or one vault; and what it takes the place of. */
import { useState } from "preact/hooks"
import type { Part, RestorePlan } from "../api/restore"
import { modules } from "../app"
import { bytes, exactly, list } from "../format"
import { Button, Card, Choice, Facts, Field } from "./parts"

type Mode = "move" | "copy"

interface PlanProps {
  plan: RestorePlan
  apply: (mode: Mode) => Promise<unknown>
  applyPart: (part: Part) => Promise<unknown>
  cancel: () => Promise<void>
}

export function Plan({ plan, apply, applyPart, cancel }: PlanProps) {
  const { backup, result, replaces } = plan
  const [chosen, setChosen] = useState("")
  const [kind, name = ""] = chosen.split(":", 2)
  const here = Object.keys(result.modules).filter((short) => replaces.modules.includes(short))
  const choices = [
    ["", "Everything"] as const,
    ...(here.includes("vault") ? Object.keys(result.vaults) : []).map(
      (vault) => [`vault:${vault}`, `Only the vault ${vault}`] as const,
    ),
    ...here.map((short) => [`module:${short}`, `Only the data of ${modules.name(short)}`] as const),
  ]
  return (
    <Card title="This will be restored">
      <Choice label="What to restore" value={chosen} set={setChosen} choices={choices} />
      <Facts
        rows={[
          ["Made", exactly(backup.created_at)],
          ["At", backup.origin],
        ]}
      />
      {kind === "vault" ? (
        <OneVault key={name} plan={plan} vault={name} apply={applyPart} cancel={cancel} />
      ) : kind === "module" ? (
        <OneModule plan={plan} short={name} apply={applyPart} cancel={cancel} />
      ) : (
        <Everything plan={plan} apply={apply} cancel={cancel} />
      )}
    </Card>
  )
}

const MODES = [
  ["move", "That hub is gone, or is this one", "Sign-ins and connected apps from the backup keep working."],
  ["copy", "That hub keeps running elsewhere", "This one gets keys of its own, and everyone signs in again here."],
] as const

function Everything({ plan, apply, cancel }: Pick<PlanProps, "plan" | "apply" | "cancel">) {
  const [mode, setMode] = useState<Mode>("move")
  const { backup, result, replaces } = plan
  const coming = backup.modules.map(({ short, version }) => (version ? `${short} ${version}` : short))
  return (
    <>
      <Facts
        rows={[
          ["Modules", list(coming) || "none"],
          ["Contains", `${result.files.toLocaleString("en")} files, ${bytes(result.size)}`],
          ["Replaces", list(["all accounts and settings of this hub", ...replaces.modules])],
        ]}
      />
      <p class="notice busy">Whatever was written here after the backup was made is lost.</p>
      {backup.origin !== replaces.origin && (
        <p>
          The backup was made at another address. These must be connected again:{" "}
          {list(result.apps) || "apps such as Claude"}.
        </p>
      )}
      <fieldset class="modes">
        <legend>The hub that made the backup</legend>
        {MODES.map(([value, words, hint]) => (
          <label class="switch" key={value}>
            <input type="radio" name="mode" checked={mode === value} onChange={() => setMode(value)} />
            <span>
              {words}
              <small class="hint">{hint}</small>
            </span>
          </label>
        ))}
      </fieldset>
      <div class="row">
        <Button kind="danger" act={() => apply(mode)}>
          Replace everything and restart
        </Button>
        <Button act={cancel}>Cancel</Button>
      </div>
    </>
  )
}

interface PartProps {
  plan: RestorePlan
  apply: (part: Part) => Promise<unknown>
  cancel: () => Promise<void>
}

function OneVault({ plan, vault, apply, cancel }: PartProps & { vault: string }) {
  const exists = plan.replaces.vaults.includes(vault)
  const [beside, setBeside] = useState(true)
  const [name, setName] = useState(`${vault.slice(0, 23)}-restored`)
  const measure = plan.result.vaults[vault]
  const part = exists && beside ? { vault, as: name } : { vault }
  return (
    <>
      <Facts rows={[["Contains", `${measure?.files.toLocaleString("en")} files, ${bytes(measure?.size)}`]]} />
      {exists && (
        <fieldset class="modes">
          <legend>There is a vault {vault} on this hub</legend>
          <label class="switch">
            <input type="radio" name="beside" checked={beside} onChange={() => setBeside(true)} />
            <span>
              Keep it, and put the old one beside it
              <small class="hint">You get a second vault, and can compare them.</small>
            </span>
          </label>
          <label class="switch">
            <input type="radio" name="beside" checked={!beside} onChange={() => setBeside(false)} />
            <span>
              Replace it
              <small class="hint">Whatever was written to it after the backup was made is lost.</small>
            </span>
          </label>
        </fieldset>
      )}
      {exists && beside && (
        <Field label="Name of the second vault" hint="Lower case letters, digits, - and _.">
          {(ids) => (
            <input {...ids} value={name} maxLength={32} onInput={(event) => setName(event.currentTarget.value)} />
          )}
        </Field>
      )}
      <OtherVersion plan={plan} short="vault" />
      <div class="row">
        <Button kind={exists && !beside ? "danger" : "primary"} act={() => apply(part)}>
          {exists && !beside ? "Replace the vault" : "Restore the vault"}
        </Button>
        <Button act={cancel}>Cancel</Button>
      </div>
    </>
  )
}

function OneModule({ plan, short, apply, cancel }: PartProps & { short: string }) {
  const measure = plan.result.modules[short]
  const name = modules.name(short)
  return (
    <>
      <Facts
        rows={[
          ["Contains", `${measure?.files.toLocaleString("en")} files, ${bytes(measure?.size)}`],
          ["Replaces", `everything that ${name} keeps on this hub`],
        ]}
      />
      <p class="notice busy">Whatever {name} saved here after the backup was made is lost.</p>
      <OtherVersion plan={plan} short={short} />
      <div class="row">
        <Button kind="danger" act={() => apply({ module: short })}>
          Replace the data of {name}
        </Button>
        <Button act={cancel}>Cancel</Button>
      </div>
    </>
  )
}

function OtherVersion({ plan: { backup, replaces }, short }: { plan: RestorePlan; short: string }) {
  const then = backup.modules.find((one) => one.short === short)?.version
  const now = replaces.versions[short]
  const name = modules.name(short)
  return (
    <p class="quiet">
      {name} stops for a moment and starts again. If it does not work with what comes back, everything stays as it is.
      {then && now && then !== now && ` It was written by version ${then}, and this hub has ${now}.`}
    </p>
  )
}
