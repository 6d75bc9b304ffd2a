/** Backups: set-up in three steps, destinations with their history, schedule, recovery key. */
import { useState } from "preact/hooks"
import type { BackupCopy, BackupPlace, Backups } from "../api/shapes"
import { hub, modules } from "../app"
import { ago, bytes, duration, exactly } from "../format"
import { BACKUP, glance, hours } from "../state/backups"
import { useResource } from "../state/resource"
import { AddPlace } from "../ui/backupplace"
import { confirm } from "../ui/dialog"
import { Icon } from "../ui/icons"
import { say } from "../ui/notices"
import { Badge, Button, Card, Choice, Empty, Head, More, Ready } from "../ui/parts"
import { Progress } from "../ui/progress"
import { ConfirmSheet, type MadeKey, Sheet } from "../ui/recoverysheet"

const PATH = "/api/backups"
/** How many backups of a destination are shown at first. */
const SHOWN = 5

interface Parts {
  backups: Backups
  reload: () => Promise<void>
}

export function BackupsPage() {
  const backups = useResource(PATH, true)
  return (
    <>
      <Head
        title="Backups"
        lead="Encrypted copies of everything on this hub, kept on another disk or in a bucket. Only your recovery sheet opens them."
      />
      <Ready of={[backups]}>{() => backups.data && <Body backups={backups.data} reload={backups.reload} />}</Ready>
    </>
  )
}

function Body({ backups, reload }: Parts) {
  const [made, setMade] = useState<MadeKey | null>(null)
  const [timing, setTiming] = useState(false)
  const confirmed = Boolean(backups.key?.confirmedAt)
  const make = async () => {
    setMade(await hub.call<MadeKey>("POST", `${PATH}/key`))
    await reload()
  }
  const settled = async () => {
    setMade(null)
    await reload()
  }
  const added = async (label: string) => {
    say(`${label} works and was added.`)
    setTiming(true)
    await reload()
  }
  const parts = { backups, reload }
  if (made || !confirmed)
    return (
      <>
        {!confirmed && backups.places.length === 0 && <Steps at={0} />}
        {made ? <Sheet made={made} done={settled} /> : <FirstSheet {...parts} make={make} done={settled} />}
        {!made && <RestoreLink />}
      </>
    )
  if (backups.places.length === 0)
    return (
      <>
        <Steps at={1} />
        <Card title="Where should backups go?">
          <p>Choose a place that survives when this machine does not. You can add more places later.</p>
          <AddPlace done={added} />
        </Card>
        <RestoreLink />
      </>
    )
  if (timing)
    return (
      <>
        <Steps at={2} />
        <Schedule {...parts} done={() => setTiming(false)} />
      </>
    )
  return <InUse {...parts} make={make} />
}

function Steps({ at }: { at: number }) {
  return (
    <ol class="steps setup-steps" aria-label="Setting up backups">
      {["Recovery sheet", "Place", "Schedule"].map((name, step) => (
        <li key={name} class={step < at ? "done" : step === at ? "running" : ""} aria-current={step === at && "step"}>
          <Icon name={step < at ? "good" : step === at ? "busy" : "off"} />
          {name}
        </li>
      ))}
    </ol>
  )
}

function FirstSheet({ backups, make, done }: Parts & { make: () => Promise<void>; done: () => Promise<void> }) {
  const waiting = backups.key !== null
  return (
    <Card title="First, make a recovery sheet">
      <p>
        Backups are locked with a key that is on this sheet. Print it, or keep it in a password manager. If this machine
        is lost, the sheet and a backup bring everything back. Without the sheet, nobody can open the backups.
      </p>
      {waiting && (
        <>
          <p>You made a sheet {ago(backups.key?.madeAt)}, and have not confirmed yet that you have it.</p>
          <ConfirmSheet done={done} />
        </>
      )}
      <div class="row">
        <Button kind={waiting ? undefined : "primary"} act={make}>
          {waiting ? "Make a new sheet" : "Make the recovery sheet"}
        </Button>
      </div>
    </Card>
  )
}

function InUse({ backups, reload, make }: Parts & { make: () => Promise<void> }) {
  const [adding, setAdding] = useState(false)
  const running = modules.jobOf(BACKUP)
  const newest = modules.tellingOf(BACKUP)
  // Why a backup failed is among the problems already.
  const job = running ?? (newest?.kind === "verify" ? newest : undefined)
  const { tone, text } = glance(backups)
  const added = async (label: string) => {
    say(`${label} works and was added.`)
    setAdding(false)
    await reload()
  }
  return (
    <>
      <section class={`now ${tone}`} role="status">
        <span class="now-mark">
          <Icon name={tone} />
        </span>
        <div>
          <h2>{text}</h2>
          {backups.problems.length === 0 && <p>{plan(backups)}</p>}
          {backups.problems.map((problem) => (
            <p key={problem.key}>{problem.text}</p>
          ))}
        </div>
      </section>
      <Missing />
      {job && <Progress job={job} />}
      {backups.places.map((place) => (
        <Place key={place.id} place={place} busy={running !== undefined} reload={reload} />
      ))}
      {adding ? (
        <Card title="Add a place">
          <AddPlace done={added} back={() => setAdding(false)} />
        </Card>
      ) : (
        <div class="row">
          <Button act={() => setAdding(true)}>Add another place</Button>
        </div>
      )}
      <Schedule backups={backups} reload={reload} />
      <Download />
      <Key backups={backups} reload={reload} make={make} />
      <RestoreLink />
    </>
  )
}

/** What nobody would miss until it is needed. */
function Missing() {
  const away = modules.installed.value.filter((module) => module.elsewhere)
  if (away.length === 0) return null
  return (
    <p>
      {away.map((module) => module.display_name).join(", ")} {away.length === 1 ? "runs" : "run"} on another machine.
      What is stored there is not in these backups, so back up that machine as well.
    </p>
  )
}

function plan({ schedule }: Backups): string {
  if (!schedule.daily) return "Backups are made only when you start one."
  const time = hours().find(([hour]) => hour === String(schedule.hour))?.[1]
  return `A backup is made every day after ${time}, and checked at once.`
}

function Place({ place, busy, reload }: { place: BackupPlace; busy: boolean; reload: () => Promise<void> }) {
  const path = `${PATH}/places/${encodeURIComponent(place.id)}`
  const begin = (what: string, body: object) => async () => {
    await hub.call("POST", `${path}/${what}`, body)
    await modules.refresh()
  }
  const test = async () => {
    await hub.call("POST", `${path}/test`, {})
    say(`${place.label} works: a test file was written, read back and deleted.`)
  }
  const remove = async () => {
    const text = "No more backups go there. The ones that are there stay, and can still be restored."
    if (!(await confirm(`Remove ${place.label}?`, text, "Remove"))) return
    await hub.call("DELETE", path)
    await reload()
  }
  const rows = place.backups.map((copy) => (
    <Row key={copy.name} copy={copy} busy={busy} check={begin("verify", { name: copy.name })} />
  ))
  return (
    <Card
      title={place.label}
      aside={
        <Button kind="primary" act={begin("run", {})} disabled={busy}>
          Back up now<span class="unseen"> to {place.label}</span>
        </Button>
      }
    >
      {rows.length === 0 && <Empty title="No backup here yet" />}
      <ul class="list tight">{rows.slice(0, SHOWN)}</ul>
      {rows.length > SHOWN && (
        <More label={`Older backups (${rows.length - SHOWN})`}>
          <ul class="list tight">{rows.slice(SHOWN)}</ul>
        </More>
      )}
      {place.unpackedAt !== null && (
        <p class="quiet">A backup was unpacked completely {ago(place.unpackedAt)}, to try it out.</p>
      )}
      <div class="row">
        <Button act={test}>
          Test<span class="unseen"> {place.label}</span>
        </Button>
        <Button kind="danger" act={remove}>
          Remove<span class="unseen"> {place.label}</span>
        </Button>
      </div>
    </Card>
  )
}

function Row({ copy, busy, check }: { copy: BackupCopy; busy: boolean; check: () => Promise<void> }) {
  const { madeAt, seconds, stored, files, verifiedAt, decryptedAt, warnings } = copy
  const opened = decryptedAt !== null && decryptedAt === verifiedAt
  return (
    <li class="list-row">
      <div class="grow">
        <p>
          <strong>{exactly(madeAt)}</strong>{" "}
          {verifiedAt === null ? <Badge tone="busy">Not checked yet</Badge> : <Badge tone="good">Checked</Badge>}
        </p>
        <p class="quiet">
          {bytes(stored)}, {files.toLocaleString("en")} files, took {duration(Math.max(1, seconds))}.
          {verifiedAt !== null && ` Checked ${ago(verifiedAt)}.`}
          {verifiedAt !== null && !opened && ` Last opened with the key: ${ago(decryptedAt)}.`}
        </p>
        {warnings.length > 0 && (
          <More label={warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`}>
            <ul class="plain-list">
              {warnings.map((warning) => (
                <li key={warning}>{warning}</li>
              ))}
            </ul>
          </More>
        )}
      </div>
      <Button act={check} disabled={busy}>
        Check again<span class="unseen"> the backup of {exactly(madeAt)}</span>
      </Button>
    </li>
  )
}

function Schedule({ backups, reload, done }: Parts & { done?: () => void }) {
  const { hour, daily, programs } = backups.schedule
  const [when, setWhen] = useState(daily ? String(hour) : "")
  const [whole, setWhole] = useState(programs)
  const save = async () => {
    const told = when === "" ? { daily: false } : { daily: true, hour: Number(when) }
    await hub.call("PUT", `${PATH}/schedule`, { ...told, programs: whole })
    await reload()
    done?.()
  }
  const choices = [
    ...hours().map(([value, time]) => [value, `Every day after ${time}`] as const),
    ["", "Only when I start one"] as const,
  ]
  return (
    <Card title="When">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Make a backup" value={when} set={setWhen} choices={choices} />
        <label class="switch">
          <input type="checkbox" checked={whole} onChange={(event) => setWhole(event.currentTarget.checked)} />
          <span>
            Include the modules' programs
            <small class="hint">Larger. Otherwise they are downloaded again when you restore.</small>
          </span>
        </label>
        <p class="quiet">
          The last 7 days, 4 weeks and 6 months are kept. A backup that was missed is made as soon as the hub runs
          again.
        </p>
        <Button type="submit" kind={done ? "primary" : undefined} act={save} done="Saved">
          {done ? "Finish" : "Save"}
        </Button>
      </form>
    </Card>
  )
}

function Download() {
  const start = async () => {
    const { url } = await hub.call<{ url: string }>("POST", `${PATH}/download`, {})
    location.assign(url)
  }
  return (
    <Card title="Download a backup">
      <p>A new encrypted backup, saved by your browser. It needs the recovery sheet to open, like all the others.</p>
      <div class="row">
        <Button act={start} done="The download has started">
          Download a backup
        </Button>
      </div>
    </Card>
  )
}

function Key({ backups: { key }, reload, make }: Parts & { make: () => Promise<void> }) {
  if (!key) return null
  const forget = async () => {
    const text =
      "The hub then cannot open its backups: it only checks that they arrived unchanged. If you lose the sheet, " +
      "nobody can restore them. This cannot be undone for this key."
    if (!(await confirm("Keep the key only on the sheet?", text, "Delete the key here"))) return
    await hub.call("DELETE", `${PATH}/key`)
    await reload()
  }
  const renew = async () => {
    const text = "New backups need the new sheet. Keep the old sheet as well: it opens the backups made so far."
    if (await confirm("Make a new recovery sheet?", text, "Make a new sheet", false)) await make()
  }
  return (
    <Card title="Recovery sheet">
      <p>
        Made {ago(key.madeAt)}.{" "}
        {key.kept
          ? "The hub keeps its key, encrypted, to check that each backup opens. This protects your backups, not the hub: whoever controls this hub can read everything on it anyway."
          : "Its key is on the sheet only. The hub checks that backups arrived unchanged, and cannot open them."}
      </p>
      <div class="row">
        <Button act={renew}>Make a new sheet</Button>
        {key.kept && (
          <Button kind="danger" act={forget}>
            Keep the key only on the sheet
          </Button>
        )}
      </div>
    </Card>
  )
}

function RestoreLink() {
  return (
    <Card title="Restore a backup">
      <p>
        Bring back everything as it was when a backup was made. A new, empty hub offers it on its first page: “I have a
        backup”.
      </p>
      <div class="row">
        <a class="button" href="/admin/backups/restore">
          Restore a backup
        </a>
      </div>
    </Card>
  )
}
