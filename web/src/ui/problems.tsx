/** Problems with their ways out. */
import type { Fix, Problem, Problems } from "../api/shapes"
import { hub, modules } from "../app"
import { ago, exactly } from "../format"
import { dismissed, open, toneOf } from "../state/problems"
import { undo } from "./notices"
import { Badge, Button, Card, More } from "./parts"

export function ProblemList({ told, reload }: { told: Problems; reload: () => Promise<void> }) {
  const [now, hidden] = [open(told), dismissed(told)]
  if (now.length + hidden.length === 0) return null
  return (
    <Card title={now.some(({ severity }) => severity === "error") ? "Needs your attention" : "When you have a moment"}>
      {now.length === 0 && <p>Nothing else is wrong.</p>}
      <Rows problems={now} reload={reload} />
      {hidden.length > 0 && (
        <More label={`Dismissed (${hidden.length})`}>
          <Rows problems={hidden} reload={reload} />
        </More>
      )}
    </Card>
  )
}

function Rows({ problems, reload }: { problems: readonly Problem[]; reload: () => Promise<void> }) {
  return (
    <ul class="list">
      {problems.map((problem) => (
        <Row key={problem.key} problem={problem} reload={reload} />
      ))}
    </ul>
  )
}

function Row({ problem, reload }: { problem: Problem; reload: () => Promise<void> }) {
  const { key, title, text, detail, fixes, since, clears } = problem
  const set = async (to: "dismiss" | "restore") => {
    await hub.call("POST", `/api/problems/${to}`, { key })
    await reload()
  }
  const dismiss = async () => {
    if (problem.dismissed) return set("restore")
    await set("dismiss")
    undo.begin({ text: `Dismissed: ${title}`, key, back: () => set("restore") })
  }
  const advice = fixes.filter(({ page, request }) => !page && !request)
  return (
    <li class="list-row">
      <div class="grow">
        <Badge tone={toneOf(problem)}>{title}</Badge>
        <p class="quiet">{text}</p>
        {detail && <p class="quiet">{detail}</p>}
        {advice.map(({ label }) => (
          <p key={label}>{label}</p>
        ))}
        <p class="quiet">
          First seen <time title={exactly(since)}>{ago(since)}</time>. {clears}
        </p>
      </div>
      <div class="row">
        {fixes.map((fix) => (
          <Way key={fix.label} fix={fix} reload={reload} />
        ))}
        <Button kind="quiet" act={dismiss} aria-label={`${problem.dismissed ? "Show again" : "Dismiss"}: ${title}`}>
          {problem.dismissed ? "Show again" : "Dismiss"}
        </Button>
      </div>
    </li>
  )
}

function Way({ fix, reload }: { fix: Fix; reload: () => Promise<void> }) {
  const { label, page, request } = fix
  if (page)
    return (
      <a class="button" href={page}>
        {label}
      </a>
    )
  if (!request) return null
  const act = async () => {
    await hub.call(request.method, request.path, request.body ?? {})
    await Promise.all([modules.refresh(), reload()])
  }
  return <Button act={act}>{label}</Button>
}
