/** Connecting assistants: one page for each, with its steps, and a sign once it has worked. */
import { useEffect, useState } from "preact/hooks"
import type { Vault } from "../api/shapes"
import { ASSISTANTS, type Assistant, connected, isPrivate, nameIn } from "../assistants"
import { ago } from "../format"
import { useResource } from "../state/resource"
import { Badge, Card, Choice, Copy, Empty, Head, More, Ready } from "../ui/parts"

const LOOK_EVERY = 3_000

/** `/admin/connect`: which assistant. */
export function ConnectPage() {
  const apps = useResource("/api/apps", true)
  const vaults = useResource("/vaults")
  return (
    <>
      <Head
        title="Connect an assistant"
        lead="Let Claude, ChatGPT and others read and write your notes. You choose what each may do."
      />
      <Ready of={[apps, vaults]}>
        {() => (
          <ul class="tiles">
            {ASSISTANTS.map((assistant) => {
              const holds = vaults.data?.vaults.some(({ name }) => connected(assistant, name, apps.data?.apps ?? []))
              return (
                <li key={assistant.id} class="tile">
                  <div class="grow">
                    <h2>
                      <a href={`/admin/connect/${assistant.id}`}>{assistant.name}</a>
                    </h2>
                    <p class="quiet">{assistant.place}</p>
                  </div>
                  {holds && assistant.id !== "other" && <Badge tone="good">Connected</Badge>}
                </li>
              )
            })}
          </ul>
        )}
      </Ready>
    </>
  )
}

/** `/admin/connect/<id>`, or with the name of a vault behind it. */
export function AssistantPage({ id, vault }: { id: string; vault: string | undefined }) {
  const assistant = ASSISTANTS.find((each) => each.id === id)
  const vaults = useResource("/vaults")
  if (!assistant)
    return (
      <Head title="Page not found">
        <a class="button" href="/admin/connect">
          See all assistants
        </a>
      </Head>
    )
  return (
    <>
      <Head title={`Connect ${assistant.id === "other" ? "another app" : assistant.name}`} lead={`${assistant.place}.`}>
        <a class="button" href="/admin/connect">
          All assistants
        </a>
      </Head>
      <Ready of={[vaults]}>
        {() => <Steps assistant={assistant} vaults={vaults.data?.vaults ?? []} first={vault ?? ""} />}
      </Ready>
    </>
  )
}

interface StepsProps {
  assistant: Assistant
  vaults: readonly Vault[]
  /** The vault that is chosen at first. */
  first: string
}

function Steps({ assistant, vaults, first }: StepsProps) {
  const [chosen, setChosen] = useState(first)
  const vault = vaults.find(({ name }) => name === chosen) ?? vaults[0]
  if (!vault)
    return (
      <Empty title="There is no vault yet">
        <p>A vault holds the notes that {assistant.name} would read and write.</p>
        <a class="button primary" href="/admin/vaults">
          Create a vault
        </a>
      </Empty>
    )
  const [name, address] = [nameIn(vault.name), vault.mcp_url]
  return (
    <>
      {vaults.length > 1 && (
        <Choice
          label="Vault"
          value={vault.name}
          set={setChosen}
          choices={vaults.map((each) => [each.name, each.name] as const)}
        />
      )}
      <Sign assistant={assistant} vault={vault.name} />
      {assistant.fromOutside && isPrivate(address) && (
        <p class="notice busy">
          <span>
            {assistant.name} reaches your hub from the internet, and this address works only at your place. Set a public
            address in <a href="/admin/settings">Settings</a> first.
          </span>
        </p>
      )}
      <Card title="What to do">
        {assistant.link && (
          <div class="row">
            <a class="button primary" href={assistant.link.url(name, address)} target="_blank" rel="noreferrer">
              {assistant.link.label}
            </a>
          </div>
        )}
        <ol class="numbered">
          {assistant.steps.map(({ text, copy, copied }) => (
            <li key={text}>
              <p>{text}</p>
              {copy && <Copy text={copy(name, address)} label={copied ?? ""} />}
            </li>
          ))}
        </ol>
        <More label="Show the address as a QR code">
          <p>For the phone or another computer.</p>
          <img
            class="qr"
            src={`/vaults/${encodeURIComponent(vault.name)}/address.svg`}
            alt={`QR code of ${address}`}
            width="220"
            height="220"
          />
          <Copy text={address} label={`Address of the vault ${vault.name}`} />
        </More>
      </Card>
    </>
  )
}

/** Looks while the page is open: the consent happens in another window. */
function Sign({ assistant, vault }: { assistant: Assistant; vault: string }) {
  const apps = useResource("/api/apps", true)
  const { reload } = apps
  useEffect(() => {
    const timer = setInterval(() => document.hidden || void reload(), LOOK_EVERY)
    return () => clearInterval(timer)
  }, [reload])
  const found = connected(assistant, vault, apps.data?.apps ?? [])
  return (
    <div class="sign" role="status">
      {found ? (
        <>
          <Badge tone="good">Connected</Badge>
          <p>
            {found.name ?? assistant.name} may use {vault}, last used {ago(found.last_used)}.{" "}
            <a href="/admin/apps">Connected apps</a>
          </p>
        </>
      ) : (
        <>
          <Badge tone="busy">Waiting</Badge>
          <p>This page shows when {assistant.id === "other" ? "the app" : assistant.name} is connected.</p>
        </>
      )}
    </div>
  )
}
