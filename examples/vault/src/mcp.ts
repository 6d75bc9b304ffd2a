// The vault as MCP tools: streamable HTTP without sessions, one JSON answer for one JSON message.
// https://modelcontextprotocol.io/specification/2025-11-25/basic/transports

import { version } from "../package.json";
import type { Grants, Verb } from "./auth.ts";
import { readJson, Refused } from "./kit/http.ts";
import { newNote, noteChange, noteQuery } from "./note-input.ts";
import { NoteChanged, PathTaken, type Store } from "./store.ts";

const PROTOCOLS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const MESSAGE_LIMIT = 8 * 1024 * 1024;

type Arguments = Record<string, unknown>;

interface Tool {
  name: string;
  verb: Verb;
  description: string;
  properties: Record<string, object>;
  required?: string[];
  run(store: Store, values: Arguments, vault: string): unknown;
}

const text = (description: string) => ({ type: "string", description });
const NOTE_KEY = text("The note's id or path");
const TAGS = { type: "array", items: { type: "string" }, description: "Tags, without #" };
const METADATA = { type: "object", description: "Any further values, by name" };

const TOOLS: Tool[] = [
  {
    name: "query-notes",
    verb: "read",
    description: "Find notes. With `id` one note; else those that match every filter, newest change first.",
    properties: {
      id: NOTE_KEY,
      search: text("Words that path or content must have"),
      tag: { anyOf: [{ type: "string" }, TAGS], description: "Notes with any of these tags" },
      path_prefix: text("Beginning of the path"),
      include_content: { type: "boolean", description: "Content too; a list leaves it out by default" },
      limit: { type: "integer", minimum: 1, maximum: 500, description: "50 by default" },
      offset: { type: "integer", minimum: 0 },
    },
    run: (store, values) =>
      values.id === undefined ? store.list(noteQuery(values)) : existing(store.find(String(values.id)), values.id),
  },
  {
    name: "create-note",
    verb: "write",
    description: "Write a new note.",
    properties: {
      content: text("Markdown"),
      path: text('Name of the note, such as "Projects/Garden"; no two notes have the same'),
      tags: TAGS,
      metadata: METADATA,
    },
    required: ["content"],
    run: (store, values) => store.create(newNote(values)),
  },
  {
    name: "update-note",
    verb: "write",
    description: "Change a note. What is not given stays as it is.",
    properties: {
      id: NOTE_KEY,
      content: text("The whole new content"),
      path: text("New path"),
      tags: {
        anyOf: [TAGS, { type: "object", properties: { add: TAGS, remove: TAGS } }],
        description: "All tags, or those to add and remove",
      },
      metadata: { ...METADATA, description: "Values to set; null removes one" },
      if_updated_at: text("The note's updatedAt as you read it; refused if it changed since"),
    },
    required: ["id"],
    run: (store, values) => existing(store.update(String(values.id), noteChange(values)), values.id),
  },
  {
    name: "delete-note",
    verb: "write",
    description: "Remove a note for good.",
    properties: { id: NOTE_KEY },
    required: ["id"],
    run: (store, values) => ({ deleted: true, id: existing(store.remove(String(values.id)), values.id) }),
  },
  {
    name: "list-tags",
    verb: "read",
    description: "All tags, with the number of notes each.",
    properties: {},
    run: (store) => store.tags(),
  },
  {
    name: "vault-info",
    verb: "read",
    description: "Name and size of this vault.",
    properties: {},
    run: (store, _values, vault) => ({ name: vault, stats: store.stats() }),
  },
];

/** Answers one POST to /mcp. */
export async function answerMcp(request: Request, store: Store, grants: Grants): Promise<Response> {
  const spoken = request.headers.get("mcp-protocol-version");
  if (spoken && !PROTOCOLS.includes(spoken)) {
    return failure(null, -32600, `Unknown MCP-Protocol-Version; use one of ${PROTOCOLS.join(", ")}`, 400);
  }
  let message: any;
  try {
    message = await readJson(request, MESSAGE_LIMIT);
  } catch (error) {
    if (error instanceof Refused && error.status === 400) return failure(null, -32700, error.message, 400);
    throw error;
  }
  if (message?.jsonrpc !== "2.0" || (typeof message.method !== "string" && !isAnswer(message))) {
    return failure(null, -32600, "One JSON-RPC 2.0 message is expected", 400);
  }
  if (message.id === undefined || isAnswer(message)) return new Response(null, { status: 202 });
  return call(message.id, message.method, message.params ?? {}, store, grants);
}

function call(id: unknown, method: string, params: any, store: Store, grants: Grants): Response {
  switch (method) {
    case "initialize":
      return success(id, {
        protocolVersion: PROTOCOLS.includes(params.protocolVersion) ? params.protocolVersion : PROTOCOLS[0],
        capabilities: { tools: {} },
        serverInfo: { name: `parachute-vault/${grants.vault}`, version },
        instructions: `You are connected to the Parachute vault "${grants.vault}".`,
      });
    case "ping":
      return success(id, {});
    case "tools/list":
      return success(id, { tools: TOOLS.filter((tool) => grants.allow(tool.verb)).map(describe) });
    case "tools/call": {
      const tool = TOOLS.find(({ name }) => name === params.name);
      if (!tool) return failure(id, -32602, `There is no tool "${params.name}"`);
      return success(id, use(tool, params.arguments ?? {}, store, grants));
    }
    default:
      return failure(id, -32601, `There is no method "${method}"`);
  }
}

/** A tool's failure is part of its result, so that the assistant reads it and can do better. */
function use(tool: Tool, values: Arguments, store: Store, grants: Grants): object {
  try {
    grants.need(tool.verb);
    return { content: [{ type: "text", text: JSON.stringify(tool.run(store, values, grants.vault), null, 2) }] };
  } catch (error) {
    if (error instanceof Refused || error instanceof PathTaken || error instanceof NoteChanged) {
      return { content: [{ type: "text", text: error.message }], isError: true };
    }
    throw error;
  }
}

function describe({ name, description, properties, required, verb }: Tool): object {
  return {
    name,
    description,
    inputSchema: { type: "object", properties, ...(required && { required }) },
    annotations: { readOnlyHint: verb === "read", destructiveHint: name === "delete-note" },
  };
}

function existing<T>(found: T | undefined, key: unknown): T {
  if (found === undefined) throw new Refused(404, { error: "Not found", message: `There is no note "${key}".` });
  return found;
}

function isAnswer(message: any): boolean {
  return message?.method === undefined && (message?.result !== undefined || message?.error !== undefined);
}

function success(id: unknown, result: object): Response {
  return Response.json({ jsonrpc: "2.0", id, result });
}

function failure(id: unknown, code: number, message: string, status = 200): Response {
  return Response.json({ jsonrpc: "2.0", id, error: { code, message } }, { status });
}
