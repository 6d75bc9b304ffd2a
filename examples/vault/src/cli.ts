#!/usr/bin/env bun
// The command `parachute-vault`.

import { createWriteStream, existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { version } from "../package.json";
import { registerVaults, serve, tidy } from "./serve.ts";
import { DiskFull } from "./store/core.ts";
import type { Store } from "./store/store.ts";
import { BadArchive } from "./transfer/archive.ts";
import { exported, type Format, FORMATS } from "./transfer/export.ts";
import { type Conflict, CONFLICTS, Importer } from "./transfer/importer.ts";
import { importFile } from "./transfer/sources.ts";
import { BadVaultName, Vaults } from "./vaults.ts";

const USAGE = `parachute-vault ${version}

  parachute-vault serve                 run the vault (PORT, PARACHUTE_HOME, PARACHUTE_HUB_ORIGIN)
  parachute-vault create NAME [--json]  make another vault and print its key
  parachute-vault list                  print the names of all vaults
  parachute-vault export NAME FILE [--format markdown|obsidian|json|ndjson]
                                        write all notes and files of a vault
  parachute-vault import NAME FILE [--conflict keep|replace|copy]
                                        read notes from zip, tar, JSON or NDJSON
  parachute-vault tidy [--as-of TIME]   remove now what is past its time
`;

process.umask(0o077);
const home = process.env.PARACHUTE_HOME || join(homedir(), ".parachute");

/** The caller's mistake; the message says what to do. */
class Misuse extends Error {}

async function main(argv: string[]): Promise<number | undefined> {
  const { values, positionals } = parseArgs({
    args: argv,
    options: {
      json: { type: "boolean" },
      help: { type: "boolean", short: "h" },
      format: { type: "string" },
      conflict: { type: "string" },
      "as-of": { type: "string" },
    },
    allowPositionals: true,
  });
  const [command, name, ...more] = positionals;
  if (values.help) return say(USAGE);
  if (command === "serve" && !name) return void serve(home);
  if (command === "list" && !name) return say(new Vaults(home).list().map((vault) => `${vault.name}\n`).join(""));
  if (command === "create" && name && more.length === 0) return create(name, values.json ?? false);
  if (command === "export" && name && more.length === 1) return exportTo(name, more[0]!, values.format ?? "markdown");
  if (command === "import" && name && more.length === 1) return importFrom(name, more[0]!, values.conflict ?? "keep");
  if (command === "tidy" && !name) return tidyAt(values["as-of"]);
  process.stderr.write(USAGE);
  return 2;
}

function create(name: string, json: boolean): number {
  const vaults = new Vaults(home);
  const created = vaults.create(name);
  try {
    registerVaults(home, vaults);
  } catch (error) {
    console.error(`The vault was made, but services.json was left alone: ${(error as Error).message}`);
  }
  return say(json ? `${JSON.stringify(created)}\n` : `Made the vault "${name}". Its key: ${created.token}\n`);
}

async function exportTo(name: string, file: string, format: string): Promise<number> {
  if (!FORMATS.includes(format as Format)) throw new Misuse(`--format must be one of ${FORMATS.join(", ")}.`);
  const wanted = { store: store(name), vault: name, format: format as Format, attachments: true };
  await pipeline(Readable.from(exported(wanted)), createWriteStream(file, { mode: 0o600 }));
  return say(`Wrote ${file}\n`);
}

async function importFrom(name: string, file: string, conflict: string): Promise<number> {
  if (!CONFLICTS.includes(conflict as Conflict)) throw new Misuse(`--conflict must be one of ${CONFLICTS.join(", ")}.`);
  if (!existsSync(file)) throw new Misuse(`There is no file ${file}.`);
  const importer = new Importer(store(name), conflict as Conflict);
  await importFile(file, "auto", importer);
  return say(`${JSON.stringify(importer.report, null, 2)}\n`);
}

function tidyAt(time: string | undefined): number {
  const at = time === undefined ? Date.now() : Date.parse(time);
  if (Number.isNaN(at)) throw new Misuse("--as-of must be a time such as 2026-12-31T00:00:00Z.");
  tidy(new Vaults(home, () => at));
  return 0;
}

function store(name: string): Store {
  const found = new Vaults(home).get(name);
  if (!found) throw new Misuse(`There is no vault "${name}".`);
  return found;
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

try {
  const code = await main(Bun.argv.slice(2));
  if (code !== undefined) process.exitCode = code;
} catch (error) {
  // A mistake of the caller gets a sentence; ours a trace.
  const { code = "", message } = error as Error & { code?: string };
  const told = [BadVaultName, BadArchive, DiskFull, Misuse].some((kind) => error instanceof kind);
  if (!told && !code.startsWith("ERR_PARSE_ARGS")) throw error;
  console.error(`parachute-vault: ${message}`);
  process.exitCode = 2;
}
