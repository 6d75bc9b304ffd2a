/** Addresses that people pass on. */

/** Whether the host of an address is, for each computer, that computer itself, so that no other one can open it. */
export function opensOnlyHere(url: string): boolean {
  return /^(localhost|.*\.localhost|127\.[0-9.]+|\[::1\])$/.test(new URL(url).hostname)
}
