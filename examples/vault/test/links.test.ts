import { expect, test } from "bun:test"
import { openVault, write } from "./vault.ts"

test("a name means a path, then the last part of a path, then a first line", () => {
  const { store } = openVault()
  const titled = write(store, "# Garden\ntext")
  expect(store.links.resolve("garden")!.id).toBe(titled)
  const deep = write(store, "", { path: "a/b/Garden" })
  expect(store.links.resolve("garden")!.id).toBe(deep)
  const shallow = write(store, "", { path: "a/Garden" })
  expect(store.links.resolve("GARDEN.md")!.id).toBe(shallow)
  const exact = write(store, "", { path: "garden" })
  expect(store.links.resolve("Garden")!.id).toBe(exact)
  expect(store.links.resolve("a/b/garden")!.id).toBe(deep)
  expect(store.links.resolve("nothing")).toBeUndefined()
  expect(store.links.complete("gar", 10).find(({ id }) => id === deep)!.insert).toBe("a/b/Garden")
  expect(store.links.complete("gar", 10).find(({ id }) => id === titled)).toBeUndefined()
})

test("backlinks show the lines", () => {
  const { store } = openVault()
  const target = write(store, "[[target]] itself", { path: "x/target" })
  const source = write(store, "# Source\nsee [[Target|it]]\nand ![[x/target]]\n`[[target]]`")
  write(store, "[[other]]")
  expect(store.links.backlinks(target)).toMatchObject([
    { id: source, title: "Source", lines: ["see [[Target|it]]", "and ![[x/target]]"] },
  ])
})

test("a new path moves the links, as short as they were, and each note keeps a version", () => {
  const { store } = openVault()
  const target = write(store, "", { path: "Projects/Garden" })
  const source = write(store, "[[Garden]] [[projects/garden#Soil|shown]] ![[Garden]] [[Gardener]] `[[Garden]]`")
  const before = store.changes.latest()
  const { relinked } = store.notes.update(target, { path: "Projects/Yard" })!
  expect(relinked).toBe(1)
  expect(store.notes.find(source)!.content).toBe(
    "[[Yard]] [[Projects/Yard#Soil|shown]] ![[Yard]] [[Gardener]] `[[Garden]]`",
  )
  expect(store.versions.list(source, 10, 0)).toHaveLength(1)
  expect(store.changes.after(before, { limit: 10, content: false }).changes.map(({ id }) => id)).toEqual([
    target,
    source,
  ])
  expect(store.links.backlinks(target).map(({ id }) => id)).toEqual([source])
})

test("moving a note to another folder leaves links alone that still lead to it", () => {
  const { store } = openVault()
  const target = write(store, "", { path: "a/Garden" })
  const source = write(store, "[[Garden]]")
  const { updatedAt } = store.notes.find(source)!
  store.notes.update(target, { path: "b/Garden" })
  expect(store.notes.find(source)).toMatchObject({ content: "[[Garden]]", updatedAt })
})

test("links become long where a short name means another note", () => {
  const { store } = openVault()
  write(store, "", { path: "Yard" })
  const target = write(store, "", { path: "a/Garden" })
  const source = write(store, "[[Garden]]")
  store.notes.update(target, { path: "a/Yard" })
  expect(store.notes.find(source)!.content).toBe("[[a/Yard]]")
})

test("a first line becomes a path, and a path a first line", () => {
  const { store } = openVault()
  const target = write(store, "# My garden\n")
  const source = write(store, "see [[my garden]]")
  store.notes.update(target, { path: "Garden" })
  expect(store.notes.find(source)!.content).toBe("see [[Garden]]")
  store.notes.update(target, { path: null })
  expect(store.notes.find(source)!.content).toBe("see [[My garden]]")
})

test("a new first line moves links when the editor says that it is complete", () => {
  const { store } = openVault()
  const target = write(store, "# Garden\n")
  const source = write(store, "see [[Garden]]")
  store.notes.update(target, { content: "# Gard\n" })
  store.notes.update(target, { content: "# My yard\n" })
  expect(store.notes.find(source)!.content).toBe("see [[Garden]]")
  const { relinked } = store.notes.update(target, { renameFrom: "Garden" })!
  expect([relinked, store.notes.find(source)!.content]).toEqual([1, "see [[My yard]]"])
})

test("a note that links to itself is renamed with its own link", () => {
  const { store } = openVault()
  const target = write(store, "I am [[Garden]]", { path: "Garden" })
  const { note, relinked } = store.notes.update(target, { path: "Yard", content: "Now I am [[Garden]]" })!
  expect([note.content, note.path, relinked]).toEqual(["Now I am [[Yard]]", "Yard", 0])
})

test("a path that cannot stand between brackets leaves the links as they are", () => {
  const { store } = openVault()
  const target = write(store, "", { path: "Garden" })
  const source = write(store, "[[Garden]]")
  store.notes.update(target, { path: "a|b" })
  expect(store.notes.find(source)!.content).toBe("[[Garden]]")
})

test("links wait while a note is in the trash", () => {
  const { store } = openVault()
  const target = write(store, "", { path: "Garden" })
  const source = write(store, "[[Garden]]")
  store.trash.remove(target)
  expect(store.links.from("[[Garden]]")).toEqual([{ target: "Garden", id: null }])
  store.trash.restore(target)
  expect(store.links.backlinks(target).map(({ id }) => id)).toEqual([source])
})
