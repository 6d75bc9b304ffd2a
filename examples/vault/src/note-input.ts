// What callers may say about notes, checked once for REST and MCP. Field names are those of the API.

import { asObject, badRequest } from "./kit/http.ts";

export interface NewNote {
  content: string;
  path: string | null;
  tags: string[];
  metadata?: Record<string, unknown>;
}

/** undefined leaves a field as it is; `path: null` takes the path away. */
export interface NoteChange {
  content?: string;
  path?: string | null;
  /** From the tags a note has to those it shall have. */
  tags?: (before: string[]) => string[];
  metadata?: Record<string, unknown>;
  /** Change only if the note is still this version. */
  ifUpdatedAt?: string;
}

export interface NoteQuery {
  /** Notes with any of these; empty means all. */
  tags: string[];
  search: string;
  pathPrefix: string;
  content: boolean;
  limit: number;
  offset: number;
}

const MOST = 500;

export function newNote(value: unknown): NewNote {
  const fields = asObject(value, "A note");
  return {
    content: text(fields.content ?? "", "content"),
    path: path(fields.path),
    tags: tags(fields.tags ?? []),
    metadata: metadata(fields.metadata),
  };
}

export function noteChange(value: unknown): NoteChange {
  const fields = asObject(value, "A change");
  return {
    content: fields.content === undefined ? undefined : text(fields.content, "content"),
    path: fields.path === undefined ? undefined : path(fields.path),
    tags: fields.tags === undefined ? undefined : tagChange(fields.tags),
    metadata: metadata(fields.metadata),
    ifUpdatedAt: fields.if_updated_at === undefined ? undefined : text(fields.if_updated_at, "if_updated_at"),
  };
}

/** From MCP arguments, or from a query string in which values are text. */
export function noteQuery(fields: Record<string, unknown>): NoteQuery {
  return {
    tags: tags(fields.tag === undefined ? [] : [fields.tag].flat()),
    search: text(fields.search ?? "", "search"),
    pathPrefix: text(fields.path_prefix ?? "", "path_prefix"),
    content: fields.include_content === true || fields.include_content === "true",
    limit: count(fields.limit ?? 50, "limit", 1, MOST),
    offset: count(fields.offset ?? 0, "offset", 0, Number.MAX_SAFE_INTEGER),
  };
}

export function queryFields(parameters: URLSearchParams): Record<string, unknown> {
  return { ...Object.fromEntries(parameters), ...(parameters.has("tag") && { tag: parameters.getAll("tag") }) };
}

function text(value: unknown, field: string): string {
  if (typeof value !== "string") throw badRequest(`"${field}" must be text.`);
  return value;
}

function path(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  const given = text(value, "path").trim();
  if (given === "" || given.length > 500 || /[\u0000-\u001f\u007f]/.test(given)) {
    throw badRequest('"path" must have 1 to 500 characters and no control characters.');
  }
  return given;
}

function tags(value: unknown): string[] {
  if (!Array.isArray(value)) throw badRequest('"tags" must be a list of words.');
  return [...new Set(value.map(tag))];
}

function tag(value: unknown): string {
  const word = text(value, "tags").trim().replace(/^#/, "");
  if (word === "" || word.length > 100 || /[\s\u0000-\u001f]/.test(word)) {
    throw badRequest("A tag must have 1 to 100 characters and no spaces.");
  }
  return word;
}

/** Either the whole new list, or `{"add": […], "remove": […]}`. */
function tagChange(value: unknown): (before: string[]) => string[] {
  if (Array.isArray(value)) {
    const after = tags(value);
    return () => after;
  }
  const fields = asObject(value, '"tags"');
  const add = tags(fields.add ?? []);
  const remove = new Set(tags(fields.remove ?? []));
  return (before) => [...before.filter((tag) => !remove.has(tag)), ...add];
}

function metadata(value: unknown): Record<string, unknown> | undefined {
  return value === undefined || value === null ? undefined : asObject(value, '"metadata"');
}

function count(value: unknown, field: string, least: number, most: number): number {
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (!Number.isInteger(number) || (number as number) < least || (number as number) > most) {
    throw badRequest(`"${field}" must be a whole number from ${least} to ${most}.`);
  }
  return number as number;
}
