/** Modules: installed and available. */
import { useState } from "preact/hooks"
import type { Module } from "../api/shapes"
import { modules } from "../app"
import { sentence } from "../format"
import { Opener } from "../ui/opener"
import { Badge, Button, Card, Empty, Field, Head, More, Waiting } from "../ui/parts"
import { Install, Progress } from "../ui/progress"
import { looseness, portRemedy, reach, wording } from "../words"
import { Face } from "./home"

export function ModulesPage() {
  const upgrades = modules.installed.value.filter((module) => module.upgrade_available).length
  return (
    <>
      <Head title="Modules" lead="Small programs this hub runs for you.">
        {upgrades > 1 && <Button act={() => modules.beginAll()}>Update all {String(upgrades)}</Button>}
      </Head>
      {modules.loaded.value ? <Lists /> : <Waiting lines={8} />}
    </>
  )
}

function Lists() {
  return (
    <>
      {modules.strangers().map((job) => (
        <Progress key={job.id} job={job} />
      ))}
      <Card title="Installed">
        {modules.installed.value.length === 0 ? (
          <Empty title="No modules yet">
            <p>Install one below. It starts automatically and appears here.</p>
          </Empty>
        ) : (
          <ul class="list">
            {modules.installed.value.map((module) => (
              <Installed key={module.short} module={module} />
            ))}
          </ul>
        )}
      </Card>
      {modules.found.value.length > 0 && (
        <Card title="Found on this hub">
          <ul class="list">
            {modules.found.value.map((module) => (
              <Found key={module.short} module={module} />
            ))}
          </ul>
        </Card>
      )}
      {modules.offered.value.length > 0 && (
        <Card title="Available">
          <ul class="list">
            {modules.offered.value.map((module) => (
              <Offered key={module.short} module={module} />
            ))}
          </ul>
        </Card>
      )}
      <Stranger />
    </>
  )
}

function Installed({ module }: { module: Module }) {
  const { tone, label } = wording(module)
  const job = modules.jobOf(module.short)
  const told = modules.tellingOf(module.short)
  const begin = (kind: string) => () => modules.begin(module.short, kind)
  const broken = module.supervisor_start_error
  const remedy = portRemedy(module)
  const said = modules.lastLine(module.short)
  return (
    <li class="module">
      <div class="list-row">
        <Face short={module.short} name={module.display_name} />
        <div class="grow">
          <h3>
            <a href={`/admin/modules/${module.short}`}>{module.display_name}</a>
          </h3>
          <p class="quiet">{sentence(module.tagline)}</p>
          <p class="module-state">
            <Badge tone={tone}>{label}</Badge>{" "}
            <span class="quiet">
              {module.installed_version}
              {module.edition === "reference" && ", reference module"}
            </span>
          </p>
          {module.reason && tone !== "good" && <p class="reason">{module.reason}</p>}
          {said && tone !== "good" && <p class="job-line">It last said: {said}</p>}
          {broken?.install && <Install install={broken.install} />}
        </div>
        {!job && (
          <div class="row end">
            {module.upgrade_available && (
              <Button kind="primary" act={begin("upgrade")}>
                Update to {module.latest_version}
              </Button>
            )}
            {remedy ? (
              <Button kind="primary" act={begin("heal-port")}>
                {remedy}
              </Button>
            ) : tone === "off" || tone === "bad" ? (
              <Button act={begin("start")}>Start</Button>
            ) : (
              <Opener module={module} />
            )}
            <a class="button quiet" href={`/admin/modules/${module.short}`}>
              Details<span class="unseen"> of {module.display_name}</span>
            </a>
          </div>
        )}
      </div>
      {told && <Progress job={told} />}
    </li>
  )
}

/** In services.json, but not installed by this hub. Nothing of it runs until the owner says so. */
function Found({ module }: { module: Module }) {
  return (
    <li class="module">
      <div class="list-row">
        <Face short={module.short} name={module.display_name} />
        <div class="grow">
          <h3>{module.display_name}</h3>
          <p class="quiet">
            This hub did not install {module.display_name}, so it does not run. Keep it only if you know where it comes
            from.
          </p>
          <p class="quiet">
            {module.found?.package} {module.found?.folder && <code>{module.found.folder}</code>}
          </p>
        </div>
        <Button act={() => modules.begin(module.short, "adopt")}>
          Keep and start<span class="unseen"> {module.display_name}</span>
        </Button>
        <Button kind="danger" act={() => modules.begin(module.short, "uninstall")}>
          Remove from the list<span class="unseen"> {module.display_name}</span>
        </Button>
      </div>
    </li>
  )
}

function Offered({ module }: { module: Module }) {
  const job = modules.jobOf(module.short)
  const told = modules.tellingOf(module.short)
  const loose = looseness(modules.isolation.value)
  const size = module.memory_mb ? `Uses about ${module.memory_mb} MB of memory.` : null
  return (
    <li class="module">
      <div class="list-row">
        <Face short={module.short} name={module.display_name} />
        <div class="grow">
          <h3>
            <a href={`/admin/modules/${module.short}`}>{module.display_name}</a>
          </h3>
          <p class="quiet">
            {sentence(module.tagline)} {size}{" "}
            {module.edition === "reference" && "This is the reference module, which came with this hub."}
          </p>
          {loose && <p class="reason">{loose}</p>}
          {modules.isolation.value?.state !== "off" && (
            <ul class="plain-list quiet">
              {reach(module.permissions).map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
          )}
        </div>
        {!job && (
          <Button kind="primary" act={() => modules.begin(module.short, "install")}>
            {told ? "Try again" : "Install"}
            <span class="unseen"> {module.display_name}</span>
          </Button>
        )}
      </div>
      {told && <Progress job={told} />}
    </li>
  )
}

/** Installing a package from outside the catalog, with a warning. */
function Stranger() {
  const [name, setName] = useState("")
  return (
    <More label="Install another package">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <p>
          Any npm package with a <code>.parachute/module.json</code> can run here. It can use the internet.{" "}
          {modules.isolation.value?.state === "off" && "It can read everything on this hub, including your notes."}{" "}
          Install only what you trust.
        </p>
        <Field label="Package name">
          {(ids) => (
            <input
              {...ids}
              value={name}
              placeholder="@someone/a-module"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          )}
        </Field>
        <Button type="submit" act={() => modules.install(name.trim())} disabled={!name.trim()}>
          Install
        </Button>
      </form>
    </More>
  )
}
