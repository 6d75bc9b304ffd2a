// Failures of the store as answers. `code` is for programs, `message` for people.

import { Refused } from "../kit/http.ts"
import { AttachmentExists } from "../store/attachments.ts"
import { DiskFull, isDiskFull } from "../store/core.ts"
import { IdTaken, InTrash, NoteChanged, PathTaken } from "../store/model.ts"
import { Damaged, TooLarge, UploadBusy, WrongOffset } from "../store/uploads.ts"

/** The answer to a failure that callers can cause; undefined for our own mistakes. */
export function refusalOf(error: unknown): Refused | undefined {
  if (error instanceof Refused) return error
  if (isDiskFull(error)) {
    return new Refused(507, { error: "Insufficient storage", code: "disk_full", message: new DiskFull().message })
  }
  if (!(error instanceof Error)) return undefined
  const { message } = error
  const conflict = (code: string, more: object) => new Refused(409, { error: "Conflict", code, message, ...more })
  if (error instanceof NoteChanged) return conflict("changed", { current: error.current })
  if (error instanceof PathTaken) return conflict("path_taken", { path: error.path, other: error.other })
  if (error instanceof IdTaken) return conflict("id_taken", { current: error.current })
  if (error instanceof AttachmentExists) return conflict("id_taken", {})
  if (error instanceof WrongOffset) return conflict("wrong_offset", { offset: error.offset })
  if (error instanceof Damaged) return conflict("damaged", {})
  if (error instanceof InTrash) {
    const { deletedAt, creating } = error
    if (creating) return conflict("in_trash", { deletedAt })
    return new Refused(404, { error: "Not found", code: "in_trash", message, deletedAt })
  }
  if (error instanceof TooLarge) {
    return new Refused(413, { error: "Too large", code: "too_large", message, limit: error.limit })
  }
  if (error instanceof UploadBusy) return busy(message, 1)
  return undefined
}

export function busy(message: string, seconds: number): Refused {
  return new Refused(503, { error: "Busy", code: "busy", message }, { "retry-after": String(seconds) })
}

export function notFound(message: string): Refused {
  return new Refused(404, { error: "Not found", code: "not_found", message })
}

export function notAllowed(methods: string[]): Refused {
  const message = `Use ${methods.join(" or ")} here.`
  return new Refused(405, { error: "Method not allowed", message }, { allow: methods.join(", ") })
}

/** What was found, or 404. */
export function existing<T>(found: T | undefined, key: unknown, noun = "note"): T {
  if (found === undefined) throw notFound(`There is no ${noun} "${key}".`)
  return found
}
