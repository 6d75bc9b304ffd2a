/** About: version, uptime, and where to find help. */
import type { HubFacts, Restart } from "../api/shapes"
import { hub, modules } from "../app"
import { duration, exactly } from "../format"
import { useResource } from "../state/resource"
import { LogView } from "../ui/logview"
import { Button, Card, Facts, Head, More, Ready } from "../ui/parts"

const SOURCES: Record<string, string> = {
  container: "a container image",
  pip: "a Python package",
  checkout: "a clone of its source code",
}
const KNOWN = new Set(["version", "started_at", "uptime_ms", "source"])

export function About() {
  const facts = useResource("/api/hub", true)
  const restart = useResource("/api/hub/restart", true)
  return (
    <>
      <Head title="About" lead="Parachute Hub runs your modules and signs you in to them." />
      <Ready of={[facts, restart]}>
        {() => (
          <>
            {facts.data && <Program facts={facts.data} />}
            {restart.data && (
              <Again now={restart.data} reload={restart.reload} inImage={facts.data?.source === "container"} />
            )}
            <Card title="The hub's own log">
              <LogView path="/api/hub/logs" name="the hub" />
            </Card>
            <Help />
          </>
        )}
      </Ready>
    </>
  )
}

function Program({ facts }: { facts: HubFacts }) {
  return (
    <Card>
      <Facts
        rows={[
          ["Version", facts.version],
          ["Running for", duration(facts.uptime_ms / 1000)],
          ["Started", exactly(facts.started_at)],
          ["Runs from", SOURCES[facts.source] ?? facts.source],
        ]}
      />
      <More label="Technical details">
        <Facts
          rows={[
            ...Object.entries(facts)
              .filter(([name]) => !KNOWN.has(name))
              .map(([name, value]) => [name.replaceAll("_", " "), String(value)] as const),
            ...modules.installed.value.map(
              (module) => [module.display_name, `${module.package} ${module.installed_version ?? ""}`] as const,
            ),
          ]}
        />
      </More>
    </Card>
  )
}

interface Restarted {
  now: Restart
  reload: () => Promise<void>
  /** A newer version comes with a newer image there. */
  inImage: boolean
}

function Again({ now, reload, inImage }: Restarted) {
  const begin = async () => {
    try {
      await hub.call("POST", "/api/hub/restart", {})
    } finally {
      await reload()
    }
  }
  return (
    <Card title="Restart">
      <p>
        {inImage
          ? "Starts the hub again. A newer version comes with a newer image."
          : "Starts the version that is installed now, for example after an update. It is checked first."}{" "}
        Modules keep running, and pages wait for a moment.
      </p>
      {now.problem && <p class="notice bad">{now.problem}</p>}
      {now.state === "idle" && !now.possible && <p class="quiet">{now.why}</p>}
      {now.state !== "idle" && (
        <p class="quiet" role="status">
          {now.state === "checking"
            ? "Checking the installed version…"
            : "The hub restarts as soon as open requests are answered…"}
        </p>
      )}
      <div class="row">
        <Button act={begin} disabled={!now.possible}>
          Restart the hub
        </Button>
      </div>
    </Card>
  )
}

function Help() {
  return (
    <Card title="When something is wrong">
      <ul class="plain-list">
        <li>
          <a href="/admin">Home</a> shows what needs your attention, why, and what to do.
        </li>
        <li>
          A module's own page under <a href="/admin/modules">Modules</a> shows its log.
        </li>
        <li>
          <a href="/admin/activity">Activity</a> shows who did what, and when.
        </li>
        <li>
          On the machine, <code>parachute status</code> and <code>parachute --help</code> work without a browser.
        </li>
      </ul>
    </Card>
  )
}
