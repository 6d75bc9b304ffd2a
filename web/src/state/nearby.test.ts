import { expect, test } from "bun:test"
import { nearby } from "./nearby"

test("addresses that look private are told from others", () => {
  const cases: [string, string | null][] = [
    ["127.0.0.1:1940", "127.0.0.1"],
    ["10.0.0.5", "10.0.0.5"],
    ["172.16.0.1", "172.16.0.1"],
    ["172.32.0.1", null],
    ["100.64.1.1", "100.64.1.1"],
    ["100.128.1.1", null],
    ["192.168.1.7:1940", "192.168.1.7"],
    ["https://vault:1940", "vault"],
    [" Pi.local ", "pi.local"],
    ["app.internal:1940", "app.internal"],
    ["[fd00::7]:1940", "fd00::7"],
    ["[::1]", "::1"],
    ["[2001:db8::1]", null],
    ["notes.example.com:1940", null],
    ["https://notes.example.com/", null],
    ["10.example.com", null],
    ["93.184.216.34", null],
    ["", null],
  ]
  for (const [address, host] of cases) expect([address, nearby(address)]).toEqual([address, host])
})
