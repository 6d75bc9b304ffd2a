/** Vaults: list, create, connect apps to them. */
import { useState } from "preact/hooks"
import type { Deletion, Made, Vault } from "../api/shapes"
import { hub, modules } from "../app"
import { bytes, day } from "../format"
import { useResource } from "../state/resource"
import { confirm } from "../ui/dialog"
import { Button, Card, Copy, Empty, Field, Head, More, Ready } from "../ui/parts"

export function Vaults() {
  const vaults = useResource("/vaults", true)
  const [made, setMade] = useState<Made | null>(null)
  const missing = modules.loaded.value && !modules.find("vault")?.installed
  if (missing)
    return (
      <>
        <Head title="Vaults" lead="A vault holds notes. Each vault is separate from the others." />
        <Empty title="The vault module is not installed">
          <p>Install it first. It comes with your first vault.</p>
          <a class="button primary" href="/admin/modules">
            Go to Modules
          </a>
        </Empty>
      </>
    )
  return (
    <>
      <Head title="Vaults" lead="A vault holds notes. Each vault is separate from the others." />
      {made?.token && <NewKey made={made} />}
      <Ready of={[vaults]}>
        {() => (
          <>
            {vaults.data?.vaults.map((vault) => (
              <One key={vault.name} vault={vault} changed={vaults.reload} />
            ))}
            {vaults.data?.vaults.length === 0 && (
              <Empty title="No vaults yet">
                <p>Create one below. One is enough for most people; a second keeps work and private notes apart.</p>
              </Empty>
            )}
            <Another
              make={async (name) => {
                setMade(await hub.call<Made>("POST", "/vaults", { name }))
                await vaults.reload()
              }}
            />
          </>
        )}
      </Ready>
    </>
  )
}

interface OneProps {
  vault: Vault
  changed: () => Promise<void>
}

function One({ vault, changed }: OneProps) {
  const address = vault.mcp_url
  return (
    <Card title={vault.name} aside={<span class="quiet">{vault.bytes === null ? "" : bytes(vault.bytes)}</span>}>
      {vault.deletion && <Leaving vault={vault} deletion={vault.deletion} changed={changed} />}
      {vault.owner && <p class="quiet">It belongs to {vault.owner}.</p>}
      <More label="Connect Claude or another app">
        <div class="stack">
          <p>Each assistant has a page with its steps, and shows when it is connected.</p>
          <div class="row">
            <a class="button" href={`/account/connect?vault=${encodeURIComponent(vault.name)}`}>
              Connect an assistant<span class="unseen"> to {vault.name}</span>
            </a>
          </div>
          <Copy text={address} label={`Address of the vault ${vault.name}`} />
          <p>
            <strong>Scripts and other programs:</strong> create a token under <a href="/admin/tokens">Tokens</a> and
            send it as a bearer token.
          </p>
          {/^http:/.test(address) && (
            <p class="notice busy">
              <span>
                This address works only on this machine. To connect apps from elsewhere, set the public address in{" "}
                <a href="/admin/settings">Settings</a>.
              </span>
            </p>
          )}
        </div>
      </More>
      {!vault.deletion && <Delete vault={vault} changed={changed} />}
    </Card>
  )
}

function Leaving({ vault, deletion, changed }: OneProps & { deletion: Deletion }) {
  const keep = async () => {
    await hub.call("DELETE", `/vaults/${encodeURIComponent(vault.name)}/deletion`)
    await changed()
  }
  const which = deletion.whose ? `${deletion.whose}'s vault` : "This vault"
  return (
    <div class="notice busy">
      <span class="grow">
        {which} will be deleted on {day(deletion.due_at)}.
        {deletion.failure && ` The last try failed: ${deletion.failure}`}
      </span>
      <Button act={keep} done={`The vault ${vault.name} stays`}>
        Keep it after all
      </Button>
    </div>
  )
}

function Delete({ vault, changed }: OneProps) {
  const ask = async () => {
    const sure = await confirm(
      `Delete the vault ${vault.name}?`,
      "It is deleted in 30 days with everything in it. Until then you can keep it after all. Only owners can use it." +
        " Backups that you make before hold it for as long as you keep those.",
      "Delete in 30 days",
    )
    if (!sure) return
    await hub.call("PUT", `/vaults/${encodeURIComponent(vault.name)}/deletion`)
    await changed()
  }
  return (
    <More label="Delete this vault">
      <p>Download it first if you may want its notes again.</p>
      <Button kind="danger" act={ask}>
        Delete {vault.name} in 30 days
      </Button>
    </More>
  )
}

function NewKey({ made }: { made: Made }) {
  return (
    <Card title={`Vault ${made.name} is ready`}>
      <p>
        This is its first key. It is not shown again, so save it with your passwords. You do not need it if you sign in
        instead.
      </p>
      <Copy text={made.token ?? ""} label={`Key of the vault ${made.name}`} />
    </Card>
  )
}

function Another({ make }: { make: (name: string) => Promise<void> }) {
  const [name, setName] = useState("")
  const create = async () => {
    await make(name.trim())
    setName("")
  }
  return (
    <Card title="Create a vault">
      <form class="narrow" onSubmit={(event) => event.preventDefault()}>
        <Field
          label="Name"
          hint="2 to 32 lowercase letters, digits, dashes or underscores. It becomes part of the address."
        >
          {(ids) => (
            <input
              {...ids}
              value={name}
              placeholder="work"
              maxLength={32}
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              onInput={(event) => setName(event.currentTarget.value.toLowerCase())}
            />
          )}
        </Field>
        <Button kind="primary" act={create} done="Vault created" disabled={name.trim().length < 2} type="submit">
          Create vault
        </Button>
      </form>
    </Card>
  )
}
