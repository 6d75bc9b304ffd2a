// A note on this device: what the person has, what the hub had last, and what has still to be agreed. Pure.

import { mergeFields } from "./merge.ts"

/** What a person can change. `path` is "" for a note without one; `tags` are those that were set, not those of the text. */
export interface Fields {
  content: string
  path: string
  tags: string[]
  pinned: boolean
}

/** A note as the vault answers it; see the API page of the vault. */
export interface Remote {
  id: string
  content: string
  path?: string
  tags: string[]
  textTags?: string[]
  pinned?: boolean
  createdAt: string
  updatedAt: string
}

/** A version that the hub has or had. */
export interface Version extends Fields {
  updatedAt: string
}

export type TroubleKind = "gone" | "forbidden" | "too_large" | "title" | "refused"

/** Why this note cannot be sent as it is. Waiting does not help; the person chooses. */
export interface Trouble {
  kind: TroubleKind
  message: string
}

export interface Note {
  id: string
  mine: Fields
  /** The version that `mine` began from; absent while the hub has not got the note. */
  base?: Version
  /** A version from elsewhere that collides with `mine`, until the person chooses. */
  theirs?: Version
  /** Waits to be moved to the trash. */
  deleted?: true
  trouble?: Trouble
  createdAt: string
  updatedAt: string
  /** What was sent and not yet answered, the latest first. */
  sending?: Fields[]
  /** When it was changed here, in ms; unsent notes are sent in this order. */
  editedAt: number
  /** The title that links to this note have, while a new one waits to be sent. */
  oldTitle?: string
}

export function fieldsOf(remote: Remote): Version {
  const fromText = new Set(remote.textTags ?? [])
  return {
    content: remote.content,
    path: remote.path ?? "",
    tags: remote.tags.filter((tag) => !fromText.has(tag)),
    pinned: remote.pinned ?? false,
    updatedAt: remote.updatedAt,
  }
}

export function same(a: Fields, b: Fields): boolean {
  return (
    a.content === b.content && a.path === b.path && a.pinned === b.pinned && a.tags.join("\n") === b.tags.join("\n")
  )
}

/** Whether the hub lacks something that the person wrote or did. */
export function unsent(note: Note): boolean {
  return note.deleted === true || !note.base || note.oldTitle !== undefined || !same(note.mine, note.base)
}

/** Whether it can be sent now: nothing waits for the person. */
export function sendable(note: Note): boolean {
  return unsent(note) && !note.theirs && (!note.trouble || note.trouble.kind === "title")
}

/** True for a note in which nobody ever wrote. */
export function blank({ mine, base }: Note): boolean {
  return !base && mine.content.trim() === "" && mine.path === "" && mine.tags.length === 0
}

export function create(id: string, fields: Partial<Fields>, now: number): Note {
  const at = new Date(now).toISOString()
  const mine = { content: "", path: "", tags: [], pinned: false, ...fields }
  return { id, mine, createdAt: at, updatedAt: at, editedAt: now }
}

/** The person's change. A trouble that the change may mend is forgotten. */
export function edit(note: Note, change: Partial<Fields>, now: number): Note {
  const mine = { ...note.mine, ...change }
  if (same(mine, note.mine)) return note
  const mended =
    note.trouble?.kind === "too_large" ||
    note.trouble?.kind === "refused" ||
    (note.trouble?.kind === "title" && mine.path !== note.mine.path)
  return {
    ...note,
    mine,
    trouble: mended ? undefined : note.trouble,
    updatedAt: new Date(now).toISOString(),
    editedAt: now,
  }
}

export function remove(note: Note, now: number): Note | undefined {
  if (blank(note) || note.trouble?.kind === "gone") return undefined
  return { ...note, deleted: true, theirs: undefined, editedAt: now }
}

export function restore(note: Note, now: number): Note {
  return { ...note, deleted: undefined, editedAt: now }
}

/**
 * The hub has this version. Without an own change it is taken; changes of different lines are merged; else both are
 * kept until the person chooses. A deletion gives way to a change that it did not know.
 */
export function pulled(note: Note | undefined, remote: Remote): Note {
  const version = fieldsOf(remote)
  const taken: Note = {
    id: remote.id,
    mine: only(version),
    base: version,
    createdAt: remote.createdAt,
    updatedAt: remote.updatedAt,
    editedAt: note?.editedAt ?? 0,
  }
  if (!note) return taken
  if (note.base && note.base.updatedAt >= version.updatedAt) return note
  const own = note.sending?.find((sent) => sent.content === version.content)
  if (own) return acknowledged(note, own, remote)
  if (same(note.mine, version) || (note.base && same(note.mine, note.base))) return taken
  const trouble = note.trouble?.kind === "gone" ? undefined : note.trouble
  const { fields, collides } = mergeFields(note.base, note.mine, version)
  const kept = { ...note, deleted: undefined, trouble, sending: undefined }
  return collides || note.theirs ? { ...kept, theirs: version } : { ...kept, mine: fields, base: version }
}

/** The note is in the trash, or gone for good. What was written here and not sent is kept. */
export function deletedElsewhere(note: Note | undefined): Note | undefined {
  if (!note || note.deleted || !unsent(note)) return undefined
  // A note that the hub never had is not the one that was deleted.
  if (!note.base && !note.trouble) return note
  return { ...note, trouble: { kind: "gone", message: "This note was deleted somewhere else." } }
}

/**
 * The vault has other data than this device knew: it was restored from a backup, emptied, or is another one. `remote`
 * is what it has of the note now. Nothing is taken back or deleted because the vault lacks it: the device may have the
 * only copy. `known`: the vault has or had the version that this device began from, so that its word counts as always.
 */
export function replaced(before: Note, remote: Remote | undefined, known: boolean): Note | undefined {
  // The other side of a collision may be nowhere else any more.
  const sides = before.theirs && before.theirs.updatedAt !== remote?.updatedAt
  const note = sides ? choose(before, "both", before.editedAt) : before
  const { base } = note
  if (!base) return remote ? pulled(note, remote) : note
  if (remote?.updatedAt === base.updatedAt) return note
  if (known) return remote ? pulled(note, remote) : deletedElsewhere(note)
  const kept = { ...note, trouble: note.trouble?.kind === "gone" ? undefined : note.trouble, sending: undefined }
  const fresh = { ...kept, base: undefined }
  if (!remote) return blank(fresh) ? undefined : fresh
  const version = fieldsOf(remote)
  // A change of the older version, which the vault keeps in the note's history.
  if (version.updatedAt < base.updatedAt || same(note.mine, version)) return { ...kept, base: version }
  return { ...fresh, deleted: undefined, theirs: version }
}

/** `sent` is on its way. It is remembered, because its answer may be lost. */
export function sending(note: Note, sent: Fields): Note {
  return { ...note, sending: [sent, ...(note.sending ?? [])].slice(0, 3) }
}

/** The hub has taken `sent`; what was typed meanwhile stays and is sent next. */
export function acknowledged(note: Note, sent: Fields, remote: Remote): Note {
  const version = fieldsOf(remote)
  const { fields } = mergeFields(sent, note.mine, version)
  return {
    ...note,
    mine: fields,
    base: version,
    sending: undefined,
    oldTitle: undefined,
    trouble: note.trouble?.kind === "title" && fields.path !== version.path ? note.trouble : undefined,
    updatedAt: same(fields, version) ? remote.updatedAt : note.updatedAt,
  }
}

export type Choice = "mine" | "theirs" | "both"

/** Ends a collision: one version, or one text with both. The version that is not kept stays in the note's history. */
export function choose(note: Note, choice: Choice, now: number): Note {
  const { theirs } = note
  if (!theirs) return note
  const mine =
    choice === "theirs"
      ? only(theirs)
      : choice === "mine"
        ? note.mine
        : mergeFields(note.base, note.mine, theirs).fields
  return {
    ...note,
    mine: only(mine),
    base: theirs,
    theirs: undefined,
    updatedAt: new Date(now).toISOString(),
    editedAt: now,
  }
}

/** The same text as a new note, for one that the hub no longer has. */
export function copy(note: Note, id: string, now: number): Note {
  return create(id, { ...note.mine, path: "" }, now)
}

/** What a person can change of a version. */
export function only({ content, path, tags, pinned }: Fields): Fields {
  return { content, path, tags, pinned }
}
