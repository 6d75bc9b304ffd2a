// Kit: maintains the module's row in services.json.

import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { writeAtomically } from "./files.ts"

/** The module's own fields. Other fields of the row are kept. */
export interface Row {
  /** `manifestName` of module.json: the key of the row. */
  name: string
  /** The bound port. A port already in the row wins, because the hub chose it. */
  port: number
  paths: string[]
  health: string
  version: string
  installDir: string
  displayName?: string
  tagline?: string
  stripPrefix?: boolean
}

/**
 * Writes the row into `<home>/services.json`: read, merge, write at once. Rows of others and fields
 * that are not ours stay as they are. Throws, and leaves the file alone, when it is not valid JSON
 * of the known shape.
 */
export function register(home: string, row: Row): void {
  const path = join(home, "services.json")
  const document = read(path)
  const index = document.services.findIndex((other) => other?.name === row.name)
  const before = document.services[index] ?? {}
  const after = {
    ...before,
    ...row,
    port: isPort(before.port) ? before.port : row.port,
    installDir: typeof before.installDir === "string" ? before.installDir : row.installDir,
  }
  if (JSON.stringify(after) === JSON.stringify(before)) return
  if (index < 0) document.services.push(after)
  else document.services[index] = after
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o600
  writeAtomically(path, `${JSON.stringify(document, null, 2)}\n`, mode)
}

/**
 * Registers now and looks again after a second: the file has no lock, so another module that
 * starts at the same moment may have written an older copy over our row. A failure is only logged; a
 * module works without registration.
 */
export function keepRegistered(home: string, row: () => Row): void {
  const attempt = () => {
    try {
      register(home, row())
    } catch (error) {
      console.error(`services.json was left alone: ${(error as Error).message}`)
    }
  }
  attempt()
  setTimeout(attempt, 1000).unref()
}

type Document = { services: Array<Record<string, unknown>> }

function read(path: string): Document {
  if (!existsSync(path)) return { services: [] }
  const document = JSON.parse(readFileSync(path, "utf8"))
  if (!Array.isArray(document?.services)) throw new Error(`${path} has no list "services"`)
  return document
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65535
}
