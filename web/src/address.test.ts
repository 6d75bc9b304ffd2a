import { expect, test } from "bun:test"
import { opensOnlyHere } from "./address"

test("an address of this computer opens nowhere else", () => {
  for (const [host, here] of [
    ["localhost:1939", true],
    ["127.0.0.1:1939", true],
    ["[::1]", true],
    ["Hub.localhost", true],
    ["192.168.1.5:1939", false],
    ["127.example.com", false],
    ["localhost.example.com", false],
    ["hub.local", false],
  ] as const)
    expect([host, opensOnlyHere(`http://${host}/x`)]).toEqual([host, here])
})
