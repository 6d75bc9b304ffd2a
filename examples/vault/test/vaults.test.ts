// Vaults that other processes remove and make while this one runs.

import { expect, test } from "bun:test"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { Vaults } from "../src/vaults.ts"
import { newFolder, write } from "./vault.ts"

test("a vault that was removed and made again is opened anew", () => {
  const home = newFolder()
  const running = new Vaults(home)
  running.create("work")
  const former = running.get("work")!
  write(former, "of the former vault")
  expect(running.get("work")).toBe(former)
  new Vaults(home).remove("work")
  new Vaults(home).create("work")
  const id = write(running.get("work")!, "of the new vault")
  const other = new Vaults(home)
  expect(other.get("work")!.notes.find(id)?.content).toBe("of the new vault")
  expect(running.get("work")).not.toBe(former)
  former.close()
  running.close()
  other.close()
})

test("a vault whose file is gone is not replaced by an empty one", () => {
  const home = newFolder()
  const running = new Vaults(home)
  running.create("work")
  const open = running.get("work")!
  rmSync(join(home, "vault", "data", "work", "vault.db"))
  expect(running.get("work")).toBe(open)
  expect(() => running.check()).toThrow()
  running.close()
})
