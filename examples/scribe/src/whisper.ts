// whisper.cpp on this machine: found by the name of its program, with a model in scribe's own folder.

import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"

const PROGRAMS = ["whisper-cli", "whisper-cpp"]

export interface Whisper {
  program: string
  /** The first model by name; absent when the person has to put one there. */
  model?: string
}

/** Whether whisper.cpp can be used here. `models` is the folder in which models (`ggml-*.bin`) are looked for. */
export function findWhisper(models: string, path = process.env.PATH ?? ""): Whisper | undefined {
  const program = PROGRAMS.map((name) => Bun.which(name, { PATH: path })).find((found) => found !== null)
  if (!program) return undefined
  const files = existsSync(models) ? readdirSync(models).filter((name) => name.endsWith(".bin")) : []
  const [model] = files.sort()
  return { program, ...(model === undefined ? {} : { model: join(models, model) }) }
}

/** The command that prints the text of `{file}` and nothing else, as the form has it; empty without a model. */
export function commandOf(whisper: Whisper | undefined): string {
  if (!whisper?.model) return ""
  return JSON.stringify([whisper.program, "-m", whisper.model, "-l", "auto", "-nt", "-np", "-f", "{file}"])
}
