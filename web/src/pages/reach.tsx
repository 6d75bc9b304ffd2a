/** The ways from other devices to this hub: which is open, and what each would do here. */
import { useEffect, useState } from "preact/hooks"
import type { AddressPlan, ReachState, ReachWay } from "../api/shapes"
import { hub } from "../app"
import { useResource } from "../state/resource"
import { confirm } from "../ui/dialog"
import { Badge, Button, Card, Copy, Field, Head, Ready } from "../ui/parts"
import { PhoneCard } from "../ui/phone"
import { Trust } from "../ui/trust"
import { Plan } from "./settings"

const REACH = "/api/reach"
const ORIGIN = "/api/settings/hub-origin"
const POLL = 1000
const WHO: Record<string, string> = {
  tailnet: "your own devices",
  network: "devices in your network",
  internet: "anybody on the internet",
}
const PROGRAMS: Record<string, string> = { tailscale: "Tailscale", caddy: "Caddy" }

export function ReachPage() {
  const ways = useResource(`${REACH}/ways`)
  const origin = useResource(ORIGIN)
  const [state, setState] = useState<ReachState | null>(null)
  const now = state ?? ways.data
  const settle = async () => {
    setState(null)
    await Promise.all([ways.reload(), origin.reload()])
  }
  useEffect(() => {
    if (!now) return
    const asking = now.open?.stage === "open" && now.reachable === null
    if (!now.busy && !asking) return
    const wasBusy = now.busy
    const timer = setTimeout(async () => {
      const fresh = await hub.get(REACH).catch(() => null)
      if (wasBusy && fresh && !fresh.busy) await settle()
      else if (fresh) setState(fresh)
      // The hub may be busy with a new address: ask again.
      else setState({ ...now })
    }, POLL)
    return () => clearTimeout(timer)
  }, [now])
  return (
    <>
      <Head title="Reach your hub" lead="Open it on your phone and other devices." />
      <Ready of={[ways, origin]}>
        {() =>
          ways.data &&
          now &&
          origin.data && (
            <>
              {now.problem && <Trouble state={now} />}
              {now.busy && (
                <p class="notice busy" role="status">
                  {now.doing || "Working"} …
                </p>
              )}
              {now.open && !now.busy && <Open state={now} done={setState} />}
              <PhoneCard address={origin.data.resolved_issuer} />
              {!now.open && !now.busy && ways.data.ways.map((way) => <Way key={way.id} way={way} began={setState} />)}
            </>
          )
        }
      </Ready>
    </>
  )
}

function Trouble({ state }: { state: ReachState }) {
  return (
    <div class="notice bad" role="alert">
      <p>{state.problem}</p>
      <Remedy text={state.remedy} />
    </div>
  )
}

/** What to do: a link, or a sentence. */
function Remedy({ text, label }: { text: string; label?: string | undefined }) {
  if (!text) return null
  if (!/^(https:\/\/|\/)/.test(text)) return <p>{text}</p>
  return (
    <p>
      <a href={text} rel="noreferrer">
        {label ?? text}
      </a>
    </p>
  )
}

function Open({ state, done }: { state: ReachState; done: (state: ReachState) => void }) {
  const open = state.open
  if (!open) return null
  const close = (force: boolean) => async () => {
    const text =
      "Phones and apps that use its address will not reach the hub any more. The previous address comes back."
    const here = location.origin === open.origin ? " That is where you are now: go on at the hub’s own computer." : ""
    if (!(await confirm(`Close ${open.title}?`, text + here, "Close it"))) return
    done(await hub.call<ReachState>("DELETE", `${REACH}${force ? "?force=1" : ""}`))
  }
  const check = async () => done(await hub.call<ReachState>("POST", `${REACH}/check`, {}))
  return (
    <Card title={`Open now: ${open.title}`}>
      <p>
        Reached by {WHO[open.audience] ?? open.audience}, at <strong class="address">{open.origin}</strong>
      </p>
      <div>
        {state.reachable === true && <Badge tone="good">The hub answers there</Badge>}
        {state.reachable === false && <Badge tone="busy">{state.finding}</Badge>}
        {state.reachable === null && open.stage === "open" && <Badge tone="busy">Checking</Badge>}
      </div>
      {state.reachable === false && (
        <p class="quiet">
          A new name takes a few minutes. Some networks do not let a computer reach itself: try it with your phone.
        </p>
      )}
      {open.fingerprint && <Trust origin={open.origin} fingerprint={open.fingerprint} />}
      <div class="row">
        {open.stage === "open" && <Button act={check}>Check again</Button>}
        <Button kind="danger" act={close(false)}>
          Close it
        </Button>
        {state.problem && (
          <Button kind="danger" act={close(true)}>
            Close it anyway
          </Button>
        )}
      </div>
    </Card>
  )
}

function Way({ way, began }: { way: ReachWay; began: (state: ReachState) => void }) {
  const [typed, setTyped] = useState(Object.fromEntries(way.fields.map(({ name, value }) => [name, value])))
  const [plan, setPlan] = useState<ReachWay | null>(null)
  const [address, setAddress] = useState<AddressPlan | null>(null)
  const [wrong, setWrong] = useState("")
  const look = async () => {
    const query = new URLSearchParams(typed).toString()
    const { ways } = await hub.get(`${REACH}/ways?${query}`)
    const fresh = ways.find(({ id }) => id === way.id) ?? null
    setWrong(fresh?.wrong ?? "")
    const to = fresh && !fresh.wrong && !fresh.refused ? fresh.origin : ""
    setAddress(to ? await hub.call<AddressPlan>("GET", `${ORIGIN}/plan?hub_origin=${encodeURIComponent(to)}`) : null)
    setPlan(fresh?.wrong ? null : fresh)
  }
  const open = async () => began(await hub.call<ReachState>("POST", REACH, { way: way.id, ...typed }))
  return (
    <Card
      title={way.title}
      aside={<Badge tone={way.audience === "internet" ? "busy" : "good"}>{`for ${WHO[way.audience]}`}</Badge>}
    >
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <p>{way.text}</p>
        {way.refused ? (
          <Missing way={way} />
        ) : (
          <>
            {way.fields.map(({ name, label, hint }) => (
              <Field key={name} label={label} hint={hint} problem={wrong || null}>
                {(ids) => (
                  <input
                    {...ids}
                    autocapitalize="none"
                    spellcheck={false}
                    value={typed[name] ?? ""}
                    onInput={(event) => {
                      setTyped({ ...typed, [name]: event.currentTarget.value })
                      setPlan(null)
                    }}
                  />
                )}
              </Field>
            ))}
            {plan && <Planned plan={plan} address={address} />}
            <div class="row">
              {plan && !plan.refused ? (
                <>
                  <Button type="submit" kind="primary" act={open}>
                    Open this way
                  </Button>
                  <Button act={async () => setPlan(null)}>Not now</Button>
                </>
              ) : (
                <Button type="submit" act={look}>
                  Continue<span class="unseen"> with {way.title}</span>
                </Button>
              )}
            </div>
          </>
        )}
      </form>
    </Card>
  )
}

function Missing({ way }: { way: ReachWay }) {
  return (
    <>
      <p class="reason">{way.refused}</p>
      <Remedy text={way.remedy} label={name(way)} />
    </>
  )
}

/** What a link to the remedy is called. */
function name({ remedy, get, program }: ReachWay): string | undefined {
  if (remedy === get) return `Get ${PROGRAMS[program] ?? program}`
  return remedy.startsWith("/") ? "Set up your second factor" : undefined
}

/** What would run and who gets to see what, before it happens. */
function Planned({ plan, address }: { plan: ReachWay; address: AddressPlan | null }) {
  if (plan.refused) return <Missing way={plan} />
  return (
    <div class="stack" role="status">
      <ul class="plain-list">
        {plan.public.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      {address && <Plan plan={{ ...address, unreachable: null }} />}
      {plan.runs_already && <p>It is switched on already. Only the hub’s address changes.</p>}
      {!plan.runs_already && plan.commands.length > 0 && (
        <>
          <p>{plan.by_hand ? "Run this yourself, then open the way here:" : "The hub runs this on its computer:"}</p>
          {plan.commands.map((command) => (
            <Copy key={command} text={command} label="Command" />
          ))}
        </>
      )}
      {plan.config && (
        <>
          <p>{plan.by_hand ? "Add this to your configuration first:" : "With this configuration:"}</p>
          <pre class="config">{plan.config}</pre>
        </>
      )}
    </div>
  )
}
