/** Parses server-sent events (HTML standard, 9.2.6). */

export interface Message {
  /** The last id sent by the server, possibly with an earlier message. */
  id: string
  name: string
  data: string
}

/** Takes chunks of any size and returns complete messages. */
export class Reader {
  #rest = ""
  #id: string
  #name = ""
  #data: string[] = []

  constructor(lastId = "") {
    this.#id = lastId
  }

  push(text: string): Message[] {
    const found: Message[] = []
    // A CR at the end may be half of a CRLF: keep it for the next chunk.
    const whole = this.#rest + text
    const held = whole.endsWith("\r") ? 1 : 0
    const lines = whole.slice(0, whole.length - held).split(/\r\n|\n|\r/)
    this.#rest = (lines.pop() ?? "") + (held ? "\r" : "")
    for (const line of lines) {
      if (line !== "") this.#field(line)
      else if (this.#data.length > 0) {
        found.push({ id: this.#id, name: this.#name || "message", data: this.#data.join("\n") })
        this.#clear()
      } else this.#clear()
    }
    return found
  }

  #clear(): void {
    this.#name = ""
    this.#data = []
  }

  #field(line: string): void {
    const colon = line.indexOf(":")
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "")
    if (name === "data") this.#data.push(value)
    else if (name === "event") this.#name = value
    else if (name === "id" && !value.includes("\0")) this.#id = value
  }
}
