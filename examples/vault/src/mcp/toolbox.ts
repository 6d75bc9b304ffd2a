// The tools themselves, with the schemas of what they take and give.

import { existing } from "../rest/errors.ts"
import { text as asText, count, newNote, noteChange, noteQuery } from "../rest/input.ts"
import type { Tool } from "./tools.ts"

const text = (description: string) => ({ type: "string", description })
const object = (properties: Record<string, object>, required = Object.keys(properties)) => ({
  type: "object",
  properties,
  required,
})
const list = (items: object) => ({ type: "array", items })

const NOTE_KEY = text("The note's id or path")
const TAGS = { type: "array", items: { type: "string" }, description: "Tags, without #" }
const METADATA = { type: "object", description: "Any further values, by name" }

const NOTE = object(
  {
    id: text("Its id"),
    content: text("Markdown"),
    path: text("Its name, unique in the vault"),
    tags: TAGS,
    textTags: { ...TAGS, description: "Those of the tags that are written in the text" },
    metadata: METADATA,
    pinned: { type: "boolean" },
    createdAt: text("ISO 8601"),
    updatedAt: text("ISO 8601; the version of the note, for if_updated_at"),
    title: text("Its path, or its first line"),
    preview: text("The beginning, or the text around a hit"),
  },
  ["id", "tags", "createdAt", "updatedAt"],
)
const LINK = object({ id: text("Id"), title: text("Title") })

export const TOOLS: Tool[] = [
  {
    name: "query-notes",
    title: "Find notes",
    verb: "read",
    description: "Find notes. With `id` one note; else those that match every filter, newest change first.",
    properties: {
      id: NOTE_KEY,
      search: text("Words that path, text or tags must have; #word looks at tags only"),
      tag: { anyOf: [{ type: "string" }, TAGS], description: "Notes with any of these tags" },
      path_prefix: text("Beginning of the path"),
      pinned: { type: "boolean", description: "Only notes that are pinned, or only others" },
      sort: { enum: ["updated", "created", "title", "relevance"], description: "updated by default" },
      include_content: { type: "boolean", description: "Content too; a list leaves it out by default" },
      preview: { type: "boolean", description: "Title and a short preview of each note" },
      limit: { type: "integer", minimum: 1, maximum: 500, description: "50 by default" },
      offset: { type: "integer", minimum: 0 },
    },
    output: object({ notes: list(NOTE) }),
    run: (store, values) => {
      if (values.id !== undefined) {
        const note = existing(store.notes.findOrTrashed(String(values.id)), values.id)
        return { structured: { notes: [note] }, text: note }
      }
      const notes = store.search.list(noteQuery(values))
      return { structured: { notes }, text: notes }
    },
  },
  {
    name: "create-note",
    title: "Write a note",
    verb: "write",
    description: "Write a new note.",
    properties: {
      content: text("Markdown"),
      path: text('Name of the note, such as "Projects/Garden"; no two notes have the same'),
      tags: TAGS,
      metadata: METADATA,
      pinned: { type: "boolean" },
    },
    required: ["content"],
    output: NOTE,
    run: (store, values) => ({ structured: store.notes.create(newNote({ ...values, id: undefined })).note }),
  },
  {
    name: "update-note",
    title: "Change a note",
    verb: "write",
    description: "Change a note. What is not given stays as it is; the text before is kept as a version for 30 days.",
    properties: {
      id: NOTE_KEY,
      content: text("The whole new content"),
      path: text("New path; links to the note are moved along"),
      tags: {
        anyOf: [TAGS, { type: "object", properties: { add: TAGS, remove: TAGS } }],
        description: "All tags, or those to add and remove",
      },
      metadata: { ...METADATA, description: "Values to set; null removes one" },
      pinned: { type: "boolean" },
      if_updated_at: text("The note's updatedAt as you read it; refused if it changed since"),
    },
    required: ["id"],
    output: NOTE,
    destructive: true,
    idempotent: true,
    run: (store, values) => ({
      structured: existing(store.notes.update(String(values.id), noteChange(values)), values.id).note,
    }),
  },
  {
    name: "delete-note",
    title: "Delete a note",
    verb: "write",
    description: "Move a note to the trash, where it stays for 30 days. restore-note brings it back.",
    properties: { id: NOTE_KEY },
    required: ["id"],
    output: object({ deleted: { type: "boolean" }, id: text("Id") }),
    destructive: true,
    run: (store, values) => ({
      structured: { deleted: true, id: existing(store.trash.remove(String(values.id)), values.id) },
    }),
  },
  {
    name: "list-tags",
    title: "List tags",
    verb: "read",
    description: "All tags, with the number of notes each.",
    properties: {},
    output: object({ tags: list(object({ name: text("Tag"), count: { type: "integer" } })) }),
    run: (store) => {
      const tags = store.search.tags()
      return { structured: { tags }, text: tags }
    },
  },
  {
    name: "vault-info",
    title: "About this vault",
    verb: "read",
    description: "Name and size of this vault.",
    properties: {},
    output: object({ name: text("Name"), stats: { type: "object" } }),
    run: (store, _values, vault) => ({ structured: { name: vault, stats: store.stats() } }),
  },
  {
    name: "related-notes",
    title: "Links of a note",
    verb: "read",
    description: "The notes that a note links to, and those that link to it, with the lines that do.",
    properties: { id: NOTE_KEY },
    required: ["id"],
    output: object({
      links: list(object({ target: text("As written"), id: { type: ["string", "null"] } })),
      backlinks: list(object({ ...LINK.properties, lines: list({ type: "string" }) })),
    }),
    run: (store, values) => {
      const note = existing(store.notes.findOrTrashed(String(values.id)), values.id)
      return { structured: { links: store.links.from(note.content), backlinks: store.links.backlinks(note.id) } }
    },
  },
  {
    name: "note-history",
    title: "Earlier versions of a note",
    verb: "read",
    description: "The versions of a note, newest first; with `version` the text of one.",
    properties: { id: NOTE_KEY, version: { type: "integer", minimum: 1, description: "Number of a version" } },
    required: ["id"],
    output: object({ versions: list(object({ version: { type: "integer" }, updatedAt: text("ISO 8601") })) }),
    run: (store, values) => {
      const key = asText(values.id, "id")
      const { id } = existing<{ id: string }>(store.notes.find(key) ?? store.trash.find(key), key)
      if (values.version === undefined) return { structured: { versions: store.versions.list(id, 50, 0) } }
      const number = count(values.version, "version", 1, Number.MAX_SAFE_INTEGER)
      return { structured: { versions: [existing(store.versions.find(id, number), number, "version")] } }
    },
  },
  {
    name: "restore-note",
    title: "Restore a note",
    verb: "write",
    description: "Bring a note back from the trash; or, with `version`, give a note the text of an earlier version.",
    properties: {
      id: text("The note's id"),
      version: { type: "integer", minimum: 1, description: "Number of a version, from note-history" },
    },
    required: ["id"],
    output: NOTE,
    idempotent: true,
    run: (store, values) => {
      const id = asText(values.id, "id")
      if (values.version === undefined) {
        return { structured: existing(store.trash.restore(id), id, "note in the trash") }
      }
      const number = count(values.version, "version", 1, Number.MAX_SAFE_INTEGER)
      return { structured: existing(store.restoreVersion(id, number), number, "version") }
    },
  },
]
