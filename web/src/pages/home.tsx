/** Home: status, problems, modules to open, memory and disk. */
import { useEffect, useState } from "preact/hooks"
import type { Backups, Problems } from "../api/shapes"
import { measure, measured, modules, overview } from "../app"
import { glance } from "../state/backups"
import { open } from "../state/problems"
import { useResource } from "../state/resource"
import { Gauge, type Share } from "../ui/gauges"
import { Icon } from "../ui/icons"
import { Opener } from "../ui/opener"
import { Badge, Card, Head, Waiting } from "../ui/parts"
import { ProblemList } from "../ui/problems"
import { Progress } from "../ui/progress"
import { summary, wording } from "../words"

export function Home() {
  useEffect(() => void measure(), [])
  const backups = useResource("/api/backups", true)
  const problems = useResource("/api/problems", true)
  const asked = [backups, problems].every(({ data, problem }) => data !== null || problem !== null)
  if (!modules.loaded.value || !measured.value || !asked)
    return (
      <>
        <Head title="Home" />
        <Waiting lines={12} />
      </>
    )
  return (
    <>
      <Head title="Home" />
      <Now told={problems.data} />
      {modules.running.value.map((job) => (
        <Progress key={job.id} job={job} />
      ))}
      {problems.problem && <p class="notice bad">{problems.problem}</p>}
      {problems.data && <ProblemList told={problems.data} reload={problems.reload} />}
      <Open />
      {backups.data && <Kept backups={backups.data} />}
      <Machine />
    </>
  )
}

function Now({ told }: { told: Problems | null }) {
  const { tone, title, text } = summary(modules.all.value, told && open(told), told?.complete ?? false)
  return (
    <section class={`now ${tone}`} role="status">
      <span class="now-mark">
        <Icon name={tone} />
      </span>
      <div>
        <h2>{title}</h2>
        <p>{text}</p>
      </div>
      {modules.installed.value.length === 0 && (
        <a class="button primary" href="/admin/modules">
          Choose modules
        </a>
      )}
    </section>
  )
}

/** Whether everything could be brought back, in one line. */
function Kept({ backups }: { backups: Backups }) {
  const { tone, text } = glance(backups)
  return (
    <Card
      title="Backups"
      aside={
        <a class="button" href="/admin/backups">
          {tone === "off" ? "Set up backups" : "Show backups"}
        </a>
      }
    >
      <p>
        <Badge tone={tone}>{text}</Badge>
      </p>
    </Card>
  )
}

function Open() {
  const installed = modules.installed.value
  if (installed.length === 0) return null
  return (
    <section aria-labelledby="open-title">
      <h2 id="open-title">Open</h2>
      <ul class="tiles">
        {installed.map((module) => {
          const { tone, label } = wording(module)
          return (
            <li key={module.short} class="tile">
              <Face short={module.short} name={module.display_name} />
              <div class="grow">
                <h3>
                  <a href={`/admin/modules/${module.short}`}>{module.display_name}</a>
                </h3>
                <Badge tone={tone}>{label}</Badge>
              </div>
              <Opener module={module} />
            </li>
          )
        })}
      </ul>
    </section>
  )
}

/** A module's icon; without one its initial, always in the same colour. */
export function Face({ short, name }: { short: string; name: string }) {
  const [broken, setBroken] = useState(false)
  const icon = modules.find(short)?.icon_url
  if (icon && !broken)
    return <img class="face" src={icon} alt="" width="40" height="40" onError={() => setBroken(true)} />
  const shade = [...short].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 6
  return (
    <span class={`face shade-${shade}`} aria-hidden="true">
      {name.slice(0, 1)}
    </span>
  )
}

/** Adds up each module's program, data and logs. */
function byName(owners: readonly { name: string; bytes: number }[]): Share[] {
  const sums = new Map<string, number>()
  for (const { name, bytes } of owners) sums.set(name, (sums.get(name) ?? 0) + bytes)
  const words: Record<string, string> = { bun: "Downloads", hub: "Hub", "older packages": "Older packages" }
  return [...sums].map(([name, bytes]) => ({ name: words[name] ?? modules.name(name), bytes }))
}

function Machine() {
  const now = overview.value
  if (!now) return null
  const { memory, disk } = now
  const users = memory.modules.map(({ short, bytes }) => ({ name: modules.name(short), bytes }))
  if (memory.hub) users.push({ name: "Hub", bytes: memory.hub })
  const owners = byName(disk.owners)
  const full = disk.total !== null && disk.free !== null ? disk.total - disk.free : null
  return (
    <Card title="This machine">
      <div class="gauges">
        <Gauge title="Memory" used={memory.used} total={memory.limit} shares={users} />
        <Gauge title="Disk" used={full} total={disk.total} shares={owners} />
      </div>
    </Card>
  )
}
