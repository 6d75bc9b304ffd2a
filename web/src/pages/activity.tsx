/** Activity: the audit log, searched and exported. */
import { useState } from "preact/hooks"
import { actionsOf, actWords, KINDS, meansWords } from "../acts"
import type { Act } from "../api/shapes"
import { hub } from "../app"
import { ago, dayStart, exactly } from "../format"
import { useResource } from "../state/resource"
import { Button, Card, Choice, Empty, Field, Head, Waiting } from "../ui/parts"

const PATH = "/api/audit"
const EVERYTHING: readonly (readonly [string, string])[] = [["", "Everything"]]

interface Wanted {
  text: string
  kind: string
  outcome: string
  from: string
  to: string
}

const ALL: Wanted = { text: "", kind: "", outcome: "", from: "", to: "" }

function query({ text, kind, outcome, from, to }: Wanted): string {
  const asked = new URLSearchParams()
  const [since, until] = [dayStart(from), dayStart(to, 1)]
  if (since !== null) asked.set("since", String(since))
  if (until !== null) asked.set("until", String(until))
  if (text) asked.set("q", text)
  if (outcome) asked.set("outcome", outcome)
  for (const action of kind ? actionsOf(kind) : []) asked.append("action", action)
  return asked.toString()
}

export function Activity() {
  const [typed, type] = useState("")
  const [wanted, want] = useState(ALL)
  const asked = query(wanted)
  return (
    <>
      <Head title="Activity" lead="Sign-ins, changes, and what the hub did by itself, newest first." />
      <Card>
        <form
          class="filters"
          role="search"
          onSubmit={(event) => {
            event.preventDefault()
            want({ ...wanted, text: typed.trim() })
          }}
        >
          <Field label="Search">
            {(attributes) => (
              <input {...attributes} type="search" value={typed} onInput={(event) => type(event.currentTarget.value)} />
            )}
          </Field>
          <Choice
            label="What"
            value={wanted.kind}
            set={(kind) => want({ ...wanted, kind })}
            choices={[...EVERYTHING, ...KINDS.map((kind) => [kind, kind] as const)]}
          />
          <Choice
            label="How it ended"
            value={wanted.outcome}
            set={(outcome) => want({ ...wanted, outcome })}
            choices={[...EVERYTHING, ["ok", "Done"], ["not-ok", "Refused or failed"]]}
          />
          <Field label="From">
            {(attributes) => (
              <input
                {...attributes}
                type="date"
                max={wanted.to || undefined}
                value={wanted.from}
                onChange={(event) => want({ ...wanted, from: event.currentTarget.value })}
              />
            )}
          </Field>
          <Field label="To">
            {(attributes) => (
              <input
                {...attributes}
                type="date"
                min={wanted.from || undefined}
                value={wanted.to}
                onChange={(event) => want({ ...wanted, to: event.currentTarget.value })}
              />
            )}
          </Field>
          <button type="submit" class="button">
            Search
          </button>
        </form>
        <Acts key={asked} asked={asked} />
      </Card>
      <Card title="Export">
        <p class="quiet">What the filters above show, as a file.</p>
        <div class="row">
          {["csv", "json"].map((format) => (
            <a key={format} class="button" download href={`${PATH}/export?format=${format}${asked && `&${asked}`}`}>
              {format === "csv" ? "Download as a table (CSV)" : "Download as JSON"}
            </a>
          ))}
        </div>
      </Card>
    </>
  )
}

function Acts({ asked }: { asked: string }) {
  const { data, problem } = useResource(`${PATH}?${asked}`, true)
  const [older, setOlder] = useState<Act[]>([])
  const [next, setNext] = useState<number | null | undefined>()
  const more = next === undefined ? data?.next_before : next
  const read = async () => {
    const page = await hub.get(`${PATH}?before=${more}&${asked}`)
    setOlder([...older, ...page.acts])
    setNext(page.next_before)
  }
  const seen = new Set<number>()
  const acts = [...(data?.acts ?? []), ...older].filter(({ number }) => !seen.has(number) && seen.add(number))
  return (
    <>
      {problem && <p class="notice bad">{problem}</p>}
      {!data && !problem && <Waiting lines={8} />}
      {data && acts.length === 0 && <Empty title={asked ? "Nothing matches" : "No activity yet"} />}
      <ul class="list tight">
        {acts.map((act) => (
          <Row key={act.number} act={act} />
        ))}
      </ul>
      {more && <Button act={read}>Show older</Button>}
    </>
  )
}

function Row({ act }: { act: Act }) {
  const how = meansWords(act.means)
  const who = act.actor || (act.means === "hub" ? "The hub" : "Someone")
  return (
    <li class={act.outcome === "ok" ? "list-row" : "list-row refused"}>
      <div class="grow">
        <p>
          <strong>{who}</strong> {actWords(act.action, act.outcome)}
          {act.subject && act.subject !== act.actor && <strong> {act.subject}</strong>}
        </p>
        {act.why && <p class="quiet">{act.why}</p>}
        <p class="quiet">
          <time title={exactly(act.at)}>{ago(act.at)}</time>
          {how && `, ${how}`}
          {act.address && `, from ${act.address}`}
        </p>
      </div>
    </li>
  )
}
