// Speech to text for apps that hold only a key of this vault: passed on to scribe as it comes.

import { Refused } from "../kit/http.ts"

/** Seconds until scribe must have answered. */
const PATIENCE = 10 * 60

/** Forwards a multipart upload to SCRIBE_URL. Neither the audio nor the answer is held in memory. */
export async function transcribe(request: Request): Promise<Response> {
  const { SCRIBE_URL: scribe, SCRIBE_AUTH_TOKEN: token } = process.env
  if (!scribe) {
    const message = "No transcription here yet. Install scribe on the hub, then restart the vault."
    throw new Refused(503, { error: "Not configured", message })
  }
  const headers = new Headers({ "content-type": request.headers.get("content-type") ?? "" })
  if (token) headers.set("authorization", `Bearer ${token}`)
  try {
    const answer = await fetch(`${scribe.replace(/\/+$/, "")}/v1/audio/transcriptions`, {
      method: "POST",
      headers,
      body: request.body,
      signal: AbortSignal.any([request.signal, AbortSignal.timeout(PATIENCE * 1000)]),
    })
    const type = answer.headers.get("content-type") ?? "application/json"
    return new Response(answer.body, { status: answer.status, headers: { "content-type": type } })
  } catch {
    throw new Refused(502, { error: "Scribe unreachable", message: "Scribe did not answer. Look at its log." })
  }
}
