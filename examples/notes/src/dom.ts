// The page's elements, and the two places where it speaks to the person.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id)
  if (!element) throw new Error(`index.html lacks #${id}`)
  return element as T
}

/** Says something that needs no answer: "Saved". Screen readers read it out when they are idle. */
export function tell(text: string): void {
  byId("status").textContent = text
}

/** Shows what went wrong and what to do, until the next success. Without an argument it goes away. */
export function complain(problem?: unknown): void {
  const place = byId("problem")
  place.hidden = problem === undefined
  if (problem === undefined) return
  if (!(problem instanceof Problem)) console.error(problem)
  place.textContent = problem instanceof Problem ? problem.message : "Something went wrong here. Reload the page."
}

/** A failure in words for the person. */
export class Problem extends Error {}

/** Runs an event's work; a failure is shown. */
export async function attempt(work: () => Promise<void> | void): Promise<void> {
  try {
    await work()
  } catch (problem) {
    complain(problem)
  }
}

export function onClick(id: string, work: () => Promise<void> | void): void {
  byId(id).addEventListener("click", () => void attempt(work))
}
