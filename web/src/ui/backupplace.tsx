/** A new place for backups: a folder or a bucket. The hub tries it before it keeps it. */
import { useState } from "preact/hooks"
import { Refusal } from "../api/hub"
import type { BackupPlace } from "../api/shapes"
import { hub } from "../app"
import { confirm } from "./dialog"
import { Button, Choice, Field, More } from "./parts"
import { Secret } from "./secret"

const KINDS = [
  ["folder", "A folder on this machine, such as a mounted disk"],
  ["s3", "A bucket: Amazon S3, Cloudflare R2, Backblaze B2, MinIO"],
] as const
const NOTHING = { path: "", endpoint: "", bucket: "", prefix: "", region: "", key_id: "", secret: "", label: "" }
type Told = typeof NOTHING

export function AddPlace({ done, back }: { done: (label: string) => Promise<void>; back?: () => void }) {
  const [kind, setKind] = useState("folder")
  const [told, setTold] = useState(NOTHING)
  const set = (name: keyof Told) => (value: string) => setTold((now) => ({ ...now, [name]: value }))
  const send = (more: object) => hub.call<BackupPlace>("POST", "/api/backups/places", { kind, ...told, ...more })
  const add = async () => {
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
  const ready = kind === "folder" ? told.path : told.endpoint && told.bucket && told.key_id && told.secret
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <Choice label="Kind of place" value={kind} set={setKind} choices={KINDS} />
      {kind === "folder" ? (
        line("path", "Folder", "The whole path, such as /mnt/backups. Use a disk other than the hub's.")
      ) : (
        <>
          {line("endpoint", "Address of the service", "For example https://s3.eu-central-1.amazonaws.com")}
          {line("bucket", "Bucket")}
          {line("key_id", "Access key")}
          <Secret
            label="Secret key"
            hint="The hub keeps it encrypted and never shows it again."
            autocomplete="new-password"
            value={told.secret}
            set={set("secret")}
          />
          <More label="Region and folder">
            <div class="stack">
              {line("region", "Region", "Only if your service asks for one.")}
              {line("prefix", "Folder in the bucket")}
            </div>
          </More>
        </>
      )}
      {line("label", "Name (optional)")}
      <div class="row">
        <Button type="submit" kind="primary" act={add} disabled={!ready}>
          Test and add
        </Button>
        {back && (
          <button type="button" class="button" onClick={back}>
            Cancel
          </button>
        )}
      </div>
    </form>
  )
}
