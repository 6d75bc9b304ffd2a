// REST over one vault: which function answers which path below /vault/<name>/api/.

import type { Grants } from "../auth.ts"
import { LIMITS, type Store } from "../store/store.ts"
import type { LiveStreams } from "../streams.ts"
import { attachment, attachments, upload, uploads } from "./attachments.ts"
import { changes } from "./changes.ts"
import { notAllowed } from "./errors.ts"
import { events } from "./events.ts"
import { completeLink, note, notes, resolveLink } from "./notes.ts"
import { transcribe } from "./transcribe.ts"
import { trash, trashed } from "./trash.ts"

/** One request, as the functions below get it. `key` is what follows the noun, decoded. */
export interface Asked {
  request: Request
  url: URL
  method: string
  key: string[]
  store: Store
  vault: string
  streams: LiveStreams
  /** Throws when the caller's token is no longer good. */
  recheck: () => Promise<Grants>
}

type Handler = (asked: Asked) => Response | Promise<Response>

interface Route {
  noun: string
  /** How many parts the key has at least and at most. */
  parts: [number, number]
  methods: string[]
  handle: Handler
}

const ANY = Number.MAX_SAFE_INTEGER
/** Loaded at the first export or import: the vault starts sooner and stays smaller. */
const transfer = () => import("./transfer.ts")

const ROUTES: Route[] = [
  { noun: "notes", parts: [0, 0], methods: ["GET", "HEAD", "POST"], handle: notes },
  { noun: "notes", parts: [1, ANY], methods: ["GET", "HEAD", "PATCH", "DELETE"], handle: note },
  { noun: "tags", parts: [0, 0], methods: ["GET", "HEAD"], handle: ({ store }) => Response.json(store.search.tags()) },
  { noun: "transcribe", parts: [0, 0], methods: ["POST"], handle: ({ request }) => transcribe(request) },
  { noun: "limits", parts: [0, 0], methods: ["GET", "HEAD"], handle: () => Response.json(LIMITS) },
  { noun: "changes", parts: [0, 0], methods: ["GET", "HEAD"], handle: changes },
  { noun: "events", parts: [0, 0], methods: ["GET"], handle: events },
  { noun: "trash", parts: [0, 0], methods: ["GET", "HEAD", "DELETE"], handle: trash },
  { noun: "trash", parts: [1, 2], methods: ["GET", "HEAD", "POST", "DELETE"], handle: trashed },
  { noun: "attachments", parts: [0, 0], methods: ["GET", "HEAD", "POST"], handle: attachments },
  { noun: "attachments", parts: [1, 2], methods: ["GET", "HEAD", "PATCH", "DELETE"], handle: attachment },
  { noun: "uploads", parts: [0, 0], methods: ["POST"], handle: uploads },
  { noun: "uploads", parts: [1, 1], methods: ["GET", "HEAD", "PATCH", "DELETE"], handle: upload },
  { noun: "export", parts: [0, 0], methods: ["GET"], handle: async (asked) => (await transfer()).exportNotes(asked) },
  { noun: "import", parts: [0, 0], methods: ["POST"], handle: async (asked) => (await transfer()).importNotes(asked) },
]

/** `path` is what follows /api/, decoded and split at the slashes. undefined: no such resource. */
export async function answerApi(asked: Omit<Asked, "key">, path: string[]): Promise<Response | undefined> {
  const [noun, ...key] = path
  if (noun === "links" && key.length === 1) return links(asked, key[0]!)
  const length = key.length
  const route = ROUTES.find((each) => each.noun === noun && length >= each.parts[0] && length <= each.parts[1])
  if (!route) return undefined
  // Below a note are resources with methods of their own; notes.ts refuses what does not fit.
  const nested = route.handle === note && key.length > 1 && asked.method === "POST"
  if (!nested && !route.methods.includes(asked.method)) throw notAllowed(route.methods)
  return route.handle({ ...asked, key })
}

function links(asked: Omit<Asked, "key">, what: string): Response | undefined {
  const handle = { resolve: resolveLink, complete: completeLink }[what]
  if (!handle) return undefined
  if (asked.method !== "GET") throw notAllowed(["GET"])
  return handle({ ...asked, key: [] })
}
