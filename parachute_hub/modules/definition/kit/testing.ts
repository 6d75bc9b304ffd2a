// Kit: runs the module behind a real hub, for `bun test`. Not needed by the module itself.
//
//   const hub = await startHub(`${import.meta.dir}/..`)
//   afterAll(() => hub.stop())
//   test("it answers", async () => expect((await hub.fetch("")).status).toBe(200))

import { readFileSync } from "node:fs"
import { join } from "node:path"

interface Options {
  /** Modules of the catalog to install beside this one, such as `["vault"]`. */
  with?: string[]
  /** Which modules the hub offers: `published` (the default), `reference`, or a file. */
  catalog?: string
  /** The `parachute` command; PARACHUTE_COMMAND or the one on the PATH if left out. */
  command?: string
}

interface Event {
  event: string
  [fact: string]: unknown
}

/** Starts a hub with an empty home, and on it the module in `folder`. Throws with the reason if it does not run. */
export async function startHub(folder: string, options: Options = {}): Promise<TestHub> {
  const command = options.command ?? process.env.PARACHUTE_COMMAND ?? "parachute"
  const words = [command, "module", "dev", folder, "--json"]
  if (options.catalog) words.push("--catalog", options.catalog)
  for (const other of options.with ?? []) words.push("--with", other)
  // Its input is a pipe, whose end tells it that this process is gone, even after a crash.
  const child = Bun.spawn(words, { stdin: "pipe", stdout: "pipe", stderr: "pipe" })
  const said = new Response(child.stderr).text()
  const hub = new Events(child.stdout)
  const first = await hub.next((event) => event.event === "ready" || event.event === "failed")
  if (first?.event === "ready") return new TestHub(child, hub, first)
  child.stdin.end()
  throw new Error(first ? `The module does not run: ${first.error}` : `No hub was started: ${(await said).trim()}`)
}

export class TestHub {
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string
  /** The hub's folder; the module's data is in `<home>/<short>`. Both are gone after `stop()`. */
  readonly home: string
  readonly short: string
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">
  readonly #events: Events

  constructor(child: Bun.Subprocess<"pipe", "pipe", "pipe">, events: Events, ready: Event) {
    this.#child = child
    this.#events = events
    this.origin = String(ready.origin)
    this.home = String(ready.home)
    this.short = String(ready.short)
  }

  /** Requests a path below the module's mount, through the hub. */
  fetch(path = "", init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.origin}/${this.short}${path}`, init)
  }

  /** An access token with these scopes, such as `clock:read`, as an app would get it. */
  async token(...scopes: string[]): Promise<string> {
    const { token } = await this.#operator("POST", "/api/auth/mint-token", { scope: scopes.join(" "), expires_in: 600 })
    return String(token)
  }

  /** Stops the module and starts it again; `kill` ends it without a warning first, as a crash does. */
  async restart({ kill = false } = {}): Promise<void> {
    if (kill) process.kill(Number((await this.#module()).pid), "SIGKILL")
    await this.#operator("POST", `/api/modules/${this.short}/restart`)
  }

  /** The module's log so far, one line each. */
  log(): string[] {
    return this.#events.all.filter((each) => each.event === "log").map((each) => String(each.text))
  }

  /** Ends the hub and the module, and removes their data. */
  async stop(): Promise<void> {
    this.#child.stdin.end()
    await this.#child.exited
  }

  async #module(): Promise<Record<string, unknown>> {
    const { modules } = await this.#operator("GET", "/api/modules")
    return (modules as Record<string, unknown>[]).find((each) => each.short === this.short)!
  }

  async #operator(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const token = readFileSync(join(this.home, "operator.token"), "utf8").trim()
    const response = await fetch(this.origin + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    })
    const answer = (await response.json()) as Record<string, unknown>
    if (!response.ok) throw new Error(`${method} ${path}: ${answer.error_description ?? response.status}`)
    return answer
  }
}

/** What `parachute module dev --json` tells: one JSON object a line. */
class Events {
  readonly all: Event[] = []
  #ended = false
  #wake: () => void = () => undefined

  constructor(output: ReadableStream<Uint8Array>) {
    this.#read(output).finally(() => {
      this.#ended = true
      this.#wake()
    })
  }

  /** The first event that fits; undefined if the output ends before. */
  async next(fits: (event: Event) => boolean): Promise<Event | undefined> {
    for (let seen = 0; ; ) {
      for (; seen < this.all.length; seen++) if (fits(this.all[seen]!)) return this.all[seen]
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  async #read(output: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder()
    let rest = ""
    for await (const chunk of output) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
      rest = lines.pop()!
      for (const line of lines) this.all.push(JSON.parse(line))
      this.#wake()
    }
  }
}
