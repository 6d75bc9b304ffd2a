/** Notices: where the hub tells of problems, which ones, and when not. */
import { useState } from "preact/hooks"
import type { NoticeDestination, NoticeSettings } from "../api/shapes"
import { hub } from "../app"
import { ago } from "../format"
import { useResource } from "../state/resource"
import { AddDestination } from "../ui/destination"
import { say } from "../ui/notices"
import { Badge, Button, Card, Choice, Empty, Field, Head, Ready } from "../ui/parts"

const PATH = "/api/notices"
const LEAST = [
  ["error", "Errors only"],
  ["warning", "Errors and warnings"],
  ["info", "Everything, updates too"],
] as const

export function NoticesPage() {
  const settings = useResource(PATH)
  const [adding, setAdding] = useState(false)
  const added = async (label: string) => {
    say(`A first notice was sent to ${label}, which was added.`)
    setAdding(false)
    await settings.reload()
  }
  return (
    <>
      <Head
        title="Notices"
        lead="The hub tells you about problems, wherever you are. A notice is a headline and a link."
      />
      <Ready of={[settings]}>
        {() =>
          settings.data && (
            <>
              <Card title="Where they go">
                {settings.data.destinations.length === 0 && <Empty title="Nowhere yet" />}
                <ul class="list">
                  {settings.data.destinations.map((one) => (
                    <Row key={one.id} one={one} reload={settings.reload} />
                  ))}
                </ul>
                {!adding && settings.data.destinations.length > 0 && (
                  <div class="row">
                    <Button act={() => setAdding(true)}>Add another</Button>
                  </div>
                )}
              </Card>
              {(adding || settings.data.destinations.length === 0) && (
                <Card title="Add a destination">
                  <AddDestination done={added} />
                </Card>
              )}
              <When settings={settings.data} reload={settings.reload} />
            </>
          )
        }
      </Ready>
    </>
  )
}

function Row({ one, reload }: { one: NoticeDestination; reload: () => Promise<void> }) {
  const path = `${PATH}/destinations/${encodeURIComponent(one.id)}`
  const test = async () => {
    try {
      await hub.call("POST", `${path}/test`, {})
      say(`A notice was sent to ${one.label}.`)
    } finally {
      await reload()
    }
  }
  // The hub asks for the password, which is question enough.
  const remove = async () => {
    await hub.call("DELETE", path)
    say(`${one.label} gets no more notices.`)
    await reload()
  }
  return (
    <li class="list-row">
      <div class="grow">
        <h3>
          {one.label} {one.error && <Badge tone="bad">Does not arrive</Badge>}
        </h3>
        <p class="quiet">{one.error ?? `Last notice ${ago(one.sentAt)}.`}</p>
      </div>
      <Button act={test}>
        Test<span class="unseen"> {one.label}</span>
      </Button>
      <Button kind="danger" act={remove}>
        Remove<span class="unseen"> {one.label}</span>
      </Button>
    </li>
  )
}

function When({ settings, reload }: { settings: NoticeSettings; reload: () => Promise<void> }) {
  const [least, setLeast] = useState<string>(settings.least)
  const [from, setFrom] = useState(settings.quiet?.from ?? "22:00")
  const [to, setTo] = useState(settings.quiet?.to ?? "07:00")
  const [quiet, setQuiet] = useState(settings.quiet !== null)
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const save = async () => {
    await hub.call("PUT", `${PATH}/settings`, { least, quiet: quiet ? { from, to, zone } : null })
    await reload()
  }
  const time = (label: string, value: string, set: (value: string) => void) => (
    <Field label={label}>
      {(ids) => <input {...ids} type="time" value={value} onInput={(event) => set(event.currentTarget.value)} />}
    </Field>
  )
  return (
    <Card title="What to tell you, and when">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Tell me about" value={least} set={setLeast} choices={LEAST} />
        <label class="switch">
          <input type="checkbox" checked={quiet} onChange={(event) => setQuiet(event.currentTarget.checked)} />
          <span>Quiet hours</span>
        </label>
        {quiet && (
          <>
            {time("From", from, setFrom)}
            {time("Until", to, setTo)}
            <p class="quiet">
              In the time zone {zone}. What is over when they end is not told; a sign of life goes out all the time.
            </p>
          </>
        )}
        <Button type="submit" act={save} done="Saved">
          Save
        </Button>
      </form>
    </Card>
  )
}
