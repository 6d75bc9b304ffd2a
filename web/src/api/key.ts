const NAME = "parachute_hub_key"

/** What the page after signing in over plain http kept for this port; null over https, or where storage is off. */
export function keptKey(): string | null {
  try {
    return localStorage.getItem(NAME)
  } catch {
    return null
  }
}
