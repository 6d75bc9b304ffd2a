/** Restores a backup over a hub in use: choose it, see what would come, then take all of it, one module or one vault. */
import { useState } from "preact/hooks"
import { type Part, Restore, type RestorePlan } from "../api/restore"
import type { BackupPlace } from "../api/shapes"
import { hub, modules } from "../app"
import { bytes, exactly } from "../format"
import { isOver } from "../state/modules"
import { useResource } from "../state/resource"
import { report } from "../ui/notices"
import { Button, Card, Choice, Field, Head, Ready } from "../ui/parts"
import { FarAlong, Progress } from "../ui/progress"
import { Plan } from "../ui/restoreplan"

interface Far {
  text: string
  done: number
  of: number
  /** In Unix milliseconds. */
  began: number
}

interface Shown {
  restore: Restore
  plan: RestorePlan
}

interface Archive {
  name: string
  madeAt: number
  size: number
}

export function RestorePage() {
  const backups = useResource("/api/backups")
  const [far, setFar] = useState<Far | null>(null)
  const [under, setUnder] = useState<Restore | null>(null)
  const [shown, setShown] = useState<Shown | null>(null)
  const [operation, setOperation] = useState("")
  const follow = (doing: "sending" | "checking", done: number, of: number) => {
    const text = doing === "sending" ? "Sending the backup" : "Checking the backup"
    setFar((before) => ({ text, done, of, began: before?.text === text ? before.began : Date.now() }))
  }
  const over = () => {
    setFar(null)
    setUnder(null)
    setShown(null)
  }
  const look = async (restore: Restore, file: Blob | null) => {
    setUnder(restore)
    try {
      if (file) await restore.upload(file, follow)
      follow("checking", 0, 0)
      setShown({ restore, plan: await restore.plan(follow) })
      setFar(null)
    } catch (problem) {
      await restore.cancel()
      over()
      throw problem
    }
  }
  const apply = async (restore: Restore, mode: "move" | "copy") => {
    setUnder(null)
    setFar({ text: "The hub restarts with the restored backup", done: 0, of: 0, began: Date.now() })
    setShown(null)
    await restore.apply(mode)
    location.assign("/login?next=/admin")
  }
  const applyPart = async (restore: Restore, part: Part) => {
    setOperation(await restore.applyPart(part))
    over()
    await modules.refresh()
  }
  const cancel = async (restore: Restore) => {
    await restore.cancel()
    over()
  }
  return (
    <>
      <Head
        title="Restore a backup"
        lead="Bring back everything as it was, or only one module or vault. You see what would change first."
      >
        <a class="button" href="/admin/backups">
          Back to Backups
        </a>
      </Head>
      {shown && (
        <Plan
          plan={shown.plan}
          apply={(mode) => apply(shown.restore, mode).catch((problem) => (over(), report(problem)))}
          applyPart={(part) => applyPart(shown.restore, part)}
          cancel={() => cancel(shown.restore)}
        />
      )}
      <Outcome operation={operation} />
      {far && <Work far={far} cancel={under && (() => cancel(under))} />}
      {/* Kept while a backup is read, so that a mistake can be corrected. */}
      <div hidden={shown !== null || far !== null}>
        <Ready of={[backups]}>{() => <Ask key={operation} places={backups.data?.places ?? []} look={look} />}</Ready>
      </div>
    </>
  )
}

function Ask({
  places,
  look,
}: {
  places: readonly BackupPlace[]
  look: (restore: Restore, file: Blob | null) => Promise<void>
}) {
  const [identity, setIdentity] = useState("")
  const [place, setPlace] = useState("")
  const [file, setFile] = useState<File | null>(null)
  const [archives, setArchives] = useState<Archive[]>([])
  const [name, setName] = useState("")
  const choose = async (id: string) => {
    setPlace(id)
    setArchives([])
    if (!id) return
    try {
      const found = await hub.call<{ archives: Archive[] }>("GET", `/api/backups/places/${id}/archives`)
      setArchives(found.archives)
      setName(found.archives[0]?.name ?? "")
    } catch (problem) {
      report(problem)
    }
  }
  const begin = async () => {
    const source = place ? { from: { id: place }, name } : undefined
    await look(await Restore.begin(hub, identity, source), place ? null : file)
  }
  return (
    <Card title="Which backup?">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Choice
          label="Where it is"
          value={place}
          set={(id) => void choose(id)}
          choices={[["", "A file on this computer"], ...places.map(({ id, label }) => [id, label] as const)]}
        />
        {place ? (
          archives.length > 0 && (
            <Choice
              label="Backup"
              value={name}
              set={setName}
              choices={archives.map((one) => [one.name, `${exactly(one.madeAt)}, ${bytes(one.size)}`])}
            />
          )
        ) : (
          <Field label="Backup file">
            {(ids) => (
              <input
                {...ids}
                type="file"
                accept=".age"
                onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
              />
            )}
          </Field>
        )}
        <Field label="Recovery key" hint="It is on the recovery sheet and begins with AGE-SECRET-KEY-1.">
          {(ids) => (
            <input
              {...ids}
              value={identity}
              autocomplete="off"
              autocapitalize="characters"
              spellcheck={false}
              onInput={(event) => setIdentity(event.currentTarget.value)}
            />
          )}
        </Field>
        <p class="quiet">Nothing changes yet: the backup is read first, and you see what it brings.</p>
        <Button type="submit" kind="primary" act={begin} disabled={!identity || !(place ? name : file)}>
          Continue
        </Button>
      </form>
    </Card>
  )
}

function Work({ far: { text, done, of, began }, cancel }: { far: Far; cancel: (() => Promise<void>) | null }) {
  return (
    <Card>
      <p role="status">{text}…</p>
      <FarAlong done={done} of={of} began={began} label={text} />
      {cancel && (
        <div class="row">
          <Button act={cancel}>Cancel</Button>
        </div>
      )}
    </Card>
  )
}

/** The operation that puts one part in place. */
function Outcome({ operation }: { operation: string }) {
  const job = modules.jobs.value.find(({ id }) => id === operation)
  if (!job) return null
  return (
    <Card title={isOver(job) && job.status === "succeeded" ? "It was restored" : "Restoring"}>
      <Progress job={job} />
    </Card>
  )
}
