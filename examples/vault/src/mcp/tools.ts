// Tools: listing, calling, and how their results and failures look.

import type { Verb } from "../auth.ts"
import { refusalOf } from "../rest/errors.ts"
import { NoteChanged } from "../store/model.ts"
import type { Store } from "../store/store.ts"
import type { Asked } from "./methods.ts"
import { invalid, type Params, startOf } from "./protocol.ts"
import { TOOLS } from "./toolbox.ts"

export interface Tool {
  name: string
  title: string
  verb: Verb
  description: string
  properties: Record<string, object>
  required?: string[]
  /** Schema of the structured result. */
  output: object
  /** Whether something could get lost, and whether a second call changes nothing more. */
  destructive?: boolean
  idempotent?: boolean
  /** `text` is what the assistant reads when it is not the same as the structured result. */
  run(store: Store, values: Params, vault: string): Result
}

export interface Result {
  structured: object
  text?: unknown
}

export function listTools({ grants, cursor }: Asked): object {
  startOf(cursor)
  return { tools: TOOLS.filter((tool) => grants.allow(tool.verb)).map(describe) }
}

/** A tool's failure is part of its result, so that the assistant reads it and can do better. */
export function callTool({ store, grants, params }: Asked): object {
  const tool = TOOLS.find(({ name }) => name === params.name)
  if (!tool) throw invalid(`There is no tool "${params.name}"`)
  grants.need(tool.verb)
  const values = params.arguments ?? {}
  if (typeof values !== "object" || Array.isArray(values)) throw invalid('"arguments" must be an object.')
  try {
    const { structured, text } = tool.run(store, values as Params, grants.vault)
    return {
      content: [{ type: "text", text: JSON.stringify(text ?? structured, null, 2) }],
      structuredContent: structured,
    }
  } catch (error) {
    const refusal = refusalOf(error)
    if (!refusal) throw error
    const text = [refusal.message]
    if (error instanceof NoteChanged) text.push("", "The note is now:", JSON.stringify(error.current, null, 2))
    return { content: [{ type: "text", text: text.join("\n") }], isError: true }
  }
}

function describe(tool: Tool): object {
  const { name, title, description, properties, required, output, verb, destructive, idempotent } = tool
  return {
    name,
    title,
    description,
    inputSchema: { type: "object", properties, ...(required && { required }), additionalProperties: false },
    outputSchema: output,
    annotations: {
      title,
      readOnlyHint: verb === "read",
      destructiveHint: destructive ?? false,
      idempotentHint: idempotent ?? verb === "read",
      openWorldHint: false,
    },
  }
}
