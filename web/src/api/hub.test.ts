import { beforeEach, expect, test } from "bun:test"
import { Away, Hub, Refusal, TurnedBack } from "./hub"

interface Call {
  method: string
  path: string
  headers: Record<string, string>
}

let calls: Call[]
let left: string[]

beforeEach(() => {
  calls = []
  left = []
  Object.assign(globalThis, { location: { pathname: "/admin/modules", search: "" } })
})

/** A hub that gives these answers, one for each call; `proof` is what the person types. */
function hubWith(answers: [status: number, body: unknown][], proof: string | null = "proof-1"): Hub {
  const doors = {
    prove: () => Promise.resolve(proof),
    leave: (to: string) => void left.push(to),
    key: () => "k1",
  }
  return new Hub(doors, (path, init) => {
    calls.push({ method: init.method ?? "GET", path, headers: { ...(init.headers as Record<string, string>) } })
    const answer = answers.shift()
    if (!answer) return Promise.reject(new TypeError("no network"))
    return Promise.resolve(Response.json(answer[1], { status: answer[0] }))
  })
}

const ME: [number, unknown] = [200, { hasSession: true, csrf: "c1" }]
const STEP_UP: [number, unknown] = [
  403,
  { error: "step_up_required", operation: "user.delete:7", error_description: "" },
]

test("changes carry the session's CSRF token, fetched once", async () => {
  const hub = hubWith([ME, [200, { ok: 1 }], [200, { ok: 2 }]])
  expect(await hub.call("POST", "/a", {})).toEqual({ ok: 1 })
  await hub.call("POST", "/b", {})
  expect(calls.map(({ path }) => path)).toEqual(["/api/me", "/a", "/b"])
  expect(calls[2]?.headers["X-Parachute-CSRF"]).toBe("c1")
})

test("changes carry what this browser keeps beside the cookie, reading does not", async () => {
  const hub = hubWith([[200, {}], ME, [200, {}]])
  await hub.get("/api/users")
  await hub.call("POST", "/api/a")
  expect(calls[0]?.headers["X-Parachute-Key"]).toBeUndefined()
  expect(calls[2]?.headers["X-Parachute-Key"]).toBe("k1")
})

test("a browser that lost its key gives the password once, and comes back", async () => {
  const hub = hubWith([ME, [403, { error: "key_required", error_description: "Type your password." }]])
  await expect(hub.call("POST", "/api/a")).rejects.toBeInstanceOf(Refusal)
  expect(left).toEqual(["/login/key?lost=1&next=%2Fadmin%2Fmodules"])
})

test("a stale CSRF token is fetched again and the request repeated once", async () => {
  const hub = hubWith([ME, [403, { error: "csrf_failed" }], [200, { hasSession: true, csrf: "c2" }], [200, {}]])
  await hub.call("POST", "/a")
  expect(calls[3]?.headers["X-Parachute-CSRF"]).toBe("c2")
})

test("a request that needs step-up is repeated with the proof", async () => {
  const hub = hubWith([ME, STEP_UP, [200, { done: true }]])
  expect(await hub.call<{ done: boolean }>("DELETE", "/api/users/7")).toEqual({ done: true })
  expect(calls[2]?.headers["X-Parachute-Proof"]).toBe("proof-1")
  expect(calls[1]?.headers["X-Parachute-Proof"]).toBeUndefined()
})

test("cancelling step-up changes nothing", async () => {
  const hub = hubWith([ME, STEP_UP], null)
  await expect(hub.call("DELETE", "/api/users/7")).rejects.toBeInstanceOf(TurnedBack)
  expect(calls.length).toBe(2)
})

test("an ended session leads to sign-in and back", async () => {
  const hub = hubWith([[401, { error: "unauthenticated" }]])
  await expect(hub.get("/api/modules")).rejects.toBeInstanceOf(Refusal)
  expect(left).toEqual(["/login?next=%2Fadmin%2Fmodules"])
})

test("a wrong password does not end the session", async () => {
  const hub = hubWith([ME, [401, { error: "invalid_credentials", error_description: "That is not right." }]])
  await expect(hub.call("POST", "/api/account/step-up", {})).rejects.toThrow("That is not right.")
  expect(left).toEqual([])
})

test("a missing response is not a refusal", async () => {
  await expect(hubWith([]).get("/api/hub")).rejects.toBeInstanceOf(Away)
})
