// Kit: error responses, and request bodies with a size limit.

/** An error response: thrown anywhere, rendered by `answer()`. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly body: { error: string; message?: string; [field: string]: unknown },
    readonly headers: Record<string, string> = {},
  ) {
    super(body.message ?? body.error)
  }

  answer(): Response {
    return Response.json(this.body, { status: this.status, headers: this.headers })
  }
}

export function badRequest(message: string): Refused {
  return new Refused(400, { error: "Bad request", message })
}

/** 403 in the format of all Parachute modules. */
export function forbidden(required: string, granted: string[]): Refused {
  return new Refused(403, {
    error: "Forbidden",
    error_type: "insufficient_scope",
    message: `This needs the scope ${required}.`,
    required_scope: required,
    granted_scopes: granted,
  })
}

/** The JSON body of a request. 413 above `limit` bytes, even without Content-Length. */
export async function readJson(request: Request, limit: number): Promise<unknown> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let text = ""
  let size = 0
  try {
    for await (const chunk of request.body ?? []) {
      size += chunk.byteLength
      if (size > limit) break
      text += decoder.decode(chunk, { stream: true })
    }
    text += decoder.decode()
  } catch {
    throw badRequest("The body is not UTF-8 text.")
  }
  if (size > limit) {
    throw new Refused(413, { error: "Too large", message: `The body may have ${limit} bytes at most.` })
  }
  try {
    return JSON.parse(text)
  } catch {
    throw badRequest("The body is not valid JSON.")
  }
}

/** A JSON object, or an error that says what was expected. */
export function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw badRequest(`${what} must be a JSON object.`)
}
