// REST over the notes of one vault: /vault/<name>/api/...

import { readJson, Refused } from "./kit/http.ts";
import { newNote, noteChange, noteQuery, queryFields } from "./note-input.ts";
import { NoteChanged, PathTaken, type Store } from "./store.ts";
import { transcribe } from "./transcribe.ts";

/** Bytes of a note with everything around it. */
const NOTE_LIMIT = 8 * 1024 * 1024;

/** `path` is what follows /api/, decoded and cut at the slashes. undefined: no such resource. */
export async function answerApi(request: Request, path: string[], store: Store): Promise<Response | undefined> {
  const [noun, ...key] = path;
  const allowed = methodsOf(noun, key);
  if (!allowed) return undefined;
  if (!allowed.includes(request.method)) throw notAllowed(allowed);
  if (noun === "tags") return Response.json(store.tags());
  if (noun === "transcribe") return transcribe(request);
  try {
    return key.length === 0 ? await collection(request, store) : await single(request, key.join("/"), store);
  } catch (error) {
    if (error instanceof PathTaken) throw new Refused(409, { error: "Conflict", message: error.message });
    if (error instanceof NoteChanged) {
      throw new Refused(409, { error: "Conflict", message: error.message, current: error.current });
    }
    throw error;
  }
}

export function notAllowed(methods: string[]): Refused {
  const message = `Use ${methods.join(" or ")} here.`;
  return new Refused(405, { error: "Method not allowed", message }, { allow: methods.join(", ") });
}

function methodsOf(noun: string | undefined, key: string[]): string[] | undefined {
  if (noun === "notes") return key.length === 0 ? ["GET", "HEAD", "POST"] : ["GET", "HEAD", "PATCH", "DELETE"];
  if (key.length > 0) return undefined;
  return { tags: ["GET", "HEAD"], transcribe: ["POST"] }[noun ?? ""];
}

async function collection(request: Request, store: Store): Promise<Response> {
  if (request.method === "POST") {
    return Response.json(store.create(newNote(await readJson(request, NOTE_LIMIT))), { status: 201 });
  }
  const parameters = new URL(request.url).searchParams;
  const id = parameters.get("id");
  if (id) return Response.json(existing(store.find(id), id));
  return Response.json(store.list(noteQuery(queryFields(parameters))));
}

async function single(request: Request, key: string, store: Store): Promise<Response> {
  switch (request.method) {
    case "PATCH": {
      const change = noteChange(await readJson(request, NOTE_LIMIT));
      return Response.json(existing(store.update(key, change), key));
    }
    case "DELETE":
      return Response.json({ deleted: true, id: existing(store.remove(key), key) });
    default:
      return Response.json(existing(store.find(key), key));
  }
}

function existing<T>(found: T | undefined, key: string): T {
  if (found === undefined) throw new Refused(404, { error: "Not found", message: `There is no note "${key}".` });
  return found;
}
