/** Activity: the audit log. */
import { useState } from "preact/hooks"
import { actWords } from "../acts"
import type { Act } from "../api/shapes"
import { hub } from "../app"
import { ago, exactly } from "../format"
import { useResource } from "../state/resource"
import { Button, Card, Empty, Head, Waiting } from "../ui/parts"

const PATH = "/api/audit"

export function Activity() {
  const { data, problem } = useResource(PATH, true)
  const [older, setOlder] = useState<Act[]>([])
  const [next, setNext] = useState<number | null | undefined>()
  const more = next === undefined ? data?.next_before : next
  const read = async () => {
    const page = await hub.get(`${PATH}?before=${more}`)
    setOlder([...older, ...page.acts])
    setNext(page.next_before)
  }
  const seen = new Set<number>()
  const acts = [...(data?.acts ?? []), ...older].filter(({ number }) => !seen.has(number) && seen.add(number))
  return (
    <>
      <Head title="Activity" lead="Sign-ins and changes, newest first." />
      <Card>
        {problem && <p class="notice bad">{problem}</p>}
        {!data && !problem && <Waiting lines={8} />}
        {data && acts.length === 0 && <Empty title="No activity yet" />}
        <ul class="list tight">
          {acts.map((act) => (
            <li key={act.number} class={act.outcome === "ok" ? "list-row" : "list-row refused"}>
              <div class="grow">
                <p>
                  <strong>{act.actor || "Someone"}</strong> {actWords(act.action, act.outcome)}
                  {act.subject && act.subject !== act.actor && <strong> {act.subject}</strong>}
                </p>
                <p class="quiet">
                  <time title={exactly(act.at)}>{ago(act.at)}</time>
                  {act.address && `, from ${act.address}`}
                </p>
              </div>
            </li>
          ))}
        </ul>
        {more && <Button act={read}>Show older</Button>}
      </Card>
    </>
  )
}
