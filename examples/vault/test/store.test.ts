import { describe, expect, test } from "bun:test"
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { IdTaken, InTrash, NoteChanged, PathTaken } from "../src/store/model.ts"
import { spool, TooLarge, WrongOffset } from "../src/store/uploads.ts"
import { DAY, newFolder, openVault, query, write } from "./vault.ts"

const MINUTE = 60_000
const bytes = async function* (...parts: string[]) {
  for (const part of parts) yield Buffer.from(part)
}

describe("creating", () => {
  test("with an own id happens once, whatever happened to the note since", () => {
    const { store } = openVault()
    const note = { id: "my-own-id", content: "first", path: null, tags: ["t"] }
    expect(store.notes.create(note).created).toBe(true)
    store.notes.update("my-own-id", { content: "changed" })
    const again = store.notes.create(note)
    expect([again.created, again.note.content]).toEqual([false, "changed"])
    expect(() => store.notes.create({ ...note, content: "other" })).toThrow(IdTaken)
    store.trash.remove("my-own-id")
    expect(() => store.notes.create(note)).toThrow(InTrash)
    expect(store.stats().totalNotes).toBe(0)
  })

  test("with an Idempotency-Key happens once", () => {
    const { store } = openVault()
    const note = { content: "x", path: "p", tags: [] }
    const first = store.notes.create(note, "key 1")
    expect(store.notes.create(note, "key 1")).toEqual({ note: first.note, created: false })
    expect(() => store.notes.create(note, "key 2")).toThrow(PathTaken)
  })
})

describe("changing", () => {
  test("an older version is refused with the present note, unless nothing would change", () => {
    const { store } = openVault()
    const id = write(store, "one")
    const before = store.notes.find(id)!
    const after = store.notes.update(id, { content: "two", ifUpdatedAt: before.updatedAt })!.note
    expect(after.updatedAt > before.updatedAt).toBe(true)
    expect(() => store.notes.update(id, { content: "three", ifUpdatedAt: before.updatedAt })).toThrow(NoteChanged)
    const repeated = store.notes.update(id, { content: "two", ifUpdatedAt: before.updatedAt })!.note
    expect(repeated).toEqual(after)
    expect(store.versions.list(id, 10, 0)).toHaveLength(1)
  })

  test("tags of the text come and go with it, set tags stay", () => {
    const { store } = openVault()
    const id = write(store, "about #garden", { tags: ["fixed"] })
    expect(store.notes.find(id)).toMatchObject({ tags: ["fixed", "garden"], textTags: ["garden"] })
    store.notes.update(id, { tags: ["fixed", "garden"], content: "about #garden and #soil" })
    store.notes.update(id, { content: "nothing" })
    expect(store.notes.find(id)!.tags).toEqual(["fixed"])
    store.notes.update(id, { content: "#fixed", tags: { add: ["more"], remove: ["fixed"] } })
    expect(store.notes.find(id)!.tags).toEqual(["fixed", "more"])
    expect(store.search.list(query({ search: "#more" }))).toHaveLength(1)
    store.notes.update(id, { content: "" })
    expect(store.notes.find(id)!.tags).toEqual(["more"])
    expect(store.search.list(query({ search: "#fixed" }))).toEqual([])
  })
})

describe("versions", () => {
  test("autosaves of one editor are one version, every other writer's text is kept", () => {
    const { store, advance } = openVault()
    const id = write(store, "0", { editor: "a" })
    const texts = () => store.versions.list(id, 99, 0).map(({ version }) => store.versions.find(id, version)!.content)
    for (const content of ["01", "012", "0123"]) {
      advance(MINUTE)
      store.notes.update(id, { content, editor: "a" })
    }
    expect(texts()).toEqual([])
    store.notes.update(id, { content: "by another", editor: "b" })
    store.notes.update(id, { content: "by another again", editor: "a" })
    expect(texts()).toEqual(["by another", "0123"])
    advance(6 * MINUTE)
    store.notes.update(id, { content: "by another again and on", editor: "a" })
    expect(texts()[0]).toBe("by another again")
    store.notes.update(id, { content: "by", editor: "a" })
    expect(texts()[0]).toBe("by another again and on")
    store.notes.update(id, { content: "without an editor" })
    expect(texts()[0]).toBe("by")
  })

  test("are restored, and the text before that is a version too", () => {
    const { store } = openVault()
    const id = write(store, "old", { tags: ["t"], metadata: { k: 1 }, path: "p" })
    store.notes.update(id, { content: "new", tags: [], metadata: { k: null, l: 2 }, path: "q" })
    const [version] = store.versions.list(id, 10, 0)
    const restored = store.restoreVersion(id, version!.version)!
    expect(restored).toMatchObject({ content: "old", tags: ["t"], metadata: { k: 1 }, path: "q" })
    const newest = store.versions.find(id, store.versions.list(id, 1, 0)[0]!.version)!
    expect(newest).toMatchObject({ content: "new", tags: [], metadata: { l: 2 } })
    expect(store.restoreVersion(id, 999)).toBeUndefined()
  })

  test("go after 30 days, above 200 for a note, and above 64 MB for a vault", () => {
    const { store, advance } = openVault()
    const id = write(store, "0")
    for (let count = 1; count <= 210; count++) store.notes.update(id, { content: `${count}` })
    expect(store.versions.list(id, 500, 0)).toHaveLength(200)
    advance(29 * DAY)
    store.tidy()
    expect(store.versions.list(id, 500, 0)).toHaveLength(200)
    advance(2 * DAY)
    store.tidy()
    expect(store.versions.list(id, 500, 0)).toEqual([])
    const large = "x".repeat(7 * 1024 * 1024)
    for (let count = 0; count < 12; count++) store.notes.update(id, { content: `${large}${count}` })
    store.tidy()
    const kept = store.versions.list(id, 500, 0)
    expect(kept).toHaveLength(9)
    expect(store.versions.find(id, kept[0]!.version)!.content.endsWith("x10")).toBe(true)
  })
})

describe("trash", () => {
  test("a restored note is as it was", () => {
    const { store } = openVault()
    const id = write(store, "text #t", { path: "p", tags: ["s"], metadata: { k: [1] }, pinned: true })
    store.notes.update(id, { content: "text #t!" })
    const before = store.notes.find(id)!
    expect(store.trash.remove("p")).toBe(id)
    expect(store.notes.find(id)).toBeUndefined()
    expect(store.search.list(query({ search: "text" }))).toEqual([])
    expect(() => store.notes.findOrTrashed(id)).toThrow(InTrash)
    expect(() => store.trash.remove(id)).toThrow(InTrash)
    expect(store.trash.list(10, 0, "TEXT")[0]).toMatchObject({ id, content: "text #t!" })
    write(store, "took the path", { path: "p" })
    expect(store.trash.restore(id)).toEqual({ ...before, path: "p (restored)" })
    expect(store.trash.restore(id)!.id).toBe(id)
    expect(store.versions.list(id, 10, 0)).toHaveLength(1)
    expect(store.trash.restore("nothing")).toBeUndefined()
  })

  test("purging one note makes room that others see", () => {
    const { store, folder } = openVault()
    const id = write(store, "x".repeat(100_000))
    store.trash.remove(id)
    const log = () => statSync(join(folder, "vault.db-wal")).size
    expect(log()).toBeGreaterThan(0)
    expect([store.trash.purge(id), store.trash.purge(id), log()]).toEqual([true, false, 0])
  })

  test("is emptied after 30 days with versions and files, and devices hear of it", async () => {
    const { store, folder, advance } = openVault()
    const id = write(store, "old")
    store.notes.update(id, { content: "new" })
    const shared = write(store, "see ![x](attachments/file-shared)")
    for (const each of ["file-lonely", "file-shared"]) {
      const temporary = store.uploads.temporary()
      await spool(temporary, bytes(each), 100)
      store.attachments.add({ id: each, name: each, type: "text/plain", note: id }, temporary, each.length, `aa${each}`)
    }
    store.trash.remove(id)
    advance(30 * DAY - 1000)
    expect(store.tidy().notes).toBe(0)
    advance(2000)
    expect(store.tidy().notes).toBe(1)
    expect(store.trash.list(10, 0)).toEqual([])
    expect(store.versions.list(id, 10, 0)).toEqual([])
    expect(store.attachments.list({}, 10, 0).map((file) => file.id)).toEqual(["file-shared"])
    const old = new Date(Date.now() - 2 * 3_600_000)
    for (const name of readdirSync(join(folder, "files", "aa"))) utimesSync(join(folder, "files", "aa", name), old, old)
    store.tidy()
    expect(readdirSync(join(folder, "files", "aa"))).toEqual(["aafile-shared"])
    expect(store.changes.after(0, { limit: 10, content: false }).changes.map(({ kind }) => kind)).toEqual([
      "saved",
      "purged",
    ])
    expect(store.notes.find(shared)).toBeDefined()
  })
})

describe("the change feed", () => {
  const after = (store: ReturnType<typeof openVault>["store"], since: number) =>
    store.changes.after(since, { limit: 500, content: true })

  test("tells the latest change of each note once", () => {
    const { store } = openVault()
    const [a, b] = [write(store, "a"), write(store, "b")]
    const start = store.changes.latest()
    store.notes.update(a, { content: "a2" })
    store.notes.update(a, { content: "a3" })
    store.trash.remove(b)
    const { changes, next, more } = after(store, start)
    expect(changes.map(({ id, kind, note }) => [id, kind, note?.content])).toEqual([
      [a, "saved", "a3"],
      [b, "deleted", undefined],
    ])
    expect([next, more]).toEqual([store.changes.latest(), false])
    expect(after(store, next).changes).toEqual([])
  })

  test("is read in pages, and none is left out", () => {
    const { store } = openVault()
    const ids = Array.from({ length: 25 }, (_, number) => write(store, `${number}`))
    const seen: string[] = []
    for (let since = 0, more = true; more; ) {
      const page = store.changes.after(since, { limit: 10, content: false })
      seen.push(...page.changes.map(({ id }) => id))
      ;({ next: since, more } = page)
    }
    expect(seen).toEqual(ids)
  })

  test("asks for a fresh start after 90 days of sleep, not after three", () => {
    const { store, advance } = openVault()
    const id = write(store, "x")
    const asleep = store.changes.latest()
    store.trash.remove(id)
    advance(3 * DAY)
    store.tidy()
    expect(after(store, asleep).changes.map(({ kind }) => kind)).toEqual(["deleted"])
    advance(30 * DAY)
    store.tidy()
    expect(after(store, asleep).changes.map(({ kind }) => kind)).toEqual(["purged"])
    advance(91 * DAY)
    store.tidy()
    expect(after(store, asleep).reset).toBe(true)
    expect(after(store, 0).reset).toBeUndefined()
    expect(after(store, store.changes.latest()).reset).toBeUndefined()
    expect(after(store, store.changes.latest() + 1).reset).toBe(true)
  })

  describe("knows a reader of other data by the epoch", () => {
    /** A vault with 2 changes that both know, and the copy of it that is restored after 3 more. */
    function restored(more: number): { reader: { next: number; epoch: string }; store: Store } {
      const { store } = openVault()
      write(store, "one")
      write(store, "two")
      const copy = newFolder()
      store.core.run("VACUUM INTO ?", join(copy, "vault.db"))
      for (const content of ["three", "four", "five"]) write(store, content)
      const reader = after(store, 0)
      const { store: older } = openVault(copy)
      for (let count = 0; count < more; count++) write(older, `other ${count}`)
      return { reader, store: older }
    }

    test.each([0, 1, 3, 10])("an older copy with %i changes since", (more) => {
      const { reader, store } = restored(more)
      const page = store.changes.after(reader.next, { limit: 10, content: false, epoch: reader.epoch })
      expect([page.reset, page.reason, page.changes]).toEqual([true, "replaced", []])
      const early = store.changes.after(2, { limit: 10, content: false, epoch: reader.epoch })
      expect([early.reset, early.changes.length]).toEqual([undefined, more])
      expect(after(store, 0).changes).toHaveLength(2 + more)
    })

    test("another vault of the same name, and an emptied one", () => {
      const { reader } = restored(0)
      const { store } = openVault()
      const ask = () => store.changes.after(reader.next, { limit: 10, content: false, epoch: reader.epoch }).reason
      expect(ask()).toBe("replaced")
      for (let count = 0; count < 9; count++) write(store, "x")
      expect(ask()).toBe("replaced")
    })

    test("and goes on after restarts and beside other processes", () => {
      const { store, folder } = openVault()
      write(store, "one")
      const first = after(store, 0)
      const { store: other } = openVault(folder)
      write(other, "by another process")
      write(store, "and this one")
      const follow = ({ next, epoch }: typeof first) => store.changes.after(next, { limit: 1, content: false, epoch })
      const second = follow(first)
      const third = follow(second)
      expect([second, third].map(({ changes, more }) => [changes.length, more])).toEqual([
        [1, true],
        [1, false],
      ])
      const { store: again } = openVault(folder)
      const last = again.changes.after(third.next, { limit: 9, content: false, epoch: third.epoch })
      expect([last.reset, last.changes]).toEqual([undefined, []])
    })
  })
})

describe("uploads", () => {
  test("go on where they stopped, and end as an attachment", async () => {
    const { store } = openVault()
    store.uploads.start({ id: "upload-1", name: "a.txt", type: "text/plain", size: 10 })
    const broken = async function* () {
      yield Buffer.from("0123")
      throw new Error("connection lost")
    }
    await expect(store.uploads.append("upload-1", 0, broken(), 100)).rejects.toThrow("connection lost")
    expect(store.uploads.find("upload-1")!.offset).toBe(4)
    await expect(store.uploads.append("upload-1", 0, bytes("x"), 100)).rejects.toThrow(WrongOffset)
    await expect(store.uploads.append("upload-1", 4, bytes("4567890"), 100)).rejects.toThrow(TooLarge)
    const done = await store.uploads.append("upload-1", 4, bytes("456", "789"), 100)
    expect(done!.attachment).toMatchObject({ id: "upload-1", size: 10, name: "a.txt" })
    expect(await Bun.file(store.attachments.path(done!.attachment!)).text()).toBe("0123456789")
    expect(store.uploads.find("upload-1")).toBeUndefined()
  })

  test("are forgotten after 7 days", () => {
    const { store, folder, advance } = openVault()
    store.uploads.start({ id: "upload-1", name: "a", type: "text/plain", size: 10 })
    writeFileSync(join(folder, "uploads", "upload-1"), "123")
    advance(6 * DAY)
    expect(store.tidy().uploads).toBe(0)
    advance(2 * DAY)
    expect(store.tidy().uploads).toBe(1)
    expect(existsSync(join(folder, "uploads", "upload-1"))).toBe(false)
  })

  test("equal files are stored once, and the last attachment takes the file along", async () => {
    const { store } = openVault()
    for (const id of ["one-file", "two-file"]) {
      const temporary = store.uploads.temporary()
      await spool(temporary, bytes("same"), 10)
      store.attachments.add({ id, name: "n", type: "text/plain" }, temporary, 4, "ab12")
      expect(existsSync(temporary)).toBe(false)
    }
    const path = store.attachments.path(store.attachments.find("one-file")!)
    expect(statSync(path).mode & 0o077).toBe(0)
    store.attachments.remove("one-file")
    expect(existsSync(path)).toBe(true)
    store.attachments.remove("two-file")
    expect(existsSync(path)).toBe(false)
  })
})

test("lists are filtered, sorted and previewed", () => {
  const { store, advance } = openVault()
  const add = (content: string, more = {}) => (advance(1000), write(store, content, more))
  const a = add("# Alpha\nwords #x", { pinned: true, tags: ["y"] })
  const b = add("beta words", { path: "Zoo", tags: ["x"] })
  const c = add(`${"long ".repeat(200)}needle in the middle ${"long ".repeat(200)}`, { path: "m/c" })
  const ids = (fields: Record<string, unknown>) => store.search.list(query(fields)).map(({ id }) => id)
  expect(ids({})).toEqual([c, b, a])
  expect(ids({ order: "asc" })).toEqual([a, b, c])
  expect(ids({ pinned_first: "true" })).toEqual([a, c, b])
  expect(ids({ pinned: false })).toEqual([c, b])
  expect(ids({ sort: "title" })).toEqual([a, c, b])
  expect(ids({ sort: "created", limit: 1, offset: 1 })).toEqual([b])
  expect(ids({ tag: ["x", "y"], all_tags: true })).toEqual([a])
  expect(ids({ search: "#x words" })).toEqual([b, a])
  expect(ids({ search: "x", sort: "relevance" }).sort()).toEqual([a, b].sort())
  expect(store.search.count(query({ search: "words" }))).toBe(2)
  const [hit] = store.search.list(query({ search: "needle", preview: true }))
  expect(hit).toMatchObject({ title: "m/c" })
  expect(hit!.preview).toContain("needle in the middle")
  expect(hit!.content).toBeUndefined()
})
