/** Tokens: what programs use to get in; make, look over, end. */
import { useState } from "preact/hooks"
import type { Minted, Token } from "../api/shapes"
import { hub } from "../app"
import { ago, exactly, moment } from "../format"
import { allowed } from "../scopes"
import { useResource } from "../state/resource"
import { confirm } from "../ui/dialog"
import { Button, Card, Choice, Copy, Empty, Field, Head, More, Ready } from "../ui/parts"

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
  cli_mint: "by the command",
  operator_mint: "for this machine's command line",
  surface_token: "by a module",
}

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
  const live = [...(tokens.data?.tokens ?? []), ...more].filter(lasts)
  return (
    <>
      <Head
        title="Tokens"
        lead="A token lets a script or program in without your password. Apps you connect get their own."
      />
      {minted && (
        <Card title="Your new token">
          <p>It is shown only now. Whoever has it can do what it allows, until {exactly(minted.expires_at)}.</p>
          <Copy text={minted.token} label="The new token" />
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
            <Card title="In use">
              {live.length === 0 && <Empty title="No token is in use" />}
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

/** Tokens of minutes come and go by themselves: the hub's own, and those that an app renews. */
function lasts(token: Token): boolean {
  const end = moment(token.expires_at) ?? 0
  return end > Date.now() && end - (moment(token.created_at) ?? 0) > SHORT
}

function Row({ token, ended }: { token: Token; ended: () => Promise<void> }) {
  const end = async () => {
    const name = token.subject ?? token.client_id
    if (!(await confirm(`End the token of ${name}?`, "Anything that uses it stops working within a minute.", "End it")))
      return
    await hub.call("POST", "/api/auth/revoke-token", { jti: token.jti })
    await ended()
  }
  return (
    <li class="list-row">
      <div class="grow">
        <h3>{allowed(token.scopes)}</h3>
        <p class="quiet">
          Made {ago(token.created_at)} {ORIGINS[token.created_via] ?? ""}
          {token.subject ? ` for ${token.subject}` : ""}, ends {ago(token.expires_at)}
          {token.last_used_at ? `, last used ${ago(token.last_used_at)}` : ""}.
        </p>
        <More label="Technical detail">
          <code>{token.scopes.join(" ")}</code> <span class="quiet">{token.jti}</span>
        </More>
      </div>
      <Button kind="danger" act={end}>
        End<span class="unseen"> the token {token.jti}</span>
      </Button>
    </li>
  )
}

function Mint({ vaults, done }: { vaults: readonly string[]; done: (token: Minted) => Promise<void> }) {
  const [vault, setVault] = useState("")
  const [verb, setVerb] = useState("read")
  const [days, setDays] = useState("30")
  const [own, setOwn] = useState("")
  const chosen = vault || vaults[0]
  const scope = own.trim() || (chosen ? `vault:${chosen}:${verb}` : "")
  const mint = async () => {
    await done(await hub.call<Minted>("POST", "/api/auth/mint-token", { scope, expires_in: Number(days) * DAY }))
    setOwn("")
  }
  const names =
    vaults.length > 0 ? vaults.map((name) => [name, name] as const) : [["", "There is no vault yet"] as const]
  return (
    <Card title="Make a token">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Choice label="For the vault" value={chosen ?? ""} set={setVault} choices={names} />
        <Choice label="May" value={verb} set={setVerb} choices={VERBS} />
        <Choice label="Ends after" value={days} set={setDays} choices={LIVES} />
        <More label="Something other than a vault">
          <Field label="Scopes" hint="For example scribe:transcribe. This replaces the choice above.">
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
        <Button type="submit" kind="primary" act={mint} disabled={!scope}>
          Make token
        </Button>
      </form>
    </Card>
  )
}
