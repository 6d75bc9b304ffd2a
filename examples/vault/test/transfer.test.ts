import { describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Store } from "../src/store/store.ts"
import { spool } from "../src/store/uploads.ts"
import { BadArchive } from "../src/transfer/archive.ts"
import { exported, FORMATS, type Format, fileName } from "../src/transfer/export.ts"
import { fromFile, toFile } from "../src/transfer/frontmatter.ts"
import { type Conflict, Importer } from "../src/transfer/importer.ts"
import { objects } from "../src/transfer/json.ts"
import { importFile } from "../src/transfer/sources.ts"
import { ZipWriter } from "../src/transfer/zip.ts"
import { newFolder, openVault, query, randomOf, write } from "./vault.ts"

const TEXTS = [
  "",
  "\n",
  "plain",
  "---\nparachute: 1\n---\nnot front matter",
  "---\n---\n",
  "\uFEFFwith a mark",
  "a\r\nb\rc\n\n\n",
  "\u0000nul",
  "tab\tend ",
  "𝒳 é e\u0301 ☕",
  "---",
  "---\n",
  "- - -\n---\nx: 1\n---",
  "`",
  "x".repeat(100_000),
  "\u2028\u2029",
] // prettier-ignore

async function exportTo(store: Store, format: Format): Promise<string> {
  const path = join(newFolder(), "export")
  const chunks: Uint8Array[] = []
  for await (const chunk of exported({ store, vault: "default", format, attachments: true })) chunks.push(chunk)
  writeFileSync(path, Buffer.concat(chunks))
  return path
}

async function importInto(store: Store, path: string, conflict: Conflict = "keep") {
  const importer = new Importer(store, conflict)
  await importFile(path, "auto", importer)
  return importer.report
}

async function attach(store: Store, id: string, content: Uint8Array, note: string): Promise<void> {
  const temporary = store.uploads.temporary()
  await spool(
    temporary,
    (async function* () {
      yield content
    })(),
    content.length,
  ) // prettier-ignore
  const sha256 = new Bun.CryptoHasher("sha256").update(content).digest("hex")
  store.attachments.add({ id, name: "Ä picture.png", type: "image/png", note }, temporary, content.length, sha256)
}

function filled(): Store {
  const { store, advance } = openVault()
  TEXTS.forEach((content, number) => {
    advance(1000)
    const path = number % 2 ? null : `folder/${number}: ${"<>?*"[number % 4]} ünïcode`
    write(store, content, {
      path,
      tags: ["t", "ü"],
      metadata: { number, "odd key": [null, { x: "y" }] },
      pinned: number === 3,
    })
  })
  return store
}

const all = (store: Store) => store.search.list(query({ include_content: true, limit: 500, sort: "created" }))

describe("a vault that is exported and imported", () => {
  test.each([...FORMATS])("as %s is the same, byte for byte", async (format) => {
    const store = filled()
    const bytes = crypto.getRandomValues(new Uint8Array(50_000))
    await attach(store, "picture-1", bytes, all(store)[0]!.id)
    const path = await exportTo(store, format)
    const { store: copy } = openVault()
    const report = await importInto(copy, path)
    expect(report).toMatchObject({ created: TEXTS.length, problems: [], attachments: format === "json" ? 0 : 1 })
    expect(all(copy)).toEqual(all(store))
    if (format !== "json") {
      const { createdAt: _createdAt, ...file } = copy.attachments.find("picture-1")!
      expect(file).toMatchObject({ name: "Ä picture.png", type: "image/png", note: all(store)[0]!.id })
      expect(await Bun.file(copy.attachments.path(copy.attachments.find("picture-1")!)).bytes()).toEqual(bytes)
    }
    const again = await importInto(copy, path)
    expect(again).toMatchObject({ created: 0, unchanged: TEXTS.length, skipped: 0, attachments: 0 })
  })

  test("keeps, replaces or doubles notes that differ", async () => {
    const store = filled()
    const path = await exportTo(store, "ndjson")
    const [first] = all(store)
    const change = () => void store.notes.update(first!.id, { content: "changed here" })
    change()
    expect(await importInto(store, path)).toMatchObject({ skipped: 1, unchanged: TEXTS.length - 1 })
    expect(await importInto(store, path, "copy")).toMatchObject({ created: 1 })
    expect(await importInto(store, path, "copy")).toMatchObject({ created: 0, skipped: 0 })
    expect(store.stats().totalNotes).toBe(TEXTS.length + 1)
    expect(await importInto(store, path, "replace")).toMatchObject({ replaced: 1 })
    expect(store.notes.find(first!.id)!.content).toBe(first!.content!)
    expect(store.versions.list(first!.id, 10, 0)).toHaveLength(2)
  })

  test("brings back what is in the trash", async () => {
    const store = filled()
    const path = await exportTo(store, "markdown")
    const before = all(store)
    for (const { id } of before) store.trash.remove(id)
    expect(await importInto(store, path)).toMatchObject({ created: TEXTS.length, problems: [] })
    expect(all(store)).toEqual(before)
    expect(store.trash.list(10, 0)).toEqual([])
  })
})

describe("front matter of others", () => {
  const table: Array<[name: string, text: string, expected: object]> = [
    ["none", "# x", { content: "# x" }],
    [
      "tags and values",
      "---\ntags: [a, '#b', c d]\nmood: green\n---\ntext\n",
      { content: "text\n", tags: ["a", "b", "c-d"], metadata: { mood: "green" } },
    ],
    ["a list of tags", "---\r\ntags:\r\n  - a\r\n  - b\r\n---\r\ntext", { content: "text", tags: ["a", "b"] }],
    [
      "words",
      "---\ntags: a, b\ncreated: 2024-05-06T07:08:09Z\n---\n",
      { content: "", tags: ["a", "b"], createdAt: "2024-05-06T07:08:09.000Z" },
    ],
    ["empty", "---\n---\ntext", { content: "text" }],
    ["a comment stays", "---\n# why\na: 1\n---\ntext", { content: "---\n# why\na: 1\n---\ntext" }],
    ["broken YAML stays", "---\na: [1\n---\ntext", { content: "---\na: [1\n---\ntext" }],
    ["a rule is none", "---\njust a line\n---\ntext", { content: "---\njust a line\n---\ntext" }],
    ["not closed", "---\na: 1\ntext", { content: "---\na: 1\ntext" }],
  ]
  test.each(table)("%s", (_name, text, expected) => expect(fromFile(text)).toMatchObject(expected))

  test("ours is read back exactly, also between Obsidian's fields", () => {
    for (const spread of [false, true]) {
      for (const content of TEXTS) {
        const note = {
          id: "2026-11-29-08-00-00-000000",
          path: null,
          content,
          tags: ["a"],
          pinned: false,
          createdAt: "2026-11-29T08:00:00.000Z",
          updatedAt: "2026-11-29T08:00:00.000Z",
          metadata: { mood: "x\n---\ny", tags: 1, "a b": 2, big: "y".repeat(100_000) },
        } // prettier-ignore
        expect(fromFile(toFile(note, spread))).toEqual(note)
      }
    }
  })
})

describe("JSON", () => {
  const read = async (text: string, size: number) => {
    const bytes = Buffer.from(text)
    const source = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    })()
    const found: string[] = []
    for await (const each of objects(source, 10_000)) found.push(each)
    return found.map((each) => JSON.parse(each))
  }

  test("is read object by object, however it is cut", async () => {
    const random = randomOf(3)
    const notes = Array.from({ length: 20 }, (_, number) => ({
      number,
      text: `${'"}]{[\\"'.repeat(Math.floor(random() * 5))}é𝒳`,
      nested: [{ deep: ["[", { x: {} }] }, []],
    })) // prettier-ignore
    for (const text of [JSON.stringify(notes), JSON.stringify({ meta: "[x]", notes, after: 1 }, null, 2)]) {
      for (const size of [1, 2, 3, 7, 64, 100_000]) expect(await read(text, size)).toEqual(notes)
    }
    expect(await read("[]", 1)).toEqual([])
  })

  test.each(["", "{}", "[", '[{"a": 1}', '{"notes": [{"a"'])("that is incomplete is refused: %j", async (text) => {
    expect(read(text, 3)).rejects.toThrow(BadArchive)
  })
})

test("names in archives can be unpacked anywhere", () => {
  const table = [
    ["a/b", "a/b"],
    ["../../etc/passwd", "etc/passwd"],
    ["/abs", "abs"],
    ["a\\b:c", "a-b-c"],
    [".hidden", "hidden"],
    ["trailing. /x", "trailing/x"],
    ["", "note"],
    ["...", "note"],
  ] // prettier-ignore
  for (const [path, name] of table) expect(fileName(path!)).toBe(name!)
  expect(Buffer.byteLength(fileName("é".repeat(500)))).toBeLessThanOrEqual(150)
})

test("a damaged archive imports what can be read, and names the rest", async () => {
  const writer = new ZipWriter()
  const good = [...writer.file("vault/good.md", Buffer.from("good"), new Date())]
  const bad = [...writer.file("vault/bad.md", Buffer.from("bad bad bad"), new Date())]
  bad[1] = Buffer.from("bad BAD bad")
  const path = join(newFolder(), "x.zip")
  writeFileSync(path, Buffer.concat([...good, ...bad, ...writer.end()]))
  const { store } = openVault()
  const report = await importInto(store, path)
  expect(report).toMatchObject({
    created: 1,
    problems: [{ name: "bad.md", message: expect.stringContaining("damaged") }],
  })
  expect(store.notes.find("good")!.content).toBe("good")
  for (const length of [10, 40, 60, 120]) {
    writeFileSync(path, Buffer.concat([...good, ...bad, ...writer.end()]).subarray(0, length))
    expect(importInto(store, path)).rejects.toThrow(BadArchive)
  }
})
