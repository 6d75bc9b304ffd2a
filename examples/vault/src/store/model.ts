// Notes as REST and MCP show them, and what can go wrong with one.

/** `path`, `textTags`, `metadata` and `pinned` are left out when unset; lists may leave out `content`. */
export interface Note {
  id: string
  content?: string
  path?: string
  metadata?: Record<string, unknown>
  pinned?: true
  createdAt: string
  updatedAt: string
  tags: string[]
  textTags?: string[]
  title?: string
  preview?: string
}

export type WholeNote = Note & { content: string }

export interface NewNote {
  id?: string
  content: string
  path: string | null
  tags: string[]
  metadata?: Record<string, unknown>
  pinned?: boolean
  createdAt?: string
  updatedAt?: string
  editor?: string
}

/** undefined leaves a field as it is; `path: null` removes the path. */
export interface NoteChange {
  content?: string
  path?: string | null
  tags?: string[] | { add: string[]; remove: string[] }
  metadata?: Record<string, unknown>
  pinned?: boolean
  /** Change only if the note is still this version. */
  ifUpdatedAt?: string
  editor?: string
  /** Links that still have this old title are moved to the new one. */
  renameFrom?: string
}

export interface NoteQuery {
  /** Empty means all notes. */
  tags: string[]
  allTags: boolean
  search: string
  pathPrefix: string
  pinned?: boolean
  sort: "updated" | "created" | "title" | "relevance"
  ascending: boolean
  pinnedFirst: boolean
  content: boolean
  preview: boolean
  limit: number
  offset: number
}

/** Another note has the path already. */
export class PathTaken extends Error {
  constructor(
    readonly path: string,
    readonly other: string,
  ) {
    super(`Another note has the path "${path}". Choose another path, or change that note.`)
  }
}

/** The note changed since the caller read it; `current` is what it is now. */
export class NoteChanged extends Error {
  constructor(readonly current: WholeNote) {
    super(`The note was changed at ${current.updatedAt}. Read it again, then repeat your change.`)
  }
}

/** A create repeats an id that stands for another text. */
export class IdTaken extends Error {
  constructor(readonly current: WholeNote) {
    super("There is a note with this id and another text. Take a new id, or change that note.")
  }
}

/** The note is in the trash. `creating` when a create named its id. */
export class InTrash extends Error {
  constructor(
    readonly id: string,
    readonly deletedAt: string,
    readonly creating = false,
  ) {
    super(`This note was moved to the trash at ${deletedAt}. Restore it, or save your text as a new note.`)
  }
}

/** A row as SQLite gives it. */
export interface StoredNote {
  seq: number
  id: string
  content?: string
  path: string | null
  metadata: string | null
  pinned: number
  title: string
  editor: string | null
  createdAt: string
  updatedAt: string
  tags: string
  textTags: string
}

const list = (condition: string) =>
  `(SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE tags.seq = notes.seq ${condition} ORDER BY tag))`
const HEAD = `seq, id, path, metadata, pinned, title, editor, created_at AS createdAt, updated_at AS updatedAt,
  ${list("")} AS tags, ${list("AND in_text")} AS textTags`

/** Columns of a StoredNote, `content` on wish. */
export const columns = (content: string | false = "content") => (content ? `${HEAD}, ${content}` : HEAD)

export function toNote(row: StoredNote & { content: string }): WholeNote
export function toNote(row: StoredNote): Note
export function toNote(row: StoredNote): Note {
  const { id, content, path, metadata, pinned, createdAt, updatedAt, tags, textTags } = row
  return {
    id,
    ...(content !== undefined && { content }),
    ...(path !== null && { path }),
    ...(metadata !== null && { metadata: JSON.parse(metadata) }),
    ...(pinned && { pinned: true as const }),
    createdAt,
    updatedAt,
    tags: JSON.parse(tags),
    ...(textTags !== "[]" && { textTags: JSON.parse(textTags) }),
  }
}

/** Metadata as stored: JSON, or NULL when empty. */
export function toText(metadata: Record<string, unknown> | undefined): string | null {
  return metadata && Object.keys(metadata).length > 0 ? JSON.stringify(metadata) : null
}
