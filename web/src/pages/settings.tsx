/** Settings: public address, release channel, logs, disk space. */
import { useState } from "preact/hooks"
import type { AddressPlan, LogSize, Origin, Room } from "../api/shapes"
import { hub, modules } from "../app"
import { bytes, day, list } from "../format"
import { useResource } from "../state/resource"
import { say } from "../ui/notices"
import { Button, Card, Field, Head, Ready } from "../ui/parts"

const SOURCES: Record<string, string> = {
  settings: "set here",
  option: "set on the hub's command line",
  environment: "set by PARACHUTE_HUB_ORIGIN",
  render: "given by Render",
  fly: "given by Fly",
  none: "not set, so this is the local address",
}

const ORIGIN = "/api/settings/hub-origin"
const LOGS = "/api/hub/logs/size"

export function Settings() {
  const origin = useResource(ORIGIN)
  const room = useResource("/api/modules/disk")
  const logs = useResource(LOGS)
  return (
    <>
      <Head title="Settings" />
      <Ready of={[origin, room, logs]}>
        {() => (
          <>
            {origin.data && <Address origin={origin.data} reload={origin.reload} />}
            <Card title="From your phone">
              <p>Reach this hub from your phone and other devices, at home or from anywhere.</p>
              <div>
                <a class="button" href="/admin/settings/reach">
                  Choose a way
                </a>
              </div>
            </Card>
            <Channel />
            {logs.data && <Logs kept={logs.data} reload={logs.reload} />}
            {room.data && <Disk room={room.data} reload={room.reload} />}
          </>
        )}
      </Ready>
    </>
  )
}

function Address({ origin, reload }: { origin: Origin; reload: () => Promise<void> }) {
  const [typed, setTyped] = useState<string | null>(null)
  const [plan, setPlan] = useState<(AddressPlan & { value: string | null }) | null>(null)
  const save = (value: string | null) => async () => {
    await hub.call("PUT", ORIGIN, { hub_origin: value })
    setTyped(null)
    setPlan(null)
    await reload()
  }
  const look = (value: string | null) => async () =>
    setPlan({
      ...(await hub.call<AddressPlan>("GET", `${ORIGIN}/plan?hub_origin=${encodeURIComponent(value ?? "")}`)),
      value,
    })
  return (
    <Card title="Public address">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <p>
          This hub's address is <strong class="address">{origin.resolved_issuer}</strong> (
          {SOURCES[origin.source] ?? origin.source}).
        </p>
        {origin.former.map((one) => (
          <p key={one.origin}>
            Until {day(one.answers_until)}, it also answers at <span class="address">{one.origin}</span>.
          </p>
        ))}
        <Field
          label="Change it to"
          hint="The address you use from outside. You see what the change means before it is made."
        >
          {(ids) => (
            <input
              {...ids}
              type="url"
              placeholder="https://hub.example.com"
              value={typed ?? origin.hub_origin ?? ""}
              onInput={(event) => {
                setTyped(event.currentTarget.value)
                setPlan(null)
              }}
            />
          )}
        </Field>
        {plan && <Plan plan={plan} />}
        <div class="row">
          {plan ? (
            <Button type="submit" kind="primary" act={save(plan.value)} done="Address changed">
              Change the address
            </Button>
          ) : (
            <Button type="submit" kind="primary" act={look(typed?.trim() || null)} disabled={!typed?.trim()}>
              Continue
            </Button>
          )}
          {origin.hub_origin && !plan && <Button act={look(null)}>Remove this address</Button>}
          {plan && <Button act={async () => setPlan(null)}>Keep this address</Button>}
        </div>
      </form>
    </Card>
  )
}

/** What has to be renewed when the address changes, told before it does. */
export function Plan({ plan }: { plan: AddressPlan }) {
  const { apps, invitations } = plan.renew
  return (
    <div role="status">
      {plan.unreachable && <p class="notice busy">{plan.unreachable}</p>}
      <p>
        After the change to <strong class="address">{plan.to}</strong>:
      </p>
      <ul class="plain-list">
        <li>Everyone signs in once more at the new address. Passwords and codes stay the same.</li>
        <li>
          {apps.length > 0
            ? `Connect these apps again, with the new address: ${list(apps)}.`
            : "No app is connected, so there is none to connect again."}
        </li>
        <li>Install Notes and this app on phones again, from the new address, and turn on notices there.</li>
        {invitations > 0 && (
          <li>
            {invitations === 1
              ? "One invitation is open. Send its link again"
              : `${invitations} invitations are open. Send their links again`}
            , as <em>People</em> shows it.
          </li>
        )}
        {plan.passkeys.map((one) => (
          <li key={one.person.id}>
            <strong>{one.person.name}</strong> loses {one.all ? "all passkeys" : "some passkeys"} ({list(one.passkeys)})
            and {one.locked_out ? "could not sign in any more" : "signs in with the password"}.
            {one.locked_out && " That is why the address cannot be changed yet: they need new recovery codes first."}
          </li>
        ))}
        <li>
          {plan.from_answers_until
            ? `Until ${day(plan.from_answers_until)}, ${plan.from} works as well, if its name still leads to this hub. Apps and links go on working there until then.`
            : `${plan.from} goes on working as well.`}
        </li>
      </ul>
    </div>
  )
}

function Channel() {
  const channel = modules.channel.value
  const choose = async (wanted: string) => {
    await hub.call("PUT", "/api/modules/channel", { channel: wanted })
    await modules.refresh()
  }
  return (
    <Card title="Module versions">
      <p>
        {channel === "rc" ? "You get early versions. Expect the occasional problem." : "You get released versions."}
      </p>
      {modules.channelFixed.value ? (
        <p class="quiet">
          This is set by <code>PARACHUTE_INSTALL_CHANNEL</code> where the hub runs. Remove that variable to choose here.
        </p>
      ) : (
        <div>
          {channel === "rc" ? (
            <Button act={() => choose("latest")} done="You now get released versions">
              Use released versions
            </Button>
          ) : (
            <Button act={() => choose("rc")} done="You now get early versions">
              Use early versions
            </Button>
          )}
        </div>
      )}
    </Card>
  )
}

function Logs({ kept, reload }: { kept: LogSize; reload: () => Promise<void> }) {
  const [chosen, setChosen] = useState(kept.megabytes)
  const save = async () => {
    await hub.call("PUT", LOGS, { megabytes: chosen })
    await reload()
  }
  return (
    <Card title="Logs">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Each log keeps up to"
          hint="The hub has a log, and so does each module. The oldest lines go first."
        >
          {(ids) => (
            <select {...ids} value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
              {kept.sizes.map((size) => (
                <option key={size} value={size}>
                  {size} MB
                </option>
              ))}
            </select>
          )}
        </Field>
        <div class="row">
          <Button type="submit" kind="primary" act={save} done="Saved" disabled={chosen === kept.megabytes}>
            Save
          </Button>
        </div>
      </form>
    </Card>
  )
}

const KINDS: Record<string, string> = {
  module: "program",
  data: "your data",
  cache: "cached downloads",
  logs: "logs",
  snapshots: "copies from before updates",
  hub: "accounts and settings",
}

const NAMES: Record<string, string> = { bun: "Downloads", hub: "Hub" }

function Disk({ room, reload }: { room: Room; reload: () => Promise<void> }) {
  const owners = [...room.owners].sort((a, b) => b.bytes - a.bytes)
  const clear = async () => {
    const { freed } = await hub.call<{ freed: number }>("POST", "/api/modules/disk/clear")
    say(`${bytes(freed)} freed`)
    await reload()
  }
  const fetchable = owners.some(({ kind }) => kind === "cache")
  return (
    <Card title="Disk space" aside={fetchable && <Button act={clear}>Clear caches and old versions</Button>}>
      <p>
        {bytes(room.free)} of {bytes(room.total)} free.
      </p>
      <div class="wide" role="region" tabIndex={0} aria-label="Disk space by owner">
        <table>
          <thead>
            <tr>
              <th scope="col">Used by</th>
              <th scope="col">Type</th>
              <th scope="col" class="number">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {owners.map((owner) => (
              <tr key={`${owner.name} ${owner.kind}`}>
                <td>{NAMES[owner.name] ?? modules.name(owner.name)}</td>
                <td class="quiet">{KINDS[owner.kind] ?? owner.kind}</td>
                <td class="number">{bytes(owner.bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  )
}
