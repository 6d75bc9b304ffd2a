/** Home: status, problems, modules to open, memory and disk. */
import { useEffect } from "preact/hooks"
import type { Backups } from "../api/shapes"
import { measure, measured, modules, overview } from "../app"
import { attention, type Concern } from "../state/attention"
import { glance } from "../state/backups"
import { useResource } from "../state/resource"
import { Gauge, type Share } from "../ui/gauges"
import { Icon } from "../ui/icons"
import { Opener } from "../ui/opener"
import { Badge, Button, Card, Head, Waiting } from "../ui/parts"
import { Progress } from "../ui/progress"
import { summary, wording } from "../words"

export function Home() {
  useEffect(() => void measure(), [])
  const backups = useResource("/api/backups", true)
  const concerns = attention(modules.all.value, modules.jobs.value, overview.value, backups.data)
  const asked = backups.data !== null || backups.problem !== null
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
      <Now grave={concerns.filter(({ tone }) => tone === "bad").length} />
      {modules.running.value.map((job) => (
        <Progress key={job.id} job={job} />
      ))}
      <Needs concerns={concerns} />
      <Open />
      {backups.data && <Kept backups={backups.data} />}
      <Machine />
    </>
  )
}

function Now({ grave }: { grave: number }) {
  const { tone, title, text } = summary(modules.all.value, grave)
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

function Needs({ concerns }: { concerns: Concern[] }) {
  if (concerns.length === 0) return null
  return (
    <Card title={concerns.some(({ tone }) => tone === "bad") ? "Needs your attention" : "When you have a moment"}>
      <ul class="list">
        {concerns.map((concern) => (
          <Need key={concern.key} concern={concern} />
        ))}
      </ul>
    </Card>
  )
}

function Need({ concern }: { concern: Concern }) {
  const { tone, title, text, href, action, short, act } = concern
  return (
    <li class="list-row">
      <div class="grow">
        <Badge tone={tone}>{title}</Badge>
        <p class="quiet">{text}</p>
      </div>
      {short && act ? <Button act={() => modules.begin(short, act)}>{action}</Button> : null}
      {href && (
        <a class="button" href={href}>
          {short && act ? "Details" : action}
        </a>
      )}
    </li>
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

/** A module's initial, always in the same colour. */
export function Face({ short, name }: { short: string; name: string }) {
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
