// The page's elements, and its status and error messages.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id)
  if (!element) throw new Error(`index.html lacks #${id}`)
  return element as T
}

/** Shows a status such as "Saved", announced politely by screen readers. */
export function tell(text: string): void {
  byId("status").textContent = text
}

/** Shows an error until the next success. Without an argument, hides it. */
export function complain(problem?: unknown): void {
  const place = byId("problem")
  place.hidden = problem === undefined
  if (problem === undefined) return
  if (!(problem instanceof Problem)) console.error(problem)
  place.textContent = problem instanceof Problem ? problem.message : "Something went wrong here. Reload the page."
}

/** An error with a message for the person. */
export class Problem extends Error {}

/** Runs an event handler and shows its errors. */
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
