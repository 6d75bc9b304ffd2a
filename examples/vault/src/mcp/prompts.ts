// Prompts that people choose in their assistant.

import { noteQuery } from "../rest/input.ts"
import type { WholeNote } from "../store/model.ts"
import type { Store } from "../store/store.ts"
import type { Asked } from "./methods.ts"
import { invalid, type Params, startOf } from "./protocol.ts"
import { uriOf } from "./resources.ts"

interface Argument {
  name: string
  description: string
  required: boolean
  /** What completes it. */
  of: "note" | "tag" | ""
}

interface Prompt {
  name: string
  title: string
  description: string
  arguments: Argument[]
  request(values: Record<string, string>): string
  notes(store: Store, values: Record<string, string>): WholeNote[]
}

const MOST_NOTES = 20
const WEEK = 7 * 86_400_000

const NOTE: Argument = { name: "note", description: "The note's path, title or id", required: true, of: "note" }

export const PROMPTS: Prompt[] = [
  {
    name: "summarize-note",
    title: "Summarize a note",
    description: "A short summary of one note, with what is left to do",
    arguments: [NOTE],
    request: () => "Summarize this note in a few sentences. Then list what is left to do, if anything.",
    notes: (store, { note }) => [named(store, note!)],
  },
  {
    name: "connect-note",
    title: "Find links for a note",
    description: "Notes that this one should link to, and why",
    arguments: [NOTE],
    request: () =>
      "Read this note, search my vault for notes about the same things, and propose [[links]] between them. " +
      "Give a reason for each. Change nothing before I agree.",
    notes: (store, { note }) => [named(store, note!)],
  },
  {
    name: "review-tag",
    title: "Review a tag",
    description: "What my notes with one tag say, and where they disagree",
    arguments: [{ name: "tag", description: "A tag, without #", required: true, of: "tag" }],
    request: ({ tag }) =>
      `These are my newest notes with the tag #${tag}. Tell me what they say together, where they disagree, ` +
      "and what is missing.",
    notes: (store, { tag }) => whole(store, { tag, include_content: true, limit: MOST_NOTES }),
  },
  {
    name: "weekly-review",
    title: "Review my week",
    description: "What I wrote in the last seven days, and what is open",
    arguments: [],
    request: () =>
      "These are the notes that I changed in the last seven days. Sum up my week and list what is still open.",
    notes: (store) => {
      const since = new Date(store.core.clock() - WEEK).toISOString()
      return whole(store, { include_content: true, limit: MOST_NOTES }).filter(({ updatedAt }) => updatedAt >= since)
    },
  },
]

export function listPrompts({ cursor }: Asked): object {
  startOf(cursor)
  const prompts = PROMPTS.map(({ name, title, description, arguments: given }) => ({
    name,
    title,
    description,
    arguments: given.map(({ of: _of, ...argument }) => argument),
  }))
  return { prompts }
}

export function getPrompt({ store, grants, params }: Asked): object {
  grants.need("read")
  const prompt = PROMPTS.find(({ name }) => name === params.name)
  if (!prompt) throw invalid(`There is no prompt "${params.name}".`)
  const values = (params.arguments ?? {}) as Params
  for (const { name, required } of prompt.arguments) {
    if (values[name] === undefined ? required : typeof values[name] !== "string") {
      throw invalid(`The prompt "${prompt.name}" needs "${name}" as text.`)
    }
  }
  const given = values as Record<string, string>
  const notes = prompt.notes(store, given)
  const messages = [
    { role: "user", content: { type: "text", text: prompt.request(given) } },
    ...notes.map((note) => ({
      role: "user",
      content: {
        type: "resource",
        resource: { uri: uriOf(grants.vault, note.id), mimeType: "text/markdown", text: note.content },
      },
    })),
  ]
  return { description: prompt.description, messages }
}

function named(store: Store, key: string): WholeNote {
  const id = store.links.resolve(key)?.id
  const note = store.notes.find(key) ?? (id === undefined ? undefined : store.notes.find(id))
  if (!note) throw invalid(`There is no note "${key}".`)
  return note
}

function whole(store: Store, fields: Record<string, unknown>): WholeNote[] {
  return store.search.list(noteQuery(fields)) as WholeNote[]
}
