/** A new place for backups: a folder or a bucket. */
import { useState } from "preact/hooks"
import type { BackupPlace } from "../api/shapes"
import { hub } from "../app"
import { Adding, useTyped } from "./adding"
import { Choice, More } from "./parts"

const KINDS = [
  ["folder", "A folder on this machine, such as a mounted disk"],
  ["s3", "A bucket: Amazon S3, Cloudflare R2, Backblaze B2, MinIO"],
] as const
const NOTHING = { path: "", endpoint: "", bucket: "", prefix: "", region: "", key_id: "", secret: "", label: "" }

export function AddPlace({ done, back }: { done: (label: string) => Promise<void>; back?: () => void }) {
  const [kind, setKind] = useState("folder")
  const { typed, line, hidden } = useTyped(NOTHING)
  const ready = kind === "folder" ? typed.path : typed.endpoint && typed.bucket && typed.key_id && typed.secret
  return (
    <Adding
      send={(more) => hub.call<BackupPlace>("POST", "/api/backups/places", { kind, ...typed, ...more })}
      ready={Boolean(ready)}
      done={done}
      back={back}
    >
      <Choice label="Kind of place" value={kind} set={setKind} choices={KINDS} />
      {kind === "folder" ? (
        line("path", "Folder", "The whole path, such as /mnt/backups. Use a disk other than the hub's.")
      ) : (
        <>
          {line("endpoint", "Address of the service", "For example https://s3.eu-central-1.amazonaws.com")}
          {line("bucket", "Bucket")}
          {line("key_id", "Access key")}
          {hidden("secret", "Secret key", "The hub keeps it encrypted and never shows it again.")}
          <More label="Region and folder">
            <div class="stack">
              {line("region", "Region", "Only if your service asks for one.")}
              {line("prefix", "Folder in the bucket")}
            </div>
          </More>
        </>
      )}
      {line("label", "Name (optional)")}
    </Adding>
  )
}
