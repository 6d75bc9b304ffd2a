// One open database: its connection, its clock, its write transactions and who waits for changes.

import { Database, type SQLQueryBindings } from "bun:sqlite"
import { statSync } from "node:fs"
import { migrate } from "./migrations.ts"

export type Clock = () => number

/** No room on the disk. The transaction was rolled back, so nothing changed. */
export class DiskFull extends Error {
  constructor() {
    super("The disk is full. Nothing was changed. Make room on the hub's machine, then try again.")
  }
}

/** SQLite's and the system's ways to say that there is no room left. */
export function isDiskFull(error: unknown): boolean {
  if (error instanceof DiskFull) return true
  const code = (error as { code?: unknown } | null)?.code
  return ["SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE", "ENOSPC", "EDQUOT"].includes(code as string)
}

export class Core {
  readonly database: Database
  readonly #inode: number
  readonly #listeners = new Set<() => void>()
  #seen = 0
  #depth = 0

  /** Opens the database file; creates and migrates it when needed. `clock` gives milliseconds since 1970. */
  constructor(
    readonly path: string,
    readonly clock: Clock = Date.now,
  ) {
    this.database = new Database(path, { create: true, strict: true })
    this.database.run("PRAGMA busy_timeout = 5000")
    this.database.run("PRAGMA journal_mode = WAL")
    // A note that was answered with 201 is on the disk, even after a power cut.
    this.database.run("PRAGMA synchronous = FULL")
    this.database.run("PRAGMA foreign_keys = ON")
    this.database.run("PRAGMA cache_size = -1000")
    this.database.run("PRAGMA journal_size_limit = 4194304")
    migrate(this.database)
    this.#inode = statSync(path).ino
  }

  close(): void {
    this.database.close()
  }

  /** The time as it is stored: ISO 8601 in UTC with milliseconds. */
  now(): string {
    return new Date(this.clock()).toISOString()
  }

  /** The time `days` ago. */
  ago(days: number): string {
    return new Date(this.clock() - days * 86_400_000).toISOString()
  }

  /** Whether another file is in its place, as after the vault was removed and made again. */
  get replaced(): boolean {
    const now = statSync(this.path, { throwIfNoEntry: false })
    return now !== undefined && now.ino !== this.#inode
  }

  /** Throws when the file is gone, replaced or unreadable: an open handle alone would not notice. */
  check(): void {
    if (statSync(this.path).ino !== this.#inode) throw new Error(`${this.path} was replaced`)
    this.database.query("SELECT 1 FROM notes LIMIT 1").get()
  }

  get<Row>(sql: string, ...values: SQLQueryBindings[]): Row | undefined {
    return this.database.query<Row, SQLQueryBindings[]>(sql).get(...values) ?? undefined
  }

  all<Row>(sql: string, ...values: SQLQueryBindings[]): Row[] {
    return this.database.query<Row, SQLQueryBindings[]>(sql).all(...values)
  }

  /** The number of changed rows. */
  run(sql: string, ...values: SQLQueryBindings[]): number {
    return this.database.query<unknown, SQLQueryBindings[]>(sql).run(...values).changes
  }

  /**
   * Runs one write transaction, or joins the one under way. Either everything in it happens or nothing.
   * Throws DiskFull when there is no room.
   */
  write<T>(work: () => T): T {
    if (this.#depth > 0) return work()
    this.#depth++
    try {
      return this.database.transaction(work).immediate()
    } catch (error) {
      throw isDiskFull(error) ? new DiskFull() : error
    } finally {
      this.#depth--
      this.#announce()
    }
  }

  /** Calls `listener` after each change until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  /** Brings the file up to date: only then do others see how much of it is free. */
  checkpoint(): void {
    this.database.run("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  /** Notices what other processes wrote, such as an import on the command line. */
  poll(): void {
    const { data_version: version } = this.get<{ data_version: number }>("PRAGMA data_version")!
    if (version === this.#seen) return
    this.#seen = version
    this.#announce()
  }

  #announce(): void {
    for (const listener of this.#listeners) listener()
  }
}
