// Export and import on the command line.

import { createWriteStream } from "node:fs"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { choice } from "../rest/input.ts"
import type { Store } from "../store/store.ts"
import { exported, FORMATS } from "./export.ts"
import { CONFLICTS, Importer } from "./importer.ts"
import { importFile } from "./sources.ts"

/** What to print. */
export async function exportTo(store: Store, vault: string, file: string, format = "markdown"): Promise<string> {
  const wanted = { store, vault, format: choice(format, "--format", FORMATS), attachments: true }
  await pipeline(Readable.from(exported(wanted)), createWriteStream(file, { mode: 0o600 }))
  return `Wrote ${file}\n`
}

/** The report as JSON. */
export async function importFrom(store: Store, file: string, conflict = "keep"): Promise<string> {
  const importer = new Importer(store, choice(conflict, "--conflict", CONFLICTS))
  await importFile(file, "auto", importer)
  return `${JSON.stringify(importer.report, null, 2)}\n`
}
