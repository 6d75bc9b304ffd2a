#!/usr/bin/env bun
// The command `parachute-vault`.

import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../package.json";
import { registerVaults, serve } from "./serve.ts";
import { BadVaultName, Vaults } from "./vaults.ts";

const USAGE = `parachute-vault ${version}

  parachute-vault serve                 run the vault (PORT, PARACHUTE_HOME, PARACHUTE_HUB_ORIGIN)
  parachute-vault create NAME [--json]  make another vault and print its key
  parachute-vault list                  print the names of all vaults
`;

process.umask(0o077);
const home = process.env.PARACHUTE_HOME || join(homedir(), ".parachute");

function main(argv: string[]): number | undefined {
  const { values, positionals } = parseArgs({
    args: argv,
    options: { json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    allowPositionals: true,
  });
  const [command, name, ...more] = positionals;
  if (values.help) return say(USAGE);
  if (command === "serve" && !name) return void serve(home);
  if (command === "list" && !name) return say(new Vaults(home).list().map((vault) => `${vault.name}\n`).join(""));
  if (command === "create" && name && more.length === 0) return create(name, values.json ?? false);
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

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

try {
  const code = main(Bun.argv.slice(2));
  if (code !== undefined) process.exitCode = code;
} catch (error) {
  // A mistake of the caller gets a sentence; ours a trace.
  const { code = "", message } = error as Error & { code?: string };
  if (!(error instanceof BadVaultName) && !code.startsWith("ERR_PARSE_ARGS")) throw error;
  console.error(`parachute-vault: ${message}`);
  process.exitCode = 2;
}
