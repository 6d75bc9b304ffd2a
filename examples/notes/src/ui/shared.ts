// Takes up what another app shared with this one: the service worker has kept it.

import { desk, go } from "./state.ts"

const SHARED = "notes-shared"

export async function takeShared(): Promise<void> {
  if (!("caches" in window) || !(await caches.has(SHARED))) return
  const cache = await caches.open(SHARED)
  const about = await cache.match("/notes/shared/about")
  const { library, files } = desk.value!
  if (!about) return
  const { title, text, url, names } = (await about.json()) as Record<"title" | "text" | "url", string> & {
    names: string[]
  }
  const content = [title && `# ${title}`, text, url].filter(Boolean).join("\n\n")
  const note = await library.create({ content })
  const marks: string[] = []
  for (const [index, name] of names.entries()) {
    const kept = await cache.match(`/notes/shared/${index}`)
    const blob = await kept?.blob()
    if (blob) marks.push(await files.add(note.id, new File([blob], name, { type: blob.type })))
  }
  if (marks.length > 0) await library.change(note.id, { content: [content, ...marks].filter(Boolean).join("\n\n") })
  await caches.delete(SHARED)
  go({ page: "note", id: note.id })
}
