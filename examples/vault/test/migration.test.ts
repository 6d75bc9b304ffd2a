import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import written from "./fixtures/vault-0.9.0.json"
import { newFolder, openVault, query } from "./vault.ts"

/** A database that version 0.9.0 wrote; `written` is what it answered then. */
function oldVault(): string {
  const folder = newFolder()
  const packed = readFileSync(join(import.meta.dir, "fixtures", "vault-0.9.0.db.gz"))
  writeFileSync(join(folder, "vault.db"), gunzipSync(packed))
  return folder
}

test("a vault of version 0.9.0 opens and loses nothing", () => {
  const { store } = openVault(oldVault())
  expect(store.keys.has(written.key)).toBe(true)
  const found = store.search.list(query({ limit: 500, include_content: true }))
  expect(found).toHaveLength(written.notes.length)
  for (const old of written.notes as Array<Record<string, unknown> & { id: string; tags: string[] }>) {
    const { tags, textTags: _textTags, ...note } = store.notes.find(old.id)!
    const { tags: oldTags, ...same } = old
    expect(note as object).toEqual(same)
    expect(tags).toEqual(expect.arrayContaining(oldTags))
  }
})

test("what is new works on the notes of version 0.9.0", () => {
  const { store } = openVault(oldVault())
  const garden = store.notes.find("Projects/Garden")!
  const ids = (fields: object) => store.search.list(query({ ...fields })).map(({ id }) => id)
  expect(garden.tags).toEqual(["garden", "tomatoes"])
  expect(garden.textTags).toEqual(["tomatoes"])
  expect(ids({ search: "#tomatoes" })).toEqual([garden.id])
  expect(ids({ search: "NEEDLE" })).toHaveLength(1)
  expect(ids({ search: "grosse" })).toEqual([])
  expect(ids({ search: "größe" })).toHaveLength(1)
  expect(store.links.backlinks(garden.id).map(({ title }) => title)).toEqual(["First line without a path"])
  expect(store.links.from(garden.content)[0]!.title).toBe("Tools/Spade")
  const feed = store.changes.after(0, { limit: 500, content: true })
  expect(feed.changes.map(({ id }) => id).sort()).toEqual(written.notes.map(({ id }) => id).sort())
  store.notes.update(garden.id, { content: "new" })
  expect(store.versions.list(garden.id, 10, 0)).toHaveLength(1)
  expect(store.core.get("PRAGMA integrity_check")).toEqual({ integrity_check: "ok" })
  store.core.run("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
})

test("a migration that fails leaves the old vault as it was", () => {
  const folder = oldVault()
  const old = new Database(join(folder, "vault.db"))
  old.run("CREATE TABLE trash (x)")
  old.close()
  expect(() => openVault(folder)).toThrow("already exists")
  const after = new Database(join(folder, "vault.db"))
  expect(after.query("PRAGMA user_version").get()).toEqual({ user_version: 1 })
  expect(after.query("SELECT count(*) AS count FROM notes").get()).toEqual({ count: written.notes.length })
  after.close()
})

test("a vault of a newer version is refused with words", () => {
  const folder = newFolder()
  openVault(folder).store.core.run("PRAGMA user_version = 99")
  expect(() => openVault(folder)).toThrow("newer vault")
})
