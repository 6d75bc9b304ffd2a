// Prints how fast a vault with many notes is: bun test/bench.ts [notes]. Figures for people, not a test.

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { noteQuery } from "../src/rest/input.ts"
import { Store } from "../src/store/store.ts"

const COUNT = Number(Bun.argv[2] ?? 10_000)
const REPEATS = 40
const folder = mkdtempSync(join(tmpdir(), "vault-bench-"))
const store = new Store(join(folder, "vault.db"))

/** Words by Zipf's law, as in a language: the first ones are in nearly every note. */
let seed = 1
const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
const SYLLABLES = [..."bdfghklmnprstvw"].flatMap((start) => [..."aeiou"].map((end) => start + end))
const VOCABULARY = Array.from({ length: 20_000 }, () =>
  Array.from({ length: 1 + Math.floor(random() * 4) }, () => SYLLABLES[Math.floor(random() * SYLLABLES.length)]).join(
    "",
  ),
)
const word = () => VOCABULARY[Math.floor(Math.exp(random() * Math.log(VOCABULARY.length))) - 1]!
const sentence = (length: number) => Array.from({ length }, word).join(" ")

const started = performance.now()
for (let done = 0; done < COUNT; ) {
  store.core.write(() => {
    for (let batch = 0; batch < 500 && done < COUNT; batch++, done++) {
      const links = `[[note ${Math.floor(random() * COUNT)}]] #tag${done % 50}`
      const content = `# Note ${done}\n\n${sentence(60)}\n${links}\n${sentence(60)}\n`
      store.notes.create({
        content,
        path: done % 3 ? `folder${done % 20}/note ${done}` : null,
        tags: [`t${done % 30}`],
      })
    }
  })
}
console.log(`${COUNT} notes written in ${Math.round(performance.now() - started)} ms`)

function measure(name: string, run: () => unknown): void {
  const times = Array.from({ length: REPEATS }, () => {
    const start = performance.now()
    run()
    return performance.now() - start
  }).sort((a, b) => a - b)
  const at = (share: number) => times[Math.floor(share * (times.length - 1))]!.toFixed(2).padStart(7)
  console.log(`${name.padEnd(44)} median ${at(0.5)} ms   slowest ${at(1)} ms`)
}

const list = (fields: object) => () => store.search.list(noteQuery({ preview: true, limit: 50, ...fields }))
measure("list, newest first", list({}))
measure("list, pinned first", list({ pinned_first: true }))
measure("list by title", list({ sort: "title" }))
measure("list, last page", list({ offset: COUNT - 50 }))
const [first, second, third] = VOCABULARY as [string, string, string]
measure("search a rare word", list({ search: VOCABULARY[19_000] }))
measure("search a word of nearly every note", list({ search: first }))
measure("search one letter", list({ search: first[0] }))
measure("search two letters", list({ search: first.slice(0, 2) }))
measure("search three words", list({ search: `${first} ${second} ${third}` }))
measure("search three words, rather rare", list({ search: VOCABULARY.slice(300, 303).join(" ") }))
measure("search by relevance, frequent word", list({ search: first, sort: "relevance" }))
measure("search by relevance, one letter", list({ search: first[0], sort: "relevance" }))
measure("search #tag", list({ search: "#tag7" }))
measure("notes with a tag", list({ tag: "t7" }))
measure("count of a frequent word", () => store.search.count(noteQuery({ search: first })))
measure("all tags", () => store.search.tags())
measure("complete a link", () => store.links.complete("note 77", 20))
measure("resolve a link", () => store.links.resolve("note 5001"))
const target = store.notes.find("folder1/note 1")!
measure("backlinks", () => store.links.backlinks(target.id))
measure("changes since 0, one page with text", () => store.changes.after(0, { limit: 500, content: true }))
let version = 0
measure("change a note", () => store.notes.update(target.id, { content: `# Other\n\n${sentence(120)} ${version++}` }))
let name = 0
measure("rename a note", () => store.notes.update(target.id, { path: `renamed ${name++}` }))
store.close()
rmSync(folder, { recursive: true })
