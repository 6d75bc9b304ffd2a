/** A document of the API for a page: shown from cache first, then reloaded. */
import { useCallback, useEffect, useState } from "preact/hooks"
import type { AnswerTo, Path } from "../api/shapes"
import { hub, news } from "../app"

const kept = new Map<string, unknown>()

export interface Resource<T> {
  /** Null until the first answer. */
  data: T | null
  problem: string | null
  reload: () => Promise<void>
}

/** With `live`, reloads on every event from the hub; otherwise only after an error. */
export function useResource<P extends Path>(path: P, live = false): Resource<AnswerTo<P>> {
  type T = AnswerTo<P>
  const [data, setData] = useState<T | null>((kept.get(path) as T | undefined) ?? null)
  const [problem, setProblem] = useState<string | null>(null)
  const reload = useCallback(async () => {
    try {
      const fresh = await hub.get(path)
      kept.set(path, fresh)
      setData(fresh)
      setProblem(null)
    } catch (failure) {
      setProblem(failure instanceof Error ? failure.message : String(failure))
    }
  }, [path])
  const moved = live || problem !== null ? news.value : 0
  useEffect(() => void reload(), [reload, moved])
  return { data, problem, reload }
}
