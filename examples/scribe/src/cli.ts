#!/usr/bin/env bun
// The command `parachute-scribe`.

import { homedir } from "node:os"
import { join } from "node:path"
import { version } from "../package.json"
import { serve } from "./serve.ts"

process.umask(0o077)
const command = Bun.argv.slice(2)
if (command.length === 1 && command[0] === "serve") {
  serve(process.env.PARACHUTE_HOME || join(homedir(), ".parachute"))
} else {
  console.error(
    `parachute-scribe ${version}\n\n  parachute-scribe serve   turn speech into text (PORT, PARACHUTE_HOME)`,
  )
  process.exitCode = 2
}
