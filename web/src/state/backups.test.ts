import { expect, test } from "bun:test"
import type { BackupCopy, Backups } from "../api/shapes"
import { glance, hours, restorable } from "./backups"

const NOW = Date.parse("2026-01-02T12:00:00Z")
const copy = (hoursAgo: number, checked: boolean) =>
  ({
    name: `b${hoursAgo}`,
    madeAt: NOW / 1000 - hoursAgo * 3600,
    verifiedAt: checked ? NOW / 1000 : null,
  }) as BackupCopy
const backups = (copies: BackupCopy[][], more: Partial<Backups> = {}) =>
  ({
    places: copies.map((each, at) => ({ id: String(at), backups: each })),
    key: { madeAt: 1, confirmedAt: 2, kept: true },
    problems: [],
    ...more,
  }) as unknown as Backups

test("only a checked backup counts, at any destination", () => {
  expect(restorable(backups([[copy(1, false), copy(30, true)], [copy(26, true)]]))?.name).toBe("b26")
  expect(restorable(backups([[copy(1, false)]]))).toBeNull()
})

test("one line says when the newest usable backup was made", () => {
  const broken = { problems: [{ key: "k", text: "t" }] }
  const shown = [
    backups([[copy(24, true)]]),
    backups([[copy(24, true)]], broken),
    backups([[copy(1, false)]]),
    backups([]),
    backups([[]], { key: { madeAt: 1, confirmedAt: null, kept: true } }),
    backups([[]], { key: null }),
  ].map((each) => glance(each, NOW))
  expect(shown.map(({ tone }) => tone).join(" ")).toBe("good bad busy off off off")
  expect(shown[0]?.text).toBe("Last backup we know can be restored: yesterday")
  expect(shown[2]?.text).toBe("No backup yet")
})

test("hours are offered by the person's own clock", () => {
  expect(hours(0)[3]).toEqual(["3", "03:00"])
  expect(hours(-330)[0]).toEqual(["19", "00:30"])
  expect(hours(300)[0]).toEqual(["5", "00:00"])
})
