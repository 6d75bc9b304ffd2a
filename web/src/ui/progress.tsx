/** An operation: steps, latest line, full log, and what to do when it failed. */
import { useEffect, useState } from "preact/hooks"
import type { Job, Step } from "../api/shapes"
import { hub, modules } from "../app"
import { bytes, duration, moment } from "../format"
import { capital } from "../scopes"
import { isOver } from "../state/modules"
import { choices, jobTitle, type Tone } from "../words"
import { Icon } from "./icons"
import { Badge, Button, Copy, More } from "./parts"

export function Progress({ job }: { job: Job }) {
  const name = modules.name(job.short)
  const over = isOver(job)
  const tone: Tone = job.status === "failed" ? "bad" : over ? "good" : "busy"
  const cancel = () => hub.call("POST", `/api/modules/operations/${job.id}/cancel`)
  const last = job.log[job.log.length - 1]
  return (
    <div class={`job ${tone}`}>
      <div class="job-head" role="status">
        <Badge tone={tone}>{jobTitle(job, name)}</Badge>
        <Elapsed job={job} />
        {job.cancellable && (
          <Button act={cancel} kind="quiet">
            Cancel
          </Button>
        )}
      </div>
      {!over && <Steps steps={job.steps} />}
      {!over && <Far steps={job.steps} />}
      {job.error && <p class="job-error">{job.error}</p>}
      {job.error_detail?.install && <Install install={job.error_detail.install} />}
      {over && <Choices job={job} />}
      {!over && last && <p class="job-line">{last}</p>}
      {job.log.length > 0 && (
        <More label="Show log">
          <pre class="log" role="region" tabIndex={0} aria-label={`Log: ${jobTitle(job, name)}`}>
            {job.log.join("\n")}
          </pre>
        </More>
      )}
    </div>
  )
}

/** It was refused, and the person may decide otherwise: it begins again with what was chosen before. */
function Choices({ job }: { job: Job }) {
  const { package: named, chosen } = job.error_detail ?? {}
  const offers = choices(job)
  if (offers.length === 0) return null
  const again = (choice: object) => () => {
    const body = { ...(chosen as object | undefined), ...choice }
    return job.kind === "upgrade" || modules.find(job.short)
      ? modules.begin(job.short, job.kind, body)
      : modules.install(String(named), body)
  }
  return (
    <div class="row">
      {offers.map(([label, choice]) => (
        <Button key={label} act={again(choice)}>
          {label}
        </Button>
      ))}
    </div>
  )
}

function Steps({ steps }: { steps: readonly Step[] }) {
  if (steps.length === 0) return <div class="bar moving" aria-hidden="true" />
  const marks: Record<string, Tone> = { done: "good", running: "busy" }
  return (
    <ol class="steps">
      {steps.map((step) => (
        <li key={step.name} class={step.state} aria-current={step.state === "running" ? "step" : undefined}>
          <Icon name={marks[step.state] ?? "bad"} />
          {STEPS[step.name] ?? capital(step.name)}
          {step.bytes !== null && step.total === null && <span class="quiet">{bytes(step.bytes)}</span>}
        </li>
      ))}
    </ol>
  )
}

const STEPS: Record<string, string> = { store: "Copy", verify: "Read back and check", prune: "Remove old ones" }

/** How far the running step is, when its size is known. */
function Far({ steps }: { steps: readonly Step[] }) {
  const step = steps.find(({ state, total }) => state === "running" && total !== null)
  if (!step?.total) return null
  const began = moment(step.startedAt) ?? Date.now()
  return (
    <FarAlong done={step.bytes ?? 0} of={step.total} began={began} label={STEPS[step.name] ?? capital(step.name)} />
  )
}

/** How far something is, in bytes, and how long it will take. `began` is in Unix milliseconds; `of` is 0 if unknown. */
export function FarAlong({ done, of, began, label }: { done: number; of: number; began: number; label: string }) {
  const there = Math.min(done, of)
  const passed = (Date.now() - began) / 1000
  const left = there > 0 && passed > 3 ? `, about ${duration((passed * (of - there)) / there)} left` : ""
  return (
    <div class="far-along">
      <progress max={of || 1} value={of ? there : undefined} aria-label={label} />
      {of > 0 && (
        <span class="quiet">
          {bytes(there)} of {bytes(of)}
          {left}
        </span>
      )}
    </div>
  )
}

/** The command that installs a missing program. */
export function Install({ install }: { install: { linux?: string; generic?: string; darwin?: string } }) {
  const command = install.linux ?? install.generic ?? install.darwin
  return command ? <Copy text={command} label="Command to install what is missing" /> : null
}

function Elapsed({ job }: { job: Job }) {
  const [now, setNow] = useState(Date.now())
  const over = isOver(job)
  useEffect(() => {
    if (over) return
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [over])
  const began = moment(job.startedAt) ?? now
  const ended = over ? (moment(job.finishedAt) ?? now) : now
  return <span class="quiet elapsed">{duration((ended - began) / 1000)}</span>
}
