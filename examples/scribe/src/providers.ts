// Turns an audio file into text: by a service with OpenAI's interface, or by a program here.

import { Refused } from "./kit/http.ts"
import { type Values, words } from "./settings.ts"
import type { Upload } from "./upload.ts"

const SERVICE_SECONDS = 300
const TEXT_LIMIT = 4 * 1024 * 1024
/** Fields of the Whisper API that are passed on; the model is the owner's choice. */
const PASSED_ON = ["language", "prompt", "temperature"]

/** The text, without blanks around it. Throws Refused when the provider failed. */
export async function transcribe(upload: Upload, values: Values, signal: AbortSignal): Promise<string> {
  const text = values.provider === "command" ? byCommand(upload, values, signal) : byService(upload, values, signal)
  return (await text).trim()
}

async function byService(upload: Upload, values: Values, signal: AbortSignal): Promise<string> {
  const form = new FormData()
  form.append("file", Bun.file(upload.path), upload.name)
  form.append("model", values.openai_model)
  form.append("response_format", "json")
  for (const name of PASSED_ON) {
    if (upload.fields[name]) form.append(name, upload.fields[name])
  }
  const headers: Record<string, string> = {}
  if (values.openai_key) headers.authorization = `Bearer ${values.openai_key}`
  const limit = AbortSignal.any([signal, AbortSignal.timeout(SERVICE_SECONDS * 1000)])
  const url = `${values.openai_url.replace(/\/+$/, "")}/audio/transcriptions`
  let answer: Response
  try {
    answer = await fetch(url, { method: "POST", body: form, headers, signal: limit, redirect: "error" })
  } catch {
    throw failed("The transcription service did not answer. Check its address and your connection.")
  }
  if (!answer.ok) throw failed(reason(answer.status, await codeOf(answer)))
  const body = (await answer.json().catch(() => undefined)) as { text?: unknown } | undefined
  if (typeof body?.text !== "string") throw failed("The transcription service answered without a text.")
  return body.text
}

/** The machine-readable part of an error; the service's own words may repeat the key. */
async function codeOf(answer: Response): Promise<string> {
  const body = (await answer.json().catch(() => undefined)) as
    | { error?: { code?: unknown; type?: unknown } }
    | undefined
  return `${body?.error?.code ?? ""} ${body?.error?.type ?? ""}`
}

/** What is wrong, by the status of the service and its error code. */
export function reason(status: number, code: string): string {
  const service = "The transcription service"
  if (status === 402 || /insufficient_quota|billing/.test(code)) {
    return `${service} accepts the key, but the account behind it has no credit left. Add credit there.`
  }
  if (status === 401 || status === 403) return `${service} refused the API key (${status}). Check the key.`
  if (status === 404) return `${service} does not know this address or model (404). Check both.`
  if (status === 429) return `${service} gets too many requests from this account (429). Try again in a minute.`
  if (status === 400 || status === 422) return `${service} does not accept the request (${status}). Check the model.`
  return `${service} answered ${status}. Try again later.`
}

/** A second of silence as a WAV file: 8 kHz, 16 bit, one channel. */
export function silence(): Uint8Array {
  const rate = 8000
  const bytes = new Uint8Array(44 + rate * 2)
  const view = new DataView(bytes.buffer)
  const text = (at: number, word: string) => bytes.set(new TextEncoder().encode(word), at)
  text(0, "RIFF")
  view.setUint32(4, bytes.length - 8, true)
  text(8, "WAVEfmt ")
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, rate, true)
  view.setUint32(28, rate * 2, true)
  view.setUint16(32, 2, true)
  view.setUint16(34, 16, true)
  text(36, "data")
  view.setUint32(40, rate * 2, true)
  return bytes
}

let queue: Promise<unknown> = Promise.resolve()

/** One program at a time: two speech models do not fit into a small machine. */
async function byCommand(upload: Upload, values: Values, signal: AbortSignal): Promise<string> {
  const turn = queue.then(() => (signal.aborted ? "" : run(upload, values, signal)))
  queue = turn.catch(() => undefined)
  return turn
}

const running = new Set<number>()

/** The program runs in a process group of its own, so that its helpers end with it. */
async function run(upload: Upload, values: Values, signal: AbortSignal): Promise<string> {
  const argv = words(values.command).map((word) => word.replaceAll("{file}", upload.path))
  let child: Bun.Subprocess<"ignore", "pipe", "inherit">
  try {
    child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit", detached: true, env: harmless() })
  } catch {
    throw failed(`The program "${argv[0]}" cannot be started. Is it installed, and is its path correct?`)
  }
  const limit = AbortSignal.any([signal, AbortSignal.timeout(values.command_seconds * 1000)])
  const stop = () => endGroup(child.pid)
  limit.addEventListener("abort", stop)
  running.add(child.pid)
  try {
    const text = await bounded(child.stdout)
    const code = await child.exited
    if (limit.aborted) throw failed(`The program took more than ${values.command_seconds} seconds and was stopped.`)
    if (code !== 0) throw failed(`The program "${argv[0]}" failed (${code}). Scribe's log has its output.`)
    return text
  } finally {
    limit.removeEventListener("abort", stop)
    stop()
    running.delete(child.pid)
  }
}

/** Ends every program under way; for the shutdown. */
export function endPrograms(): void {
  running.forEach(endGroup)
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // The whole group has ended by itself.
  }
}

async function bounded(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  for await (const piece of stream) {
    text += decoder.decode(piece, { stream: true })
    if (text.length > TEXT_LIMIT) throw failed("The program printed too much to be a transcript.")
  }
  return text + decoder.decode()
}

/** Our environment without secrets. */
function harmless(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/KEY|TOKEN|SECRET|PASSWORD/i.test(name)))
}

function failed(message: string): Refused {
  return new Refused(502, { error: "provider_failed", message })
}
