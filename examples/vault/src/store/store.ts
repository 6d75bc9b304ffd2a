// One vault on the disk: the parts that share its database.

import { Attachments } from "./attachments.ts"
import { CHANGE_DAYS, Changes } from "./changes.ts"
import { type Clock, Core } from "./core.ts"
import { Keys } from "./keys.ts"
import { Links } from "./links.ts"
import type { WholeNote } from "./model.ts"
import { Notes } from "./notes.ts"
import { Search } from "./search.ts"
import { TRASH_DAYS, Trash } from "./trash.ts"
import { UPLOAD_DAYS, Uploads } from "./uploads.ts"
import { VERSION_DAYS, Versions } from "./versions.ts"

/** Sizes in bytes and times in days, as `GET api/limits` shows them. */
export const LIMITS = {
  noteBytes: 8 * 1024 * 1024,
  attachmentBytes: 100 * 1024 * 1024,
  chunkBytes: 4 * 1024 * 1024,
  importBytes: 1024 * 1024 * 1024,
  trashDays: TRASH_DAYS,
  versionDays: VERSION_DAYS,
  uploadDays: UPLOAD_DAYS,
  changeDays: CHANGE_DAYS,
}

export interface Stats {
  totalNotes: number
  tagCount: number
  earliestNote: string | null
  latestNote: string | null
}

export class Store {
  readonly core: Core
  readonly keys: Keys
  readonly changes: Changes
  readonly versions: Versions
  readonly links: Links
  readonly search: Search
  readonly notes: Notes
  readonly attachments: Attachments
  readonly uploads: Uploads
  readonly trash: Trash

  /** Opens the database file; creates and migrates it when needed. */
  constructor(path: string, clock?: Clock) {
    const core = (this.core = new Core(path, clock))
    const changes = (this.changes = new Changes(core))
    const versions = (this.versions = new Versions(core))
    const links = (this.links = new Links(core))
    const attachments = (this.attachments = new Attachments(core))
    const notes = (this.notes = new Notes({ core, changes, versions, links }))
    this.keys = new Keys(core)
    this.search = new Search(core)
    this.uploads = new Uploads(core, attachments)
    this.trash = new Trash({ core, notes, changes, versions, attachments })
  }

  close(): void {
    this.core.close()
  }

  stats(): Stats {
    return this.core.get<Stats>(
      `SELECT count(*) AS totalNotes, (SELECT count(DISTINCT tag) FROM tags) AS tagCount,
              min(created_at) AS earliestNote, max(created_at) AS latestNote FROM notes`,
    )!
  }

  /** Gives a note the text, tags and metadata of one of its versions. undefined when either does not exist. */
  restoreVersion(id: string, number: number, ifUpdatedAt?: string): WholeNote | undefined {
    return this.core.write(() => {
      const note = this.notes.findOrTrashed(id)
      const version = note && this.versions.find(note.id, number)
      if (!note || !version) return undefined
      const removed = Object.keys(note.metadata ?? {}).map((name) => [name, null])
      const metadata = { ...Object.fromEntries(removed), ...version.metadata }
      return this.notes.update(note.id, { content: version.content, tags: version.tags, metadata, ifUpdatedAt })?.note
    })
  }

  /** Deletes what is in the trash for good, and the files that nothing needs any more. The number of notes. */
  emptyTrash(): number {
    const purged = this.trash.empty()
    this.attachments.sweep()
    this.core.checkpoint()
    return purged
  }

  /** Removes what is past its time: hourly, and again and again without harm. */
  tidy(): { notes: number; versions: number; uploads: number; files: number } {
    const notes = this.trash.prune()
    const versions = this.versions.prune()
    const uploads = this.uploads.prune()
    const files = this.attachments.sweep()
    this.changes.prune()
    this.core.write(() => this.core.run("DELETE FROM creates WHERE at < ?", this.core.ago(CHANGE_DAYS)))
    if (notes + versions + uploads + files > 0) this.core.checkpoint()
    return { notes, versions, uploads, files }
  }
}
