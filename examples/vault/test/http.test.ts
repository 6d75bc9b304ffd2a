import { describe, expect, test } from "bun:test"
import { KnownHosts } from "../src/hosts.ts"
import { Refused } from "../src/kit/http.ts"
import { rangeOf } from "../src/rest/attachments.ts"
import { refusalOf } from "../src/rest/errors.ts"

const request = (headers: Record<string, string>) => new Request("http://vault/", { headers })

describe("a request's Host and Origin", () => {
  const known = new KnownHosts(["https://hub.test", "http://localhost:1939"])
  const table: Array<[host: string, origin: string | undefined, status: number]> = [
    ["127.0.0.1:1940", undefined, 200],
    ["localhost:1940", "http://localhost:6274", 200],
    ["[::1]:1940", "http://[::1]", 200],
    ["hub.test", "https://hub.test", 200],
    ["hub.test:443", undefined, 200],
    ["evil.example.com", undefined, 421],
    ["evil.example.com:1940", "http://localhost", 421],
    ["127.0.0.1.evil.test", undefined, 421],
    ["localhost.evil.test", undefined, 421],
    ["192.168.1.5:1940", undefined, 421],
    ["127.0.0.1:1940", "http://evil.example.com", 403],
    ["127.0.0.1:1940", "https://hub.test.evil.com", 403],
    ["127.0.0.1:1940", "null", 403],
  ]
  test.each(table)("%s from %s", (host, origin, status) => {
    const asked = request({ host, ...(origin !== undefined && { origin }) })
    let got = 200
    try {
      known.check(asked)
    } catch (error) {
      got = (error as Refused).status
    }
    expect(got).toBe(status)
  })

  test("an app of the hub's own page may ask, by whatever name the hub was reached", () => {
    const asked = (origin: string) =>
      request({ host: "127.0.0.1:1940", origin, "x-forwarded-host": "my-hub.example:8443" })
    known.check(asked("https://my-hub.example:8443"))
    expect(() => known.check(asked("https://other.example"))).toThrow(Refused)
  })

  test("addresses count where the vault is bound to one", () => {
    const bound = new KnownHosts(["https://hub.test"], "0.0.0.0")
    bound.check(request({ host: "192.168.1.5:1940" }))
    expect(() => bound.check(request({ host: "evil.test" }))).toThrow(Refused)
  })
})

describe("ranges of a file of 10 bytes", () => {
  const table: Array<[header: string, range: [number, number] | undefined | 416]> = [
    ["bytes=0-3", [0, 4]],
    ["bytes=4-", [4, 10]],
    ["bytes=-3", [7, 10]],
    ["bytes=-99", [0, 10]],
    ["bytes=9-99", [9, 10]],
    ["bytes=10-", 416],
    ["bytes=-0", 416],
    ["bytes=5-4", undefined],
    ["bytes=0-1,3-4", undefined],
    ["bytes=-", undefined],
    ["lines=0-1", undefined],
  ]
  test.each(table)("%s", (range, expected) => {
    const read = () => rangeOf(request({ range }), 10)
    if (expected === 416) expect(read).toThrow(Refused)
    else expect(read()).toEqual(expected)
  })
})

test("every word of a full disk is answered with 507", () => {
  for (const code of ["SQLITE_FULL", "ENOSPC", "EDQUOT", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"]) {
    const refusal = refusalOf(Object.assign(new Error("x"), { code }))!
    expect([refusal.status, refusal.body.code]).toEqual([507, "disk_full"])
    expect(refusal.body.message).toContain("The disk is full")
  }
  expect(refusalOf(Object.assign(new Error("x"), { code: "EACCES" }))).toBeUndefined()
})
