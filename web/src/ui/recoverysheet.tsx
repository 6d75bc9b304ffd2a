/** The recovery sheet: shown once, printed, and confirmed by typing the end of its key. */
import { useState } from "preact/hooks"
import { hub } from "../app"
import { Button, Card, Copy, Field } from "./parts"

export interface MadeKey {
  identity: string
  /** An SVG as a data: URI. */
  qr: string
}

export function Sheet({ made, done }: { made: MadeKey; done: () => Promise<void> }) {
  const commands = [
    `echo ${made.identity} > key.txt`,
    "age -d -i key.txt BACKUP.tar.zst.age | tar --zstd -x",
    "rm key.txt",
  ].join("\n")
  return (
    <>
      <Card title="Parachute recovery sheet">
        <div class="sheet">
          <p>
            This key opens the backups that <strong class="address">{location.host}</strong> makes from{" "}
            {new Date().toLocaleDateString("en", { dateStyle: "medium" })} on: accounts, notes, settings, and what
            modules keep.
          </p>
          <div class="sheet-key">
            <Code uri={made.qr} />
            <Copy text={made.identity} label="Recovery key" />
          </div>
          <p>Anyone with this sheet and a backup can read everything. Without this sheet, nobody can open a backup.</p>
          <h3>To restore</h3>
          <p>Install Parachute, open it, and choose “I have a backup”.</p>
          <p>Without a hub, on any computer with age and zstd:</p>
          <Copy text={commands} label="Commands that open a backup" />
        </div>
        <div class="row no-print">
          <Button kind="primary" act={() => print()}>
            Print
          </Button>
          <span class="quiet">It is not shown again.</span>
        </div>
      </Card>
      <Card title="Do you have it?">
        <ConfirmSheet done={done} />
      </Card>
    </>
  )
}

/** Drawn anew from the SVG's one path, because the content security policy forbids data: images. */
function Code({ uri }: { uri: string }) {
  const svg = new DOMParser().parseFromString(decodeURIComponent(uri.slice(uri.indexOf(",") + 1)), "image/svg+xml")
  const lines = svg.querySelector("path")?.getAttribute("d") ?? ""
  const scale = Number(/scale\((\d+)\)/.exec(svg.querySelector("path")?.getAttribute("transform") ?? "")?.[1] ?? 1)
  const size = Number(svg.documentElement.getAttribute("width")) / scale
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="QR code of the recovery key">
      <path d={lines} stroke="#000000" />
    </svg>
  )
}

/** Only someone who has the sheet can type the end of its key. */
export function ConfirmSheet({ done }: { done: () => Promise<void> }) {
  const [typed, setTyped] = useState("")
  const check = async () => {
    await hub.call("POST", "/api/backups/key/confirm", { characters: typed })
    await done()
  }
  return (
    <form class="narrow" onSubmit={(event) => event.preventDefault()}>
      <Field
        label="The last four characters of the key"
        hint="Type them from your print or password manager, so that you know it is there."
      >
        {(ids) => (
          <input
            {...ids}
            class="four"
            value={typed}
            maxLength={4}
            autocomplete="off"
            autocapitalize="characters"
            spellcheck={false}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        )}
      </Field>
      <Button type="submit" kind="primary" act={check} disabled={typed.trim().length !== 4}>
        I have the sheet
      </Button>
    </form>
  )
}
