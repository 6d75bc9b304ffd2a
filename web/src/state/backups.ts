/** What the records of backups mean. */
import type { BackupCopy, Backups } from "../api/shapes"
import { ago } from "../format"
import type { Tone } from "../words"

/** The name under which the operations of backups run: one at a time. */
export const BACKUP = "backup"

/** The newest backup, at any destination, that was read back and checked. */
export function restorable(backups: Backups): BackupCopy | null {
  const checked = backups.places.flatMap((place) => place.backups).filter((copy) => copy.verifiedAt !== null)
  return checked.reduce<BackupCopy | null>((best, copy) => (best && best.madeAt >= copy.madeAt ? best : copy), null)
}

/** Whether there is a confirmed recovery sheet and a destination. */
export function isSetUp({ key, places }: Backups): boolean {
  return Boolean(key?.confirmedAt) && places.length > 0
}

/** All of it in one line: `Last backup we know can be restored: yesterday`. */
export function glance(backups: Backups, now: number = Date.now()): { tone: Tone; text: string } {
  if (!isSetUp(backups)) return { tone: "off", text: "Backups are not set up" }
  const newest = restorable(backups)
  const tone = backups.problems.length > 0 ? "bad" : newest ? "good" : "busy"
  return { tone, text: newest ? `Last backup we know can be restored: ${ago(newest.madeAt, now)}` : "No backup yet" }
}

/** Each hour of the day, by the person's clock: the hour in UTC, and its local time. In local order. */
export function hours(offset: number = new Date().getTimezoneOffset()): [string, string][] {
  const local = (hour: number) => (hour * 60 - offset + 2880) % 1440
  const clock = (minutes: number) =>
    `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`
  return Array.from({ length: 24 }, (_, hour) => hour)
    .sort((a, b) => local(a) - local(b))
    .map((hour) => [String(hour), clock(local(hour))])
}
