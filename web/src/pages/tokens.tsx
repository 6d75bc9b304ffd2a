/** Tokens for scripts and programs: create, list, revoke. */
import { useState } from "preact/hooks"
import type { Minted, Token } from "../api/shapes"
import { hub, me } from "../app"
import { ago, exactly, moment } from "../format"
import { allowed } from "../scopes"
import { useResource } from "../state/resource"
import { say, undo } from "../ui/notices"
import { Button, Card, Choice, Copy, Empty, Facts, Field, Head, More, Ready } from "../ui/parts"

const DAY = 86_400
const SHORT = 20 * 60_000
const VERBS = [
  ["read", "read notes"],
  ["write", "read and write notes"],
  ["admin", "read, write and manage the vault"],
] as const
const LIVES = [
  ["1", "1 day"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "1 year"],
] as const
const ORIGINS: Record<string, string> = {
  oauth_refresh: "by a connected app",
  session_mint: "on this page",
  cli_mint: "with the command line",
  operator_mint: "for the command line",
  surface_token: "by a module",
}

/** The token of this machine, which the hub makes and renews by itself. */
const OWN = "The parachute command on this machine"

export function Tokens() {
  const path = "/api/auth/tokens?revoked=false"
  const tokens = useResource(path)
  const vaults = useResource("/api/users/vaults")
  const [more, setMore] = useState<Token[]>([])
  const [cursor, setCursor] = useState<string | null | undefined>()
  const [minted, setMinted] = useState<Minted | null>(null)
  const next = cursor === undefined ? tokens.data?.next_cursor : cursor
  const reading = async () => {
    const page = await hub.get(`${path}&cursor=${encodeURIComponent(next ?? "")}`)
    setMore([...more, ...page.tokens])
    setCursor(page.next_cursor)
  }
  const fresh = async () => {
    setMore([])
    setCursor(undefined)
    await tokens.reload()
  }
  const live = [...(tokens.data?.tokens ?? []), ...more].filter((token) => lasts(token) && !undo.hides(token.jti))
  return (
    <>
      <Head
        title="Tokens"
        lead="A token gives a script or program access without your password. Connected apps get their own."
      />
      {minted && (
        <Card title={minted.name ? `Your new token: ${minted.name}` : "Your new token"}>
          <p>Copy it now; it is not shown again. Anyone who has it can use it until {exactly(minted.expires_at)}.</p>
          <Copy text={minted.token} label="New token" />
        </Card>
      )}
      <Ready of={[tokens, vaults]}>
        {() => (
          <>
            <Mint
              vaults={vaults.data?.vaults ?? []}
              done={async (token) => {
                setMinted(token)
                await fresh()
              }}
            />
            <Card title="Active tokens">
              {live.length === 0 && <Empty title="No active tokens" />}
              <ul class="list">
                {live.map((token) => (
                  <Row key={token.jti} token={token} ended={fresh} />
                ))}
              </ul>
              {next && <Button act={reading}>Show more</Button>}
            </Card>
          </>
        )}
      </Ready>
    </>
  )
}

/** Hides short-lived tokens, which the hub and apps renew by themselves. */
function lasts(token: Token): boolean {
  const end = moment(token.expires_at) ?? 0
  return end > Date.now() && end - (moment(token.created_at) ?? 0) > SHORT
}

function Row({ token, ended }: { token: Token; ended: () => Promise<void> }) {
  const may = allowed(token.scopes)
  const called = token.name || (token.created_via === "operator_mint" ? OWN : may)
  const commit = async () => {
    await hub.call("POST", "/api/auth/revoke-token", { jti: token.jti })
    await ended()
  }
  const done = `The token “${called}” is revoked`
  const end = async () => {
    // Others' tokens ask for the password, which nobody can do ten seconds later.
    if (token.user_id === me.value?.user?.id)
      return undo.begin({ text: `Revoking the token “${called}”`, key: token.jti, done, commit })
    await commit()
    say(done)
  }
  return (
    <li class="list-row">
      <div class="grow">
        <h3>{called}</h3>
        {called !== may && <p>{may}</p>}
        <p class="quiet">
          Expires <time title={exactly(token.expires_at)}>{ago(token.expires_at)}</time>,{" "}
          {token.last_used_at ? `last used ${ago(token.last_used_at)}` : "not used yet"}.
        </p>
        <More label="Technical details">
          <Facts
            rows={[
              ["Scopes", <code>{token.scopes.join(" ")}</code>],
              ["Id", <code>{token.jti}</code>],
              ["For", token.subject],
              ["Created", `${ago(token.created_at)} ${ORIGINS[token.created_via] ?? ""}`],
            ]}
          />
        </More>
      </div>
      <Button kind="danger" act={end}>
        Revoke<span class="unseen"> the token {called}</span>
      </Button>
    </li>
  )
}

function Mint({ vaults, done }: { vaults: readonly string[]; done: (token: Minted) => Promise<void> }) {
  const [vault, setVault] = useState("")
  const [verb, setVerb] = useState("read")
  const [days, setDays] = useState("30")
  const [own, setOwn] = useState("")
  const [name, setName] = useState("")
  const chosen = vault || vaults[0]
  const scope = own.trim() || (chosen ? `vault:${chosen}:${verb}` : "")
  const mint = async () => {
    const asked = { name: name.trim(), scope, expires_in: Number(days) * DAY }
    await done({ ...(await hub.call<Minted>("POST", "/api/auth/mint-token", asked)), name: asked.name })
    setOwn("")
    setName("")
  }
  const names = vaults.length > 0 ? vaults.map((name) => [name, name] as const) : [["", "No vaults yet"] as const]
  return (
    <Card title="Create a token">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Field label="Name" hint="What it is for, so that you know later whether it can go.">
          {(ids) => (
            <input
              {...ids}
              value={name}
              placeholder="Backup script"
              maxLength={64}
              autocomplete="off"
              onInput={(event) => setName(event.currentTarget.value)}
            />
          )}
        </Field>
        <Choice label="Vault" value={chosen ?? ""} set={setVault} choices={names} />
        <Choice label="It can" value={verb} set={setVerb} choices={VERBS} />
        <Choice label="Expires after" value={days} set={setDays} choices={LIVES} />
        <More label="Other scopes">
          <Field
            label="Scopes"
            hint="For example scribe:transcribe, or parachute:host:metrics for a monitoring system. These replace the choice above."
          >
            {(ids) => (
              <input
                {...ids}
                value={own}
                autocomplete="off"
                spellcheck={false}
                onInput={(event) => setOwn(event.currentTarget.value)}
              />
            )}
          </Field>
        </More>
        <Button type="submit" kind="primary" act={mint} disabled={!scope || !name.trim()}>
          Create token
        </Button>
      </form>
    </Card>
  )
}
