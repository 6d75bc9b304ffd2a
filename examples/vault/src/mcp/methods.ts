// Which function answers which method, in which revisions, and how long its result may be cached.

import { complete } from "./completion.ts"
import type { Context } from "./http.ts"
import { listen } from "./listen.ts"
import { getPrompt, listPrompts } from "./prompts.ts"
import { type Id, LEGACY, type Params, SUPPORTED, serverInfo } from "./protocol.ts"
import { listResources, listTemplates, readResource } from "./resources.ts"
import { callTool, listTools } from "./tools.ts"

export interface Asked extends Context {
  id: Id
  params: Params
  modern: boolean
  cursor: unknown
}

interface Method {
  run(asked: Asked): object | Promise<object>
  only?: "modern" | "legacy"
  cache?: { ttlMs: number; scope: "public" | "private" }
}

const MINUTE = 60_000

export const METHODS: Record<string, Method> = {
  "server/discover": { run: discover, only: "modern", cache: { ttlMs: 5 * MINUTE, scope: "private" } },
  initialize: { run: initialize, only: "legacy" },
  ping: { run: () => ({}), only: "legacy" },
  "tools/list": { run: listTools, cache: { ttlMs: 5 * MINUTE, scope: "private" } },
  "tools/call": { run: callTool },
  "resources/list": { run: listResources, cache: { ttlMs: 0, scope: "private" } },
  "resources/templates/list": { run: listTemplates, cache: { ttlMs: 5 * MINUTE, scope: "private" } },
  "resources/read": { run: readResource, cache: { ttlMs: 0, scope: "private" } },
  "prompts/list": { run: listPrompts, cache: { ttlMs: 5 * MINUTE, scope: "private" } },
  "prompts/get": { run: getPrompt },
  "completion/complete": { run: complete },
  "subscriptions/listen": { run: listen, only: "modern" },
}

function discover({ grants }: Asked): object {
  return {
    supportedVersions: SUPPORTED,
    capabilities: { tools: {}, resources: { subscribe: true, listChanged: true }, prompts: {}, completions: {} },
    instructions: instructions(grants.vault),
  }
}

function initialize({ grants, params }: Asked): object {
  const wanted = params.protocolVersion as string
  return {
    protocolVersion: LEGACY.includes(wanted) ? wanted : LEGACY[0],
    capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} },
    serverInfo: serverInfo(grants.vault),
    instructions: instructions(grants.vault),
  }
}

function instructions(vault: string): string {
  return (
    `You are connected to the Parachute vault "${vault}", a person's Markdown notes. Search with query-notes before ` +
    "you write. Link notes with [[their path or title]] and tag them with #tags. Send if_updated_at with a change, " +
    "so that nobody's text is overwritten. Deleted notes can be restored for 30 days."
  )
}
