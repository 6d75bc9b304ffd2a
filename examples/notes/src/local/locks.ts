// One tab works for all. Web Locks exist only over https and on localhost; elsewhere each tab works for itself, which
// costs requests but loses nothing.

/** Runs `work` while no other tab does, waiting for the turn; the lock ends with the tab. */
export async function alone(name: string, work: () => Promise<void>, signal?: AbortSignal): Promise<void> {
  if (!navigator.locks) return work()
  try {
    await navigator.locks.request(name, signal ? { signal } : {}, work)
  } catch (error) {
    if (!signal?.aborted) throw error
  }
}

/** Holds a lock as long as the page lives, so that others can see that it does. */
export function hold(name: string): void {
  void navigator.locks?.request(name, () => new Promise(() => {}))
}

/** The names of all locks that are held now; undefined where that cannot be known. */
export async function held(): Promise<Set<string> | undefined> {
  if (!navigator.locks) return undefined
  const { held = [] } = await navigator.locks.query()
  return new Set(held.map(({ name }) => name ?? ""))
}
