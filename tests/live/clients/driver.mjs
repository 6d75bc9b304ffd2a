// Asks the test to walk a person through an authorization request; gives back where the person was sent.
import { createInterface } from "node:readline"

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export async function authorize(url) {
  console.log(`AUTHORIZE ${url}`)
  const { value } = await lines.next()
  return new URL(value)
}

// The open standard input would keep the program alive.
export function done() {
  process.exit(0)
}

export function expect(condition, what) {
  if (!condition) throw new Error(`expected ${what}`)
  console.log(`ok ${what}`)
}
